//! A git index seen as what it changes of the index beside an overlay's lower tree.
//!
//! An index of thousands of entries need not be decoded to look at a few: those of the lower tree
//! never change. git's own split index (the extension `link`) says outright what differs; a whole
//! one is compared entry by entry where it lies.

pub mod bitmap;
pub mod cache;
pub mod rows;
pub mod write;

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::ops::{Bound, Range};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use self::rows::{FIXED_BYTES, HEADER_BYTES, ID_BYTES, Row, count, damaged, extensions};
use crate::workspace::Workspace;
use crate::{Error, Result};

/// git's mode of an entry that stands for a whole directory.
const SPARSE_DIRECTORY: u32 = 0o40000;

/// What an index has at a path instead of the lower tree's entry; None where it has nothing.
pub type Change = Option<[u8; FIXED_BYTES]>;

/// An index, as the lower tree's with changes.
pub struct View {
    lower: Vec<u8>,
    /// Where each entry of the lower tree's index begins.
    starts: Vec<usize>,
    lower_end: usize,
    pub changes: BTreeMap<Vec<u8>, Change>,
    /// Seconds and nanoseconds of the index file's modification time.
    pub written: (i64, i64),
    /// The last bytes of the index file, which are another with each content.
    pub checksum: [u8; ID_BYTES],
    /// Which file was read, as far as its status tells.
    file: (u64, u64, i64, i64, u64),
}

/// A workspace with its index as a scan saw them, for what comes next under the same lock.
pub struct Opened {
    pub workspace: Workspace,
    pub view: View,
}

impl Opened {
    /// Whether the index is still the one that was seen.
    pub fn is_current(&self) -> bool {
        let index = std::fs::metadata(self.workspace.admin.join("index"));
        index.is_ok_and(|stat| identity(&stat) == self.view.file)
    }
}

impl View {
    /// Reads the index in `admin`, a worktree's git directory; None where it is of a kind that
    /// cannot be seen this way: another version, other flags, entries that are unmerged.
    pub fn open(admin: &Path, lower_index: &Path) -> Result<Option<Self>> {
        let (lower, kept) = read(lower_index)?;
        let (index, own) = read(&admin.join("index"))?;
        let Some(entries) = count(&lower) else {
            return Ok(None);
        };
        let (mut starts, mut next) = (Vec::with_capacity(entries), HEADER_BYTES);
        for _ in 0..entries {
            starts.push(next);
            next = Row::at(&lower, next)?.1;
        }
        let mut view = Self {
            checksum: checksum(&index)?,
            lower,
            starts,
            lower_end: next,
            changes: BTreeMap::new(),
            written: (own.mtime(), own.mtime_nsec()),
            file: identity(&own),
        };
        // As it is made, a workspace has the lower tree's own file.
        let same = (own.dev(), own.ino()) == (kept.dev(), kept.ino());
        match same || view.read(&index)? {
            true => Ok(Some(view)),
            false => Ok(None),
        }
    }

    /// Reads the changes out of an index; false where it has what no change can say.
    fn read(&mut self, index: &[u8]) -> Result<bool> {
        let Some(entries) = count(index) else {
            return Ok(false);
        };
        let mut own = Vec::with_capacity(entries);
        let mut next = HEADER_BYTES;
        for _ in 0..entries {
            let (row, end) = Row::at(index, next)?;
            if !row.is_plain() || row.mode() == SPARSE_DIRECTORY {
                return Ok(false);
            }
            own.push(row);
            next = end;
        }
        let found = extensions(index, next)?;
        match found.iter().find(|(name, _)| name == b"link") {
            None => self.compare(&own)?,
            Some((_, link)) => {
                if link.get(..ID_BYTES) != Some(&checksum(&self.lower)?[..]) {
                    return Ok(false);
                }
                self.apply(&own, &link[ID_BYTES..])?;
            }
        }
        Ok(true)
    }

