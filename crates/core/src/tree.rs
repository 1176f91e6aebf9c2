//! Git trees: reading their entries, and applying a commit's changes to them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use gix::ObjectId;

use crate::error::{Code, Error, Result};

pub const TREE: u32 = 0o40000;
pub const SUBMODULE: u32 = 0o160000;
pub const LINK: u32 = 0o120000;
const ID_BYTES: usize = 20;
/// Directories inside each other; git has no limit, the stack has.
pub const DEPTH_MAX: usize = 256;

/// One entry of a tree, borrowed from its bytes. The mode is normalised as git does it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    pub mode: u32,
    pub name: &'a [u8],
    pub id: ObjectId,
}

impl Entry<'_> {
    pub fn is_tree(&self) -> bool {
        self.mode == TREE
    }
}

/// Iterates over a tree's entries; yields one error and stops where the bytes are no tree.
pub fn entries(data: &[u8]) -> impl Iterator<Item = Result<Entry<'_>>> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let at = rest.filter(|data| !data.is_empty())?;
        match split(at) {
            Some((entry, after)) => {
                rest = Some(after);
                Some(Ok(entry))
            }
            None => {
                rest = None;
                Some(Err(Error::new(Code::Corrupt, "a tree object is damaged")))
            }
        }
    })
}

/// The entry of this name, if any.
pub fn find<'a>(data: &'a [u8], name: &[u8]) -> Result<Option<Entry<'a>>> {
    for entry in entries(data) {
        let entry = entry?;
        if entry.name == name {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn split(data: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let space = data.iter().take(8).position(|&byte| byte == b' ')?;
    let mut mode = 0u32;
    for &digit in &data[..space] {
        mode = mode * 8 + u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 8)?);
    }
    let rest = &data[space + 1..];
    let end = rest.iter().position(|&byte| byte == 0)?;
    let id = rest.get(end + 1..end + 1 + ID_BYTES)?;
    let entry = Entry {
        mode: normal_mode(mode),
        name: &rest[..end],
        id: ObjectId::from_bytes_or_panic(id),
    };
    (end > 0).then_some((entry, &rest[end + 1 + ID_BYTES..]))
}

/// Old trees hold modes such as 100664; git reads them as one of the five it knows.
fn normal_mode(mode: u32) -> u32 {
    match mode & 0o170000 {
        0o040000 => TREE,
        0o120000 => LINK,
        0o160000 => SUBMODULE,
        _ if mode & 0o100 != 0 => 0o100755,
        _ => 0o100644,
    }
}

/// A change of one path: its new mode and object, or None for a deletion.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    pub path: &'a str,
    pub new: Option<(u32, ObjectId)>,
}

/// Where an edit reads trees from and puts new ones.
pub trait Trees {
    fn tree(&mut self, id: ObjectId) -> Result<crate::objects::Data>;
    fn write_tree(&mut self, data: Vec<u8>) -> Result<ObjectId>;
}

/// Applies edits to the tree `root` and returns the new root tree.
///
/// A path that would be both a file and a directory is refused, as is a new name that differs
/// from its neighbour only in case. Deleting what is not there changes nothing.
pub fn edit(trees: &mut impl Trees, root: ObjectId, edits: &[Edit<'_>]) -> Result<ObjectId> {
    let mut sorted: Vec<Part<'_>> = edits
        .iter()
        .map(|edit| Part {
            rest: edit.path,
            new: edit.new,
            path: edit.path,
        })
        .collect();
    sorted.sort_by(|a, b| a.rest.split('/').cmp(b.rest.split('/')));
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0].rest == pair[1].rest) {
        return Err(bad_path(twice[0].path, "is given twice"));
    }
    match edit_directory(trees, Some(root), &sorted, 0)? {
        Some(id) => Ok(id),
        None => trees.write_tree(Vec::new()),
    }
}

/// An edit seen from one directory: what is left of its path, and the whole of it for messages.
#[derive(Clone, Copy)]
struct Part<'a> {
    rest: &'a str,
    new: Option<(u32, ObjectId)>,
    path: &'a str,
}

/// One entry of a directory after an edit; fresh: the directory had no such name.
pub(crate) struct Replaced<'a> {
    pub name: &'a str,
    pub new: Option<(u32, ObjectId)>,
    pub path: &'a str,
    pub fresh: bool,
}

