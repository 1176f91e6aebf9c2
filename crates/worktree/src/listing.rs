//! All files of a tree, in index order, none of which leads elsewhere.

use std::collections::HashSet;

use gix::ObjectId;
use gix::objs::TreeRefIter;
use gix::objs::tree::EntryKind;

use crate::dir::split;
use crate::source::{Source, object_error};
use crate::{Error, Result, path};

/// One file, symlink or submodule of a tree.
#[derive(Clone)]
pub struct Entry {
    pub kind: EntryKind,
    pub id: ObjectId,
    start: u32,
    length: u32,
}

impl Entry {
    /// Whether both are one entry of a listing, or of a cone of it.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.start == other.start
    }
}

/// A directory of a tree: what git's cache-tree extension records about it.
#[derive(Clone)]
pub struct Node {
    pub name: Vec<u8>,
    pub id: ObjectId,
    /// Entries below, recursively.
    pub entries: usize,
    pub children: Vec<Node>,
}

/// A tree flattened: entries and directories in ascending order of their paths' bytes.
pub struct Listing {
    pub entries: Vec<Entry>,
    pub root: Node,
    paths: Vec<u8>,
    directories: Vec<(u32, u32)>,
}

impl Listing {
    /// Reads `tree` recursively; refuses a path that would lead elsewhere and a tree that git would
    /// not have written.
    pub fn read(source: &Source, tree: ObjectId) -> Result<Self> {
        let repository = source.local();
        let mut reader = Reader {
            repository: &repository,
            listing: Self {
                entries: Vec::new(),
                root: Node {
                    name: Vec::new(),
                    id: tree,
                    entries: 0,
                    children: Vec::new(),
                },
                paths: Vec::new(),
                directories: Vec::new(),
            },
            prefix: Vec::new(),
        };
        let (entries, children) = reader.descend(tree)?;
        let mut listing = reader.listing;
        listing.root.entries = entries;
        listing.root.children = children;
        listing.check_order()?;
        Ok(listing)
    }

    pub fn path(&self, entry: &Entry) -> &[u8] {
        &self.paths[entry.start as usize..][..entry.length as usize]
    }

    /// Every directory's path, parents before children.
    pub fn directories(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.directories
            .iter()
            .map(|(start, length)| &self.paths[*start as usize..][..*length as usize])
    }

    pub fn find(&self, path: &[u8]) -> Option<usize> {
        self.entries
            .binary_search_by(|entry| self.path(entry).cmp(path))
            .ok()
    }

    /// What a sparse checkout of these directories has of the listing: them, and the files right in
    /// each directory above them.
    pub fn cone(&self, directories: &[String]) -> Self {
        let entries: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| is_in_cone(split(self.path(entry)).0, directories))
            .cloned()
            .collect();
        let mut parents = HashSet::new();
        for entry in &entries {
            let mut directory = split(self.path(entry)).0;
            while !directory.is_empty() && parents.insert(directory) {
                directory = split(directory).0;
            }
        }
        let kept = |(start, length): &&(u32, u32)| {
            parents.contains(&self.paths[*start as usize..][..*length as usize])
        };
        let kept: Vec<_> = self.directories.iter().filter(kept).copied().collect();
        Self {
            entries,
            root: self.root.clone(),
            paths: self.paths.clone(),
            directories: kept,
        }
    }

    /// A name that occurs twice could be a symlink once and a directory the second time.
    fn check_order(&self) -> Result<()> {
        let twice = self
            .entries
            .windows(2)
            .find(|pair| self.path(&pair[0]) >= self.path(&pair[1]));
        let twice = twice.map(|pair| self.path(&pair[1]));
        let twice = twice.or_else(|| self.directories().find(|path| self.find(path).is_some()));
        match twice {
            None => Ok(()),
            Some(path) => Err(Error::Corrupt(format!(
                "tree {} holds {:?} twice or out of order",
                self.root.id,
                String::from_utf8_lossy(path)
            ))),
        }
    }
}

struct Reader<'a> {
    repository: &'a gix::Repository,
    listing: Listing,
    prefix: Vec<u8>,
}

impl Reader<'_> {
    /// Adds everything below the tree `id`; returns the number of entries and the child trees.
    fn descend(&mut self, id: ObjectId) -> Result<(usize, Vec<Node>)> {
        let repository = self.repository;
        let object = repository
            .find_object(id)
            .map_err(|e| object_error(&id, &e))?;
        let (first, mut children) = (self.listing.entries.len(), Vec::new());
        for entry in TreeRefIter::from_bytes(&object.data, gix::hash::Kind::Sha1) {
            let entry = entry.map_err(|_| Error::Corrupt(format!("tree {id} is malformed")))?;
            let length = self.prefix.len();
            self.enter(entry.filename, entry.mode.is_link())?;
            let (start, child) = (self.listing.paths.len(), entry.oid.to_owned());
            self.listing.paths.extend_from_slice(&self.prefix);
            let place = (position(start)?, position(self.prefix.len())?);
            if entry.mode.is_tree() {
                let before = self.listing.directories.len();
                self.listing.directories.push(place);
                let (entries, grandchildren) = self.descend(child)?;
                if entries == 0 {
                    // git makes no directory for a tree without files.
                    self.listing.directories.truncate(before);
                }
                let name = entry.filename.to_vec();
                children.push(Node {
                    name,
                    id: child,
                    entries,
                    children: grandchildren,
                });
            } else {
                let (kind, (start, length)) = (entry.mode.kind(), place);
                self.listing.entries.push(Entry {
                    kind,
                    id: child,
                    start,
                    length,
                });
            }
            self.prefix.truncate(length);
        }
        Ok((self.listing.entries.len() - first, children))
    }

    /// Extends the prefix by a name that stays in its directory.
    fn enter(&mut self, name: &[u8], link: bool) -> Result<()> {
        let mut checked = path::check_known(name);
        if link {
            checked = checked.and_then(|()| path::check_link(name));
        }
        let slash = usize::from(!self.prefix.is_empty());
        if self.prefix.len() + slash + name.len() > path::PATH_BYTES_MAX {
            checked = Err("is longer than 4096 bytes");
        }
        if let Err(why) = checked {
            let path = [&self.prefix[..], &b"/"[..slash], name].concat();
            let path = path.escape_ascii();
            return Err(Error::BadPath(format!("the path \"{path}\" {why}")));
        }
        if !self.prefix.is_empty() {
            self.prefix.push(b'/');
        }
        self.prefix.extend_from_slice(name);
        Ok(())
    }
}

fn is_in_cone(directory: &[u8], cone: &[String]) -> bool {
    directory.is_empty()
        || cone.iter().any(|inside| {
            let inside = inside.as_bytes();
            path::is_at_or_below(directory, inside) || path::is_at_or_below(inside, directory)
        })
}

fn position(value: usize) -> Result<u32> {
    u32::try_from(value)
        .map_err(|_| Error::Unsupported("a tree whose paths fill more than 4 GiB".into()))
}
