//! The walk over an overlay workspace: only what its upper directory covers can have changed.
//!
//! A name in the upper directory stands for itself, a whiteout (a character device 0/0) for a
//! deletion. A directory that hides what is below it, or was renamed, is walked as the mount shows
//! it. What the index says differently than when the lower tree was made is looked at, too.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use gix::hash::Kind;
use gix::index::State;
use gix::index::entry::{Flags, Mode};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::filter::Filter;
use super::list::List;
use super::stamps::Stamps;
use super::walk::{Candidate, Verdict, Walked, candidates};
use crate::content::{Modes, SUBMODULE, busy, failed};
use crate::dir::{Cursor, Dir, split};
use crate::layered::View;
use crate::layered::rows::{ID_BYTES, Row};
use crate::workspace::Workspace;
use crate::{Error, Result};

/// What an overlay notes about a directory whose content is not simply its own on top of the
/// lower one's: made anew (`opaque`), or renamed (`redirect`).
const MARKS: [&str; 4] = [
    "trusted.overlay.opaque",
    "user.overlay.opaque",
    "trusted.overlay.redirect",
    "user.overlay.redirect",
];

/// Set on an upper directory in the same way as the overlay's own marks: who cannot see this one
/// cannot see those.
const SEEN: [&str; 2] = ["trusted.tatami", "user.tatami"];

/// What an overlay workspace, which has to be mounted, is made of.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    /// The directory the workspace's changes are in.
    pub upper: &'a Path,
    /// git's index of the lower tree as it was made.
    pub lower_index: &'a Path,
    /// The last bytes of an index that is known to be the commit's tree.
    pub agreed: Option<[u8; ID_BYTES]>,
}

/// What may differ from the index, by path; in no order.
#[derive(Default)]
pub struct Found {
    verdicts: BTreeMap<Vec<u8>, Verdict>,
    candidates: Vec<Candidate>,
}

impl Found {
    /// An index of those entries alone that may differ.
    pub fn index(&self, view: &View) -> State {
        let mut index = State::new(Kind::Sha1);
        for path in self.verdicts.keys() {
            if let Some(row) = view.get(path) {
                let mode = Mode::from_bits_truncate(row.mode());
                let path = path.as_slice().into();
                index.dangerously_push_entry(row.stat(), row.id(), Flags::empty(), mode, path);
            }
        }
        index
    }

    /// The same by the numbers of an index's entries.
    pub fn numbered(self, index: &State) -> Result<Walked> {
        let number = |(path, verdict): (Vec<u8>, Verdict)| {
            let number = index.entry_index_by_path(path.as_slice().into());
            Ok((number.map_err(|_| busy(&path))?, verdict))
        };
        Ok(Walked {
            verdicts: self
                .verdicts
                .into_iter()
                .map(number)
                .collect::<Result<_>>()?,
            candidates: self.candidates,
        })
    }
}

/// Compares with the index what the overlay may show differently than when its tree was made.
pub fn walk_upper(
    workspace: &Workspace,
    view: &View,
    filter: &Filter,
    upper: &Path,
) -> Result<Found> {
    let root =
        Dir::open(upper).map_err(|error| Error::io(format!("open {}", upper.display()), error))?;
    let mut walk = Walk {
        view,
        filter,
        stamps: Stamps {
            modes: Modes::of(&workspace.source.local()),
            written: view.written,
        },
        upper: Cursor::new(&root),
        shown: Cursor::new(&workspace.root),
        waiting: vec![Directory {
            path: Vec::new(),
            whole: !root.has_attribute(&SEEN),
        }],
        seen: HashSet::new(),
        found: Found::default(),
    };
    let mut list = List::default();
    while let Some(directory) = walk.waiting.pop() {
        walk.directory(&directory, &mut list)?;
    }
    walk.look_at_changes()?;
    Ok(walk.found)
}

/// A directory to compare with the index.
struct Directory {
    path: Vec<u8>,
    /// Not only what the upper layer has of it: nothing of the lower tree shows through, or another
    /// directory of it does.
    whole: bool,
}

struct Walk<'a> {
    view: &'a View,
    filter: &'a Filter,
    stamps: Stamps,
    upper: Cursor<'a>,
    shown: Cursor<'a>,
    waiting: Vec<Directory>,
    /// Changed entries that were looked at.
    seen: HashSet<&'a [u8]>,
    found: Found,
}