    /// Takes the changes of a whole index.
    fn compare(&mut self, own: &[Row<'_>]) -> Result<()> {
        let mut changes = BTreeMap::new();
        let mut own = own.iter().peekable();
        for number in 0..self.starts.len() {
            let lower = self.lower_row(number)?;
            while let Some(row) = own.next_if(|row| row.path < lower.path) {
                changes.insert(row.path.to_vec(), Some(*row.fixed));
            }
            match own.next_if(|row| row.path == lower.path) {
                Some(row) if row.is_same(&lower) => {}
                found => {
                    changes.insert(lower.path.to_vec(), found.map(|row| *row.fixed));
                }
            }
        }
        changes.extend(own.map(|row| (row.path.to_vec(), Some(*row.fixed))));
        self.changes = changes;
        Ok(())
    }

    /// Takes the changes of a split index: entries without a path replace those of the lower one.
    fn apply(&mut self, own: &[Row<'_>], bitmaps: &[u8]) -> Result<()> {
        let mut own = own.iter();
        if !bitmaps.is_empty() {
            let (deleted, rest) = bitmap::read(bitmaps)?;
            let (replaced, _) = bitmap::read(rest)?;
            for number in deleted {
                let path = self.lower_row(number)?.path.to_vec();
                self.changes.insert(path, None);
            }
            for number in replaced {
                let row = own.next().filter(|row| row.path.is_empty());
                let row = row.ok_or_else(damaged)?;
                let path = self.lower_row(number)?.path.to_vec();
                let fixed = row.with_length(path.len());
                self.changes.insert(path, Some(fixed));
            }
        }
        self.changes
            .extend(own.map(|row| (row.path.to_vec(), Some(*row.fixed))));
        Ok(())
    }

    /// How many entries the index has.
    pub fn len(&self) -> usize {
        let added = |(path, change): &(&Vec<u8>, &Change)| {
            change.is_some() && self.find(path.as_slice()).is_err()
        };
        let removed = |(_, change): &(&Vec<u8>, &Change)| change.is_none();
        let changes = self.changes.iter();
        self.starts.len() + changes.clone().filter(added).count() - changes.filter(removed).count()
    }

    /// The entry at a path.
    pub fn get<'a>(&'a self, path: &'a [u8]) -> Option<Row<'a>> {
        match self.changes.get(path) {
            Some(change) => change.as_ref().map(|fixed| Row::new(fixed, path)),
            None => self
                .find(path)
                .ok()
                .and_then(|number| self.lower_row(number).ok()),
        }
    }

    /// Whether an entry lies below a directory, whose path ends in a slash.
    pub fn has_below(&self, directory: &[u8]) -> bool {
        let mut changes = self.changes_below(directory);
        if changes.any(|(_, change)| change.is_some()) {
            return true;
        }
        let range = self.range_below(directory);
        !range.is_empty()
            && (self.changes_below(directory).next().is_none()
                || self.below(directory).next().is_some())
    }

    /// The entries below a directory, whose path ends in a slash ("" for all), in no order.
    pub fn below<'a>(&'a self, directory: &'a [u8]) -> impl Iterator<Item = Row<'a>> {
        let lower = self.range_below(directory);
        let lower = lower.filter_map(|number| self.lower_row(number).ok());
        let changed = self.changes_below(directory);
        let changed = changed.filter_map(|(path, change)| Some(Row::new(change.as_ref()?, path)));
        lower
            .filter(|row| !self.changes.contains_key(row.path))
            .chain(changed)
    }

    fn changes_below<'a>(
        &'a self,
        directory: &'a [u8],
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Change)> {
        let from = Bound::Included(directory);
        self.changes
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(directory))
    }

    fn range_below(&self, directory: &[u8]) -> Range<usize> {
        let path =
            |start: &usize| Row::at(&self.lower, *start).map_or(&[][..], |(row, _)| row.path);
        let first = self.starts.partition_point(|start| path(start) < directory);
        let rest = &self.starts[first..];
        let count = rest.partition_point(|start| path(start).starts_with(directory));
        first..first + count
    }

    /// Where the lower tree's index has a path.
    pub fn find(&self, path: &[u8]) -> std::result::Result<usize, usize> {
        self.starts.binary_search_by(|start| {
            Row::at(&self.lower, *start)
                .map_or(&[][..], |(row, _)| row.path)
                .cmp(path)
        })
    }

    pub fn lower_len(&self) -> usize {
        self.starts.len()
    }

    pub fn lower_row(&self, number: usize) -> Result<Row<'_>> {
        let start = self.starts.get(number).ok_or_else(damaged)?;
        Ok(Row::at(&self.lower, *start)?.0)
    }

    /// An entry of the lower tree's index with its padding, as it is written.
    pub fn lower_bytes(&self, number: usize) -> &[u8] {
        let end = self.starts.get(number + 1).copied();
        &self.lower[self.starts[number]..end.unwrap_or(self.lower_end)]
    }

    /// The lower tree's cache of tree ids; None where its index has none.
    pub fn lower_cache(&self) -> Result<Option<&[u8]>> {
        let found = extensions(&self.lower, self.lower_end)?;
        let cache = found.into_iter().find(|(name, _)| name == b"TREE");
        Ok(cache.map(|(_, content)| content))
    }

    pub fn lower_checksum(&self) -> Result<[u8; ID_BYTES]> {
        checksum(&self.lower)
    }
}

fn identity(stat: &Metadata) -> (u64, u64, i64, i64, u64) {
    (
        stat.dev(),
        stat.ino(),
        stat.mtime(),
        stat.mtime_nsec(),
        stat.len(),
    )
}

fn read(path: &Path) -> Result<(Vec<u8>, Metadata)> {
    let failed = |error| Error::io(format!("read {}", path.display()), error);
    let mut file = File::open(path).map_err(failed)?;
    let stat = file.metadata().map_err(failed)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stat.len()).unwrap_or(0) + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes, stat))
}

/// Reads what [`write::hex`] wrote; None for anything else.
pub fn parse_checksum(text: &str) -> Option<[u8; ID_BYTES]> {
    let id = gix::ObjectId::from_hex(text.as_bytes()).ok()?;
    id.as_slice().try_into().ok()
}

fn checksum(index: &[u8]) -> Result<[u8; ID_BYTES]> {
    index.last_chunk().copied().ok_or_else(damaged)
}
