//! What a commit of a working copy would change, found without git and without writing.

mod base;
mod changes;
mod convert;
mod filter;
mod ignore;
mod list;
mod queue;
mod stamps;
mod untracked;
mod upper;
mod walk;

use std::path::Path;
use std::thread;
use std::time::Instant;

use gix::index::State;

use self::base::Base;
use self::changes::{Changes, items};
use self::filter::Filter;
pub use self::upper::Overlay;
use self::upper::walk_upper;
use self::walk::{Walked, walk};
use crate::Result;
use crate::layered::{Opened, View};
use crate::workspace::Workspace;

/// One path whose state differs from the commit's.
#[derive(Debug)]
pub struct ScannedFile {
    pub path: String,
    /// git's file mode; 0 when the path is deleted.
    pub mode: u32,
    /// The index has no such path; of a deleted one: only the intent to add it, and the commit has
    /// nothing there either.
    pub untracked: bool,
    /// The blob's bytes, or a symlink's target; None for deletions, submodules, and `through_git`.
    pub content: Option<Vec<u8>>,
    /// An attribute or setting makes git store other bytes than the file has, so that only git can
    /// tell the blob (and whether it differs from the commit's at all).
    pub through_git: bool,
    /// ctime s, ns, mtime s, ns, dev, ino, uid, gid, as taken before reading.
    pub stat: [i64; 8],
}

/// The result of [`scan`].
#[derive(Debug)]
pub struct Scan {
    /// In ascending order of their paths' bytes.
    pub files: Vec<ScannedFile>,
    /// The index differs both from the commit and from the files: the index is what was meant.
    pub staged: bool,
    /// What was compared of the index is what the commit has.
    pub agrees: bool,
    /// Untracked repositories inside the worktree, which are left out; names that are not UTF-8
    /// approximately.
    pub repositories: Vec<String>,
    /// Index entries compared.
    pub entries: usize,
    /// Microseconds of reading the index and comparing it with the commit and with files' status.
    pub stat_us: u64,
    /// Microseconds of looking for untracked files.
    pub walk_us: u64,
    /// Microseconds of reading changed files.
    pub read_us: u64,
}

/// Finds what `git add -A && git write-tree` in `worktree` would change against `commit` (a
/// commit's or tree's id), repositories inside the worktree left out.
///
/// `git_dir` is the repository's common git directory; the worktree's own is found by its `.git`.
/// `paths` restricts the scan to files and directories.
///
/// Errors: `Busy` when a file changes while it is read; `BadPath` for a changed file whose name the
/// path policy refuses; `TooLarge` for a changed file of more than 512 MiB, before it is read, and
/// for more than 1 GiB of changes; `TooMany` for more than 100 000 paths, before any is read;
/// `BadInput` for unmerged entries and for a path in `paths` that is ignored; `Unsupported` for a
/// sparse index and for a tracked file that is now something git cannot store.
pub fn scan(
    git_dir: &Path,
    worktree: &Path,
    commit: &str,
    paths: Option<&[String]>,
) -> Result<Scan> {
    let begun = Instant::now();
    let filter = Filter::new(paths)?;
    let workspace = Workspace::open(git_dir, worktree)?;
    let index = workspace.index()?;
    let (base, walked) = compare(&workspace, &index, commit, &filter, || {
        walk(&workspace, &index, &filter)
    })?;
    let entries = index.entries().len();
    let compared = Compared {
        index,
        base,
        walked,
        entries,
        stat_us: elapsed_us(begun),
    };
    compared.finish(&workspace, &filter)
}

/// As [`scan`], of an overlay workspace that is mounted: looks only at what its upper directory
/// covers. The result is the same; with it comes what an update of the index can begin with.
pub fn scan_overlay(
    git_dir: &Path,
    worktree: &Path,
    overlay: Overlay<'_>,
    commit: &str,
    paths: Option<&[String]>,
) -> Result<(Scan, Option<Opened>)> {
    let begun = Instant::now();
    let filter = Filter::new(paths)?;
    let light = Workspace::open_lightly(git_dir, worktree)?;
    let Some(view) = View::open(&light.admin, overlay.lower_index)? else {
        return Ok((scan(git_dir, worktree, commit, paths)?, None));
    };
    let found = walk_upper(&light, &view, &filter, overlay.upper)?;
    // Where the index is the commit's tree, no object is needed to compare with.
    let (heavy, index, base) = match overlay.agreed == Some(view.checksum) {
        true => (None, found.index(&view), Base::default()),
        false => {
            let heavy = Workspace::open(git_dir, worktree)?;
            let index = heavy.index()?;
            let (base, ()) = compare(&heavy, &index, commit, &filter, || Ok(()))?;
            (Some(heavy), index, base)
        }
    };
    let compared = Compared {
        walked: found.numbered(&index)?,
        index,
        base,
        entries: view.len(),
        stat_us: elapsed_us(begun),
    };
    let scan = compared.finish(heavy.as_ref().unwrap_or(&light), &filter)?;
    let workspace = light;
    Ok((scan, Some(Opened { workspace, view })))
}

/// Compares an index with a commit, and does something else meanwhile.
fn compare<T: Send>(
    workspace: &Workspace,
    index: &State,
    commit: &str,
    filter: &Filter,
    meanwhile: impl FnOnce() -> Result<T> + Send,
) -> Result<(Base, T)> {
    let tree = workspace.source.tree_of(commit)?;
    let (base, done) = thread::scope(|scope| {
        let done = scope.spawn(meanwhile);
        let base = Base::compare(&workspace.source.local(), index, tree, filter);
        (
            base,
            done.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    Ok((base?, done?))
}

/// What the index, the commit and the files' status say.
struct Compared {
    index: State,
    base: Base,
    walked: Walked,
    entries: usize,
    stat_us: u64,
}

impl Compared {
    /// Looks for untracked files, and into those that may have changed.
    fn finish(self, workspace: &Workspace, filter: &Filter) -> Result<Scan> {
        let (index, base, walked) = (self.index, self.base, self.walked);
        let begun = Instant::now();
        let untracked = untracked::untracked(workspace, &index, filter, walked.candidates)?;
        let walk_us = elapsed_us(begun);
        let begun = Instant::now();
        let (index_differs, agrees) = (base.differs(&index), base.is_empty());
        let items = items(&index, base, walked.verdicts, untracked.files);
        let Changes { files, unstaged } = changes::read(workspace, &index, &items)?;
        Ok(Scan {
            files,
            staged: index_differs && unstaged,
            agrees,
            repositories: untracked
                .repositories
                .iter()
                .map(|path| lossy(path))
                .collect(),
            entries: self.entries,
            stat_us: self.stat_us,
            walk_us,
            read_us: elapsed_us(begun),
        })
    }
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn elapsed_us(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
