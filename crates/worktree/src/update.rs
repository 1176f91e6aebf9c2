//! Makes a worktree's index agree with a commit just made of its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::index::entry::{Flags, Mode, Stage, Stat as Stamp};
use gix::index::extension::Tree as Cache;
use gix::index::write::{Extensions, Options};
use gix::index::{Entry, State};
use rustix::io::Errno;
use sha1::{Digest, Sha1};

use crate::content::{self, Budget, EXECUTABLE, Modes, REGULAR, SUBMODULE, SYMLINK};
use crate::dir::{Cursor, split};
use crate::index_file::stamp;
use crate::source::parse_id;
use crate::workspace::Workspace;
use crate::{Error, Result, path};

/// Where the new index is written before it takes the old one's place.
pub const TEMPORARY: &str = "index.tatami";

/// Sets entries (path, mode, blob id; mode 0 removes) in the index of `worktree`, under
/// `index.lock`, which the caller has created and which is gone afterwards. On an error the lock
/// is still there and the index as it was.
///
/// `git_dir` is the repository's common git directory. An entry gets its file's status only when
/// the file, read again, has that content: a file written since stays modified for git. Extensions
/// other than the tree cache are dropped, and a split index becomes a whole one; git makes both
/// anew when it wants them.
pub fn update_index(
    git_dir: &Path,
    worktree: &Path,
    entries: &[(String, u32, String)],
) -> Result<()> {
    let changes = parse(entries)?;
    let workspace = Workspace::open(git_dir, worktree)?;
    let lock = require_lock(&workspace)?;
    let mut index = workspace.index()?;
    let mut files = Files::new(&workspace);
    files.verify_racy(&mut index, &changes)?;
    invalidate(&mut index, &changes);
    remove(&mut index, &changes);
    // New entries go in last: one pushed behind the sorted ones would hide others from lookups.
    let mut added = Vec::new();
    for (path, (mode, id)) in &changes {
        if *mode != 0 && !files.set(&mut index, path, *mode, *id)? {
            added.push((files.status(path, *mode, *id)?, *id, *mode, path));
        }
    }
    for (stat, id, mode, path) in added {
        let mode = Mode::from_bits_truncate(mode);
        index.dangerously_push_entry(stat, id, Flags::empty(), mode, path.as_bstr());
    }
    index.sort_entries();
    replace(&workspace.admin, &index)?;
    std::fs::remove_file(&lock)
        .map_err(|error| Error::io(format!("remove {}", lock.display()), error))
}

/// The workspace's `index.lock`; `BadInput` where nobody holds it.
pub fn require_lock(workspace: &Workspace) -> Result<PathBuf> {
    let lock = workspace.admin.join("index.lock");
    match lock.exists() {
        true => Ok(lock),
        false => Err(Error::BadInput(format!(
            "{} has to be held first",
            lock.display()
        ))),
    }
}

/// What to set, by path: mode (0 to remove) and id.
pub type Changes = BTreeMap<Vec<u8>, (u32, ObjectId)>;

pub fn parse(entries: &[(String, u32, String)]) -> Result<Changes> {
    let mut changes = Changes::new();
    for (path, mode, id) in entries {
        path::check_known_path(path)
            .map_err(|why| Error::BadPath(format!("the path {path:?} {why}")))?;
        let id = match *mode {
            0 => ObjectId::null(gix::hash::Kind::Sha1),
            REGULAR | EXECUTABLE | SYMLINK | SUBMODULE => parse_id(id)?,
            _ => {
                return Err(Error::BadInput(format!(
                    "{mode:o} is not a file's mode ({path})"
                )));
            }
        };
        changes.insert(path.as_bytes().to_vec(), (*mode, id));
    }
    Ok(changes)
}

/// The files that entries have to vouch for.
pub struct Files<'a> {
    cursor: Cursor<'a>,
    modes: Modes,
}

impl<'a> Files<'a> {
    pub fn new(workspace: &'a Workspace) -> Self {
        Self {
            cursor: Cursor::new(&workspace.root),
            modes: Modes::of(&workspace.source.local()),
        }
    }

    /// Looks again at files that may have been written in the second of the old index: the new
    /// index is younger, so that git would take them for unmodified by their status alone.
    fn verify_racy(&mut self, index: &mut State, changes: &Changes) -> Result<()> {
        let written = index.timestamp().unix_seconds();
        let (entries, paths) = index.entries_mut_and_pathbacking();
        for entry in entries {
            let racy = i64::from(entry.stat.mtime.secs) >= written;
            let assumed = entry
                .flags
                .intersects(Flags::ASSUME_VALID | Flags::SKIP_WORKTREE);
            let path = entry.path_in(paths);
            let kept =
                assumed || entry.mode == Mode::COMMIT || changes.contains_key(path.as_bytes());
            if racy && !kept {
                entry.stat = self.status(path, entry.mode.bits(), entry.id)?;
            }
        }
        Ok(())
    }

