//! Where the index and a commit differ, found through the index's cache of tree ids.

use std::collections::HashMap;
use std::ops::Range;

use gix::bstr::ByteSlice;
use gix::index::entry::Flags;
use gix::index::extension::Tree as Cache;
use gix::index::{Entry, State};
use gix::objs::TreeRefIter;
use gix::objs::tree::EntryMode;
use gix::{ObjectId, Repository};

use super::filter::Filter;
use crate::path::PATH_BYTES_MAX;
use crate::source::object_error;
use crate::{Error, Result};

/// What a tree or an index records for a path.
pub type Recorded = (u32, ObjectId);

/// The differences between the index and a commit's tree.
#[derive(Default)]
pub struct Base {
    /// By the number of an index entry: what the commit has there, where that is not the same.
    differing: HashMap<usize, Option<Recorded>>,
    /// What the commit has and the index has not.
    pub missing: HashMap<Vec<u8>, Recorded>,
}

impl Base {
    /// Compares what `filter` covers of the index with `tree`.
    pub fn compare(
        repository: &Repository,
        index: &State,
        tree: ObjectId,
        filter: &Filter,
    ) -> Result<Self> {
        let mut comparison = Comparison {
            repository,
            index,
            base: Self::default(),
            prefix: Vec::new(),
        };
        comparison.directory(tree, 0..index.entries().len(), index.tree())?;
        let mut base = comparison.base;
        base.differing
            .retain(|number, _| filter.covers(index.entries()[*number].path(index)));
        base.missing.retain(|path, _| filter.covers(path));
        Ok(base)
    }

    /// Whether no difference was found.
    pub fn is_empty(&self) -> bool {
        self.differing.is_empty() && self.missing.is_empty()
    }

    /// Whether the index is another tree than the commit's.
    pub fn differs(&self, index: &State) -> bool {
        let is_intended =
            |number: usize| index.entries()[number].flags.contains(Flags::INTENT_TO_ADD);
        let mut differing = self.differing.iter();
        !self.missing.is_empty()
            || differing.any(|(number, base)| base.is_some() || !is_intended(*number))
    }

    /// What the commit has at the path of this index entry.
    pub fn at(&self, number: usize, entry: &Entry) -> Option<Recorded> {
        self.differing
            .get(&number)
            .copied()
            .unwrap_or_else(|| Some(recorded(entry)))
    }

    /// The entries that differ from the commit.
    pub fn differing(&self) -> impl Iterator<Item = usize> {
        self.differing.keys().copied()
    }
}

/// What the index has at an entry.
pub fn recorded(entry: &Entry) -> Recorded {
    (entry.mode.bits(), entry.id)
}

struct Comparison<'a> {
    repository: &'a Repository,
    index: &'a State,
    base: Base,
    prefix: Vec<u8>,
}

impl Comparison<'_> {
    /// Compares the entries in `range`, all below `prefix`, with the tree `id`.
    fn directory(
        &mut self,
        id: ObjectId,
        range: Range<usize>,
        cache: Option<&Cache>,
    ) -> Result<()> {
        let valid = cache.filter(|cache| cache.num_entries == u32::try_from(range.len()).ok());
        if valid.is_some_and(|cache| cache.id == id) {
            return Ok(());
        }
        let repository = self.repository;
        let tree = repository
            .find_object(id)
            .map_err(|error| object_error(&id, &error))?;
        let mut next = range.start;
        for entry in TreeRefIter::from_bytes(&tree.data, id.kind()) {
            let entry = entry.map_err(|_| Error::Corrupt(format!("tree {id} is malformed")))?;
            let length = self.prefix.len();
            self.prefix.extend_from_slice(entry.filename);
            if self.prefix.len() > PATH_BYTES_MAX {
                // No file can be there; without a limit a hostile tree exhausts the stack.
                return Err(Error::BadPath(format!(
                    "tree {id} has a path of over 4096 bytes"
                )));
            }
            if entry.mode.is_tree() {
                self.prefix.push(b'/');
            }
            next = self.skip_to_prefix(next, range.end);
            next = self.tree_entry(entry.mode, entry.oid.to_owned(), next..range.end, cache)?;
            self.prefix.truncate(length);
        }
        self.added(next..range.end);
        Ok(())
    }

    /// Compares one entry of a tree, whose path is `prefix`; returns the next index entry.
    fn tree_entry(
        &mut self,
        mode: EntryMode,
        id: ObjectId,
        range: Range<usize>,
        cache: Option<&Cache>,
    ) -> Result<usize> {
        if mode.is_tree() {
            let entries = &self.index.entries()[range.clone()];
            let below = entries.partition_point(|e| e.path(self.index).starts_with(&self.prefix));
            let range = range.start..range.start + below;
            let name = self.prefix[..self.prefix.len() - 1]
                .rsplit(|b| *b == b'/')
                .next();
            let child = cache.and_then(|cache| {
                cache
                    .children
                    .iter()
                    .find(|child| Some(child.name.as_slice()) == name)
            });
            self.directory(id, range.clone(), child)?;
            return Ok(range.end);
        }
        let in_tree = (u32::from(mode.kind() as u16), id);
        let number = range.start;
        let found = self.index.entries()[range].first();
        let Some(entry) = found.filter(|e| e.path(self.index) == self.prefix.as_slice()) else {
            self.base.missing.insert(self.prefix.clone(), in_tree);
            return Ok(number);
        };
        if recorded(entry) != in_tree || entry.flags.contains(Flags::INTENT_TO_ADD) {
            self.base.differing.insert(number, Some(in_tree));
        }
        Ok(number + 1)
    }

    /// Passes over the index entries before `prefix`, which the tree has not.
    fn skip_to_prefix(&mut self, start: usize, end: usize) -> usize {
        let entries = &self.index.entries()[start..end];
        let before = entries
            .iter()
            .take_while(|entry| entry.path(self.index).as_bytes() < &self.prefix[..])
            .count();
        self.added(start..start + before);
        start + before
    }

    fn added(&mut self, range: Range<usize>) {
        self.base
            .differing
            .extend(range.map(|number| (number, None)));
    }
}
