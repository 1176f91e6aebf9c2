//! The one ref that keeps what git does not know it has to keep.
//!
//! Our own objects lie in packs git leaves alone. Commits that plain git wrote do not: once no
//! branch reaches them, `git gc` takes them, though the operation log still names them. Each is
//! made a parent of a small commit of ours under `refs/tatami/keep`; those form a chain.

use std::fs;
use std::path::Path;
use std::time::Duration;

use gix::ObjectId;
use gix::objs::{Kind, Write as _};

use crate::error::{Code, Error, Result};
use crate::objects::Objects;

pub const REF: &str = "refs/tatami/keep";
/// Where jj-lib keeps each commit that it imports, by a ref of its own.
const JJ_REFS: &str = "refs/jj/keep";
/// Nobody who is alive holds the lock of a ref that long.
const LOCK_AGE_MAX: Duration = Duration::from_secs(2);
const WHO: &str = "tatami <tatami@localhost> 0 +0000";

/// Keeps these commits, and everything they reach, from `git gc`. Durable with the next barrier.
pub fn hold(objects: &mut Objects, git_dir: &Path, ids: &[ObjectId]) -> Result<()> {
    let before = current(objects)?;
    let mut parents: Vec<ObjectId> = before.into_iter().collect();
    parents.extend(ids);
    let mut seen = std::collections::HashSet::new();
    parents.retain(|id| seen.insert(*id));
    let tree = write(objects, Kind::Tree, &[])?;
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!(
        "author {WHO}\ncommitter {WHO}\n\nKept for the operation log.\n"
    ));
    let commit = write(objects, Kind::Commit, text.as_bytes())?;
    let refs = [(REF.to_owned(), commit.to_string())];
    tatami_worktree::write_refs(git_dir, &refs)
        .map_err(|error| Error::new(Code::Git, error.to_string()))?;
    // A `git prune` between the objects and the ref would have taken them.
    write(objects, Kind::Tree, &[])?;
    write(objects, Kind::Commit, text.as_bytes()).map(drop)
}

/// Removes the locks of jj's refs that a process left behind which was killed while it wrote them.
/// jj-lib takes none over: what one is for could never be imported again.
pub fn clear_locks(git_dir: &Path) {
    for entry in fs::read_dir(git_dir.join(JJ_REFS))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "lock") {
            continue;
        }
        let written = entry.metadata().and_then(|found| found.modified());
        // One from the future says nothing about its age; the clock was set back.
        let age = written.map(|at| at.elapsed().unwrap_or(LOCK_AGE_MAX));
        if age.is_ok_and(|age| age >= LOCK_AGE_MAX) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The commits that are held directly, in the groups they came in, the newest group first; the
/// last one is the history the repository began with.
pub fn held(objects: &mut Objects) -> Result<Vec<Vec<ObjectId>>> {
    let mut groups = Vec::new();
    let mut next = current(objects)?;
    while let Some(id) = next.take() {
        let commit = crate::commit::read(objects, id)?;
        let mut found = Vec::new();
        for parent in commit.parents {
            let is_link = crate::commit::read(objects, parent)
                .is_ok_and(|commit| commit.message.starts_with("Kept for the operation log."));
            if is_link {
                next = Some(parent);
            } else {
                found.push(parent);
            }
        }
        groups.push(found);
    }
    Ok(groups)
}

fn current(objects: &Objects) -> Result<Option<ObjectId>> {
    let found = objects.git().try_find_reference(REF);
    let found = found.map_err(|error| Error::caused("reading refs/tatami/keep", &error))?;
    Ok(found.and_then(|found| found.target().try_id().map(|id| id.to_owned())))
}

/// Writes a loose object, unless it is there.
pub fn write(objects: &mut Objects, kind: Kind, data: &[u8]) -> Result<ObjectId> {
    let store = &objects.git().objects;
    store
        .write_buf(kind, data)
        .map_err(|error| Error::caused("writing an object", error.as_ref()))
}