    /// Sets an entry; false where the index has none at this path.
    fn set(&mut self, index: &mut State, path: &[u8], mode: u32, id: ObjectId) -> Result<bool> {
        let found = index.entry_mut_by_path_and_stage(path.into(), Stage::Unconflicted);
        let Some(entry) = found else { return Ok(false) };
        let stat = self.status(path, mode, id)?;
        // A file that a sparse checkout left out is still left out.
        let absent = entry.flags.contains(Flags::SKIP_WORKTREE) && stat == Stamp::default();
        if !absent {
            entry.flags.remove(Flags::SKIP_WORKTREE | Flags::EXTENDED);
        }
        entry.flags.remove(Flags::INTENT_TO_ADD);
        (entry.stat, entry.id, entry.mode) = (stat, id, Mode::from_bits_truncate(mode));
        Ok(true)
    }

    /// The status of a file that holds exactly this blob; otherwise the empty one, which makes git
    /// compare the contents itself.
    pub fn status(&mut self, path: &[u8], mode: u32, id: ObjectId) -> Result<Stamp> {
        let (directory, name) = split(path);
        let directory = match self.cursor.enter(directory) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Stamp::default()),
            Err(error) => {
                return Err(Error::io(format!("look at {}", path.escape_ascii()), error));
            }
        };
        if mode == SUBMODULE {
            return Ok(directory
                .stat(name)
                .map_or_else(|_| Stamp::default(), |stat| stamp(&stat)));
        }
        match content::read(directory, name, path, &Budget::new(u64::MAX, u64::MAX)) {
            Ok(seen) if self.modes.recorded(seen.mode, Some(mode)) == mode && seen.id()? == id => {
                Ok(stamp(&seen.stat))
            }
            Ok(_) | Err(Error::Busy(_) | Error::Unsupported(_)) => Ok(Stamp::default()),
            Err(error) => Err(error),
        }
    }
}

/// Marks the cached ids of all directories above what changes as unknown.
fn invalidate(index: &mut State, changes: &Changes) {
    let mut changed = Vec::new();
    for (path, new) in changes {
        let old = index.entry_by_path(path.as_slice().into());
        if old.map(|entry| (entry.mode.bits(), entry.id)) != Some(*new) {
            changed.push(path);
        }
    }
    let Some(root) = index.tree_mut() else { return };
    for path in changed {
        let mut node: &mut Cache = root;
        let mut components = path.split(|b| *b == b'/').peekable();
        while let Some(name) = components.next() {
            node.num_entries = None;
            let position = node
                .children
                .iter()
                .position(|child| child.name.as_slice() == name);
            let Some(position) = position else { break };
            if components.peek().is_none() {
                // What was a directory is a file now.
                node.children.remove(position);
                break;
            }
            node = &mut node.children[position];
        }
    }
}

/// Removes entries, also those that cannot be beside a new one: a file where it needs a directory,
/// files below what is a file now.
fn remove(index: &mut State, changes: &Changes) {
    let sets = |path: &[u8]| changes.get(path).is_some_and(|(mode, _)| *mode != 0);
    let parents: std::collections::HashSet<&[u8]> = changes
        .iter()
        .filter(|(_, (mode, _))| *mode != 0)
        .flat_map(|(path, _)| ancestors(path))
        .collect();
    index.remove_entries(|_, path, _: &mut Entry| {
        let path: &[u8] = path;
        match changes.get(path) {
            Some((mode, _)) => *mode == 0,
            None => parents.contains(path) || ancestors(path).any(sets),
        }
    });
}

pub fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(position, _)| &path[..position])
}

/// Writes the index beside the old one, then over it: the lock file keeps saying whose it is.
fn replace(admin: &Path, index: &State) -> Result<()> {
    let (temporary, target) = (admin.join(TEMPORARY), admin.join("index"));
    let mut bytes = Vec::with_capacity(index.entries().len() * 128 + 4096);
    let extensions = Extensions::Given {
        tree_cache: true,
        end_of_index_entry: false,
    };
    index
        .write_to(
            &mut bytes,
            Options {
                extensions,
                skip_hash: false,
            },
        )
        .map_err(|error| Error::git("serialize the index", &error))?;
    let digest = Sha1::digest(&bytes);
    bytes.extend_from_slice(&digest);
    File::create(&temporary)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| std::fs::rename(&temporary, &target))
        .map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            Error::io(format!("write {}", target.display()), error)
        })
}