/// Returns the new tree, or None where nothing is left in it.
fn edit_directory(
    trees: &mut impl Trees,
    base: Option<ObjectId>,
    parts: &[Part<'_>],
    depth: usize,
) -> Result<Option<ObjectId>> {
    if depth > DEPTH_MAX {
        return Err(bad_path(parts[0].path, "lies too deep"));
    }
    let data = match base {
        Some(id) => trees.tree(id)?,
        None => std::sync::Arc::from(&[][..]),
    };
    let mut replaced = Vec::new();
    for group in parts.chunk_by(|a, b| head(a.rest) == head(b.rest)) {
        let name = head(group[0].rest);
        let old = find(&data, name.as_bytes())?;
        let new = edit_entry(trees, old, group, depth)?;
        if new != old.map(|old| (old.mode, old.id)) {
            let fresh = old.is_none();
            replaced.push(Replaced {
                name,
                new,
                path: group[0].path,
                fresh,
            });
        }
    }
    if replaced.is_empty() && base.is_some() {
        return Ok(if data.is_empty() { None } else { base });
    }
    refuse_twins(&data, &replaced)?;
    let written = splice(&data, &mut replaced)?;
    if written.is_empty() {
        Ok(None)
    } else {
        trees.write_tree(written).map(Some)
    }
}

fn edit_entry(
    trees: &mut impl Trees,
    old: Option<Entry<'_>>,
    group: &[Part<'_>],
    depth: usize,
) -> Result<Option<(u32, ObjectId)>> {
    let name = head(group[0].rest);
    // The shorter path sorts first, so the edit of the name itself leads its group.
    let (direct, below) = match group[0].rest == name {
        true => (Some(&group[0]), &group[1..]),
        false => (None, group),
    };
    let old_tree = old.filter(Entry::is_tree).map(|old| old.id);
    let kept = old.map(|old| (old.mode, old.id));
    if below.is_empty() {
        let direct = direct.expect("a group has an edit");
        return match (direct.new, old_tree) {
            (_, Some(_)) => Err(bad_path(direct.path, "is a directory")),
            (new, None) => Ok(new),
        };
    }
    let inner: Vec<Part<'_>> = below
        .iter()
        .map(|part| Part {
            rest: &part.rest[name.len() + 1..],
            ..*part
        })
        .collect();
    if old.is_some() && old_tree.is_none() && direct.is_none() {
        return match below.iter().find(|part| part.new.is_some()) {
            Some(part) => Err(bad_path(part.path, "lies below a file")),
            None => Ok(kept),
        };
    }
    let left = edit_directory(trees, old_tree, &inner, depth + 1)?;
    match (direct.and_then(|direct| direct.new), left) {
        (Some(_), Some(_)) => Err(bad_path(group[0].path, "would be a file and a directory")),
        (Some(new), None) => Ok(Some(new)),
        (None, left) => Ok(left.map(|id| (TREE, id))),
    }
}

fn head(rest: &str) -> &str {
    rest.split('/').next().unwrap_or(rest)
}

/// Copies a tree's bytes with some entries replaced, keeping git's order.
fn splice(data: &[u8], replaced: &mut [Replaced<'_>]) -> Result<Vec<u8>> {
    let gone: HashSet<&[u8]> = replaced.iter().map(|one| one.name.as_bytes()).collect();
    let mut new: Vec<Entry<'_>> = replaced
        .iter()
        .filter_map(|one| {
            one.new.map(|(mode, id)| Entry {
                mode,
                name: one.name.as_bytes(),
                id,
            })
        })
        .collect();
    new.sort_by(order);
    let mut pending = new.iter().peekable();
    let mut out = Vec::with_capacity(data.len() + 64 * new.len());
    for entry in entries(data) {
        let entry = entry?;
        if gone.contains(entry.name) {
            continue;
        }
        while let Some(next) = pending.next_if(|next| order(next, &entry) == Ordering::Less) {
            push(&mut out, next);
        }
        push(&mut out, &entry);
    }
    for next in pending {
        push(&mut out, next);
    }
    Ok(out)
}

fn push(out: &mut Vec<u8>, entry: &Entry<'_>) {
    out.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
    out.extend_from_slice(entry.name);
    out.push(0);
    out.extend_from_slice(entry.id.as_slice());
}

/// Git compares names as if a directory's ended in a slash.
fn order(a: &Entry<'_>, b: &Entry<'_>) -> Ordering {
    let key = |entry: &Entry<'_>, at: usize| match entry.name.get(at) {
        Some(&byte) => Some(byte),
        None if at == entry.name.len() && entry.is_tree() => Some(b'/'),
        None => None,
    };
    let common = a.name.len().min(b.name.len());
    a.name[..common]
        .cmp(&b.name[..common])
        .then_with(|| key(a, common).cmp(&key(b, common)))
}

/// Two names that a case-folding file system takes for one can never be checked out there.
pub(crate) fn refuse_twins(data: &[u8], replaced: &[Replaced<'_>]) -> Result<()> {
    if !replaced.iter().any(|one| one.fresh && one.new.is_some()) {
        return Ok(());
    }
    let gone: HashSet<&[u8]> = replaced.iter().map(|one| one.name.as_bytes()).collect();
    let mut folded: HashMap<Vec<u8>, &[u8]> = HashMap::new();
    for entry in entries(data) {
        let entry = entry?;
        if !gone.contains(entry.name) {
            folded.insert(fold(entry.name), entry.name);
        }
    }
    // Names that were there stay allowed, so they go in before the fresh ones are tested.
    let there = |fresh: bool| {
        replaced
            .iter()
            .filter(move |one| one.new.is_some() && one.fresh == fresh)
    };
    for one in there(false) {
        folded.insert(fold(one.name.as_bytes()), one.name.as_bytes());
    }
    for one in there(true) {
        let twin = folded.insert(fold(one.name.as_bytes()), one.name.as_bytes());
        if let Some(twin) = twin {
            let (name, twin) = (one.name, String::from_utf8_lossy(twin));
            let case = "only in upper and lower case";
            let why = format!("has {name:?}, which differs from {twin:?} beside it {case}");
            return Err(bad_path(one.path, &why));
        }
    }
    Ok(())
}

fn fold(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => name.to_ascii_lowercase(),
    }
}

pub fn bad_path(path: &str, why: &str) -> Error {
    Error::new(Code::BadPath, format!("path {path:?} {why}"))
}