impl Walk<'_> {
    fn directory(&mut self, here: &Directory, list: &mut List) -> Result<()> {
        let whole = here.whole || self.is_marked(&here.path)?;
        let layer = match whole {
            true => &mut self.shown,
            false => &mut self.upper,
        };
        let opened = layer.enter(&here.path);
        opened
            .and_then(|opened| list.read(opened))
            .map_err(|error| failed(&here.path, error))?;
        let prefix = with_slash(&here.path);
        let names: Vec<(Vec<u8>, FileType)> = list
            .rest()
            .map(|(name, kind)| (name.to_vec(), kind))
            .collect();
        for (name, kind) in &names {
            let path = [&prefix[..], name].concat();
            if self.name(whole, path, *kind)? {
                list.take(name);
            }
        }
        candidates(self.filter, &here.path, list, &mut self.found.candidates);
        if whole {
            self.hidden(&prefix, &names);
        }
        Ok(())
    }

    /// Compares what is at `path` with the index; false where the index has no such thing.
    fn name(&mut self, whole: bool, path: Vec<u8>, kind: FileType) -> Result<bool> {
        let inside = with_slash(&path);
        let (entry, tracked) = (self.view.get(&path), self.view.has_below(&inside));
        let directory = kind == FileType::Directory;
        if directory && entry.as_ref().is_some_and(|row| row.mode() == SUBMODULE) {
            self.conclude(&path, Verdict::Read);
            return Ok(true);
        }
        if tracked && !directory {
            self.gone(&inside);
        }
        if tracked && directory && self.filter.leads_to(&path) {
            let path = path.clone();
            self.waiting.push(Directory { path, whole });
        }
        if let Some((known, _)) = self.view.changes.get_key_value(&path) {
            self.seen.insert(known);
        }
        match (entry, kind) {
            (None, _) => return Ok(tracked && directory),
            (Some(_), FileType::Directory | FileType::CharacterDevice) => {
                self.conclude(&path, Verdict::Gone);
                return Ok(false);
            }
            (Some(row), _) => {
                let (parent, name) = split(&path);
                // A file that the lower tree has is shown with another inode number than its copy
                // in the upper layer has.
                let layer = match whole || self.view.find(&path).is_ok() {
                    true => &mut self.shown,
                    false => &mut self.upper,
                };
                let stat = layer
                    .enter(parent)
                    .and_then(|parent| parent.stat(name))
                    .map_err(|error| failed(&path, error))?;
                if !self
                    .stamps
                    .vouch((row.mode(), row.id()), &row.stat(), &stat)
                {
                    self.conclude(&path, Verdict::Read);
                }
            }
        }
        Ok(true)
    }

    /// Entries of a directory, of which all is seen, that are not among its names.
    fn hidden(&mut self, prefix: &[u8], names: &[(Vec<u8>, FileType)]) {
        let view = self.view;
        for row in view.below(prefix) {
            let name = row.path[prefix.len()..].split(|b| *b == b'/').next();
            let name = name.unwrap_or_default();
            if names
                .binary_search_by(|(known, _)| known[..].cmp(name))
                .is_err()
            {
                self.conclude(row.path, Verdict::Gone);
            }
        }
    }

    fn gone(&mut self, inside: &[u8]) {
        let view = self.view;
        for row in view.below(inside) {
            self.conclude(row.path, Verdict::Gone);
        }
    }

    fn conclude(&mut self, path: &[u8], verdict: Verdict) {
        if self.filter.covers(path) {
            self.found.verdicts.insert(path.to_vec(), verdict);
        }
    }

    fn is_marked(&mut self, path: &[u8]) -> Result<bool> {
        let upper = self
            .upper
            .enter(path)
            .map_err(|error| failed(path, error))?;
        Ok(upper.has_attribute(&MARKS))
    }

    /// Looks at files for which no entry of the lower tree's index vouches.
    fn look_at_changes(&mut self) -> Result<()> {
        let view = self.view;
        let mut missing = BTreeSet::new();
        for (path, change) in &view.changes {
            match change {
                Some(fixed) if !self.seen.contains(&path[..]) => {
                    self.entry(&Row::new(fixed, path))?;
                }
                Some(_) => {}
                None => {
                    missing.insert(topmost(view, path));
                }
            }
        }
        for number in 0..view.lower_len() {
            let row = view.lower_row(number)?;
            if self.stamps.is_racy(&row.stat()) && !view.changes.contains_key(row.path) {
                self.entry(&row)?;
            }
        }
        let known: BTreeSet<_> = self.found.candidates.iter().map(|c| &c.path).collect();
        missing.retain(|(path, _)| !known.contains(path));
        for (path, directory) in missing {
            let wanted = match directory {
                true => self.filter.leads_to(&path),
                false => self.filter.covers(&path),
            };
            if wanted && self.is_there(&path, directory) {
                self.found.candidates.push(Candidate { path, directory });
            }
        }
        Ok(())
    }

    fn entry(&mut self, row: &Row<'_>) -> Result<()> {
        if self.found.verdicts.contains_key(row.path) {
            return Ok(());
        }
        let (directory, name) = split(row.path);
        let stat = match self
            .shown
            .enter(directory)
            .and_then(|found| found.stat(name))
        {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                self.conclude(row.path, Verdict::Gone);
                return Ok(());
            }
            Err(error) => return Err(failed(row.path, error)),
        };
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if directory && row.mode() != SUBMODULE {
            self.conclude(row.path, Verdict::Gone);
        } else if !self
            .stamps
            .vouch((row.mode(), row.id()), &row.stat(), &stat)
        {
            self.conclude(row.path, Verdict::Read);
        }
        Ok(())
    }

    fn is_there(&mut self, path: &[u8], directory: bool) -> bool {
        let (parent, name) = split(path);
        let stat = self
            .shown
            .enter(parent)
            .and_then(|parent| parent.stat(name));
        match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Directory) => directory,
            Ok(FileType::RegularFile | FileType::Symlink) => !directory,
            _ => false,
        }
    }
}

/// The first directory on the way to `missing` below which the index has nothing (then true), or
/// the path itself.
fn topmost(view: &View, missing: &[u8]) -> (Vec<u8>, bool) {
    let slashes = missing.iter().enumerate().filter(|(_, b)| **b == b'/');
    let mut directories = slashes.map(|(position, _)| position);
    match directories.find(|position| !view.has_below(&missing[..=*position])) {
        Some(position) => (missing[..position].to_vec(), true),
        None => (missing.to_vec(), false),
    }
}

fn with_slash(directory: &[u8]) -> Vec<u8> {
    match directory {
        [] => Vec::new(),
        _ => [directory, b"/"].concat(),
    }
}
