//! Comparing trees: listings, differences, and three-way merges that stop at the file.

use gix::ObjectId;

use crate::error::{Code, Error, Result};
use crate::objects::{Data, Objects};
use crate::tree::{self, Entry, SUBMODULE, TREE};

/// A side of a path: its mode and object, or None where there is nothing.
pub type Side = Option<(u32, ObjectId)>;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TreeEntry {
    pub path: String,
    pub mode: u32,
    pub id: ObjectId,
}

/// A path that differs between two trees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileDiff {
    pub path: String,
    pub old: Side,
    pub new: Side,
}

/// A path that both sides changed, each in its own way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathConflict {
    pub path: String,
    pub base: Side,
    pub ours: Side,
    pub theirs: Side,
}

/// What to apply to *ours* to take over what only *theirs* changed, and what both changed.
#[derive(Clone, Debug, Default)]
pub struct TreeMerge {
    pub changes: Vec<(String, Side)>,
    pub conflicts: Vec<PathConflict>,
}

/// Every file of a tree below `prefix` ("" is the whole tree), in tree order.
pub fn list(objects: &mut Objects, root: ObjectId, prefix: &str) -> Result<Vec<TreeEntry>> {
    let mut found = Vec::new();
    if prefix.is_empty() {
        list_below(objects, root, "", &mut found)?;
        return Ok(found);
    }
    let prefix = prefix.trim_end_matches('/');
    match lookup(objects, root, prefix)? {
        Some((TREE, id)) => list_below(objects, id, prefix, &mut found)?,
        Some((mode, id)) => found.push(TreeEntry {
            path: prefix.to_owned(),
            mode,
            id,
        }),
        None => {}
    }
    Ok(found)
}

fn list_below(
    objects: &mut Objects,
    tree: ObjectId,
    at: &str,
    found: &mut Vec<TreeEntry>,
) -> Result<()> {
    let data = objects.tree(tree)?;
    for entry in tree::entries(&data) {
        let entry = entry?;
        let path = join(at, entry.name)?;
        if entry.is_tree() {
            list_below(objects, entry.id, &path, found)?;
        } else {
            found.push(TreeEntry {
                path,
                mode: entry.mode,
                id: entry.id,
            });
        }
    }
    Ok(())
}

/// Mode and object at a path.
pub fn lookup(objects: &mut Objects, root: ObjectId, path: &str) -> Result<Side> {
    crate::prepare::lookup(&mut ReadOnly(objects), root, path)
}

struct ReadOnly<'o>(&'o mut Objects);

impl tree::Trees for ReadOnly<'_> {
    fn tree(&mut self, id: ObjectId) -> Result<Data> {
        self.0.tree(id)
    }

    fn write_tree(&mut self, _: Vec<u8>) -> Result<ObjectId> {
        Err(Error::new(Code::Unsupported, "a lookup does not write"))
    }
}

/// The paths that differ, sorted by name within each directory.
pub fn diff(objects: &mut Objects, old: ObjectId, new: ObjectId) -> Result<Vec<FileDiff>> {
    let mut found = Vec::new();
    diff_side(
        objects,
        "",
        Some((TREE, old)),
        Some((TREE, new)),
        &mut found,
    )?;
    Ok(found)
}

/// Compares one path's two sides; a directory counts as the files in it.
fn diff_side(
    objects: &mut Objects,
    path: &str,
    old: Side,
    new: Side,
    found: &mut Vec<FileDiff>,
) -> Result<()> {
    if old == new {
        return Ok(());
    }
    let (old_file, old_tree) = split(old);
    let (new_file, new_tree) = split(new);
    if old_file.is_some() || new_file.is_some() {
        found.push(FileDiff {
            path: path.to_owned(),
            old: old_file,
            new: new_file,
        });
    }
    if old_tree.is_some() || new_tree.is_some() {
        let (old, new) = (read(objects, old_tree)?, read(objects, new_tree)?);
        for (name, [old, new]) in align([&old, &new])? {
            if old != new {
                diff_side(objects, &join(path, name)?, old, new, found)?;
            }
        }
    }
    Ok(())
}

/// Merges trees: what one side left alone is taken from the other; files are not opened.
pub fn merge(
    objects: &mut Objects,
    base: ObjectId,
    ours: ObjectId,
    theirs: ObjectId,
) -> Result<TreeMerge> {
    let mut merged = TreeMerge::default();
    let sides = [base, ours, theirs].map(|id| Some((TREE, id)));
    merge_side(objects, "", sides, &mut merged)?;
    Ok(merged)
}

fn merge_side(
    objects: &mut Objects,
    path: &str,
    sides: [Side; 3],
    merged: &mut TreeMerge,
) -> Result<()> {
    let [base, ours, theirs] = sides;
    if ours == theirs || base == theirs {
        return Ok(());
    }
    if base == ours {
        return take_theirs(objects, path, ours, theirs, merged);
    }
    let [
        (_, base_tree),
        (our_file, our_tree),
        (their_file, their_tree),
    ] = sides.map(split);
    if our_file.is_some() || their_file.is_some() || (our_tree.is_none() && their_tree.is_none()) {
        return merge_files(path, sides, merged);
    }
    let trees = [base_tree, our_tree, their_tree];
    let mut data: [Data; 3] = [
        read(objects, None)?,
        read(objects, None)?,
        read(objects, None)?,
    ];
    for (slot, tree) in data.iter_mut().zip(trees) {
        *slot = read(objects, tree)?;
    }
    for (name, sides) in align([&data[0], &data[1], &data[2]])? {
        if sides[1] != sides[2] && sides[0] != sides[2] {
            merge_side(objects, &join(path, name)?, sides, merged)?;
        }
    }
    Ok(())
}

/// Modes merge on their own where the contents agree, and contents where the modes do.
fn merge_files(path: &str, sides: [Side; 3], merged: &mut TreeMerge) -> Result<()> {
    let [base, ours, theirs] = sides;
    if let (Some(base), Some(ours), Some(theirs)) = (base, ours, theirs) {
        let plain = |side: (u32, ObjectId)| matches!(side.0, 0o100644 | 0o100755);
        if plain(base) && plain(ours) && plain(theirs) {
            let mode = pick(base.0, ours.0, theirs.0);
            let id = pick(base.1, ours.1, theirs.1);
            if let (Some(mode), Some(id)) = (mode, id) {
                merged.changes.push((path.to_owned(), Some((mode, id))));
                return Ok(());
            }
        }
    }
    merged.conflicts.push(PathConflict {
        path: path.to_owned(),
        base,
        ours,
        theirs,
    });
    Ok(())
}

fn pick<T: PartialEq>(base: T, ours: T, theirs: T) -> Option<T> {
    if ours == theirs || base == theirs {
        Some(ours)
    } else if base == ours {
        Some(theirs)
    } else {
        None
    }
}

fn take_theirs(
    objects: &mut Objects,
    path: &str,
    ours: Side,
    theirs: Side,
    merged: &mut TreeMerge,
) -> Result<()> {
    let mut differing = Vec::new();
    diff_side(objects, path, ours, theirs, &mut differing)?;
    merged
        .changes
        .extend(differing.into_iter().map(|diff| (diff.path, diff.new)));
    Ok(())
}

/// A side as a file, or as a tree.
fn split(side: Side) -> (Side, Option<ObjectId>) {
    match side {
        Some((TREE, id)) => (None, Some(id)),
        other => (other, None),
    }
}

fn read(objects: &mut Objects, tree: Option<ObjectId>) -> Result<Data> {
    match tree {
        Some(id) => objects.tree(id),
        None => Ok(std::sync::Arc::from(&[][..])),
    }
}

/// Entries of several trees by name; sorted by plain bytes, so that a file and a directory of one
/// name meet.
fn align<const N: usize>(trees: [&[u8]; N]) -> Result<Vec<(&[u8], [Side; N])>> {
    let mut rows: std::collections::BTreeMap<&[u8], [Side; N]> = Default::default();
    for (at, data) in trees.into_iter().enumerate() {
        for entry in tree::entries(data) {
            let Entry { mode, name, id } = entry?;
            rows.entry(name).or_insert([None; N])[at] = Some((mode, id));
        }
    }
    Ok(rows.into_iter().collect())
}

fn join(at: &str, name: &[u8]) -> Result<String> {
    let name = std::str::from_utf8(name).map_err(|_| {
        let shown = format!("{at}/{}", name.escape_ascii());
        Error::new(
            Code::BadPath,
            format!("path \"{}\" is not UTF-8", shown.trim_start_matches('/')),
        )
    })?;
    Ok(if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}/{name}")
    })
}

/// Paths that would conflict if the two trees were merged, contents included; writes nothing.
pub fn preview(
    objects: &mut Objects,
    base: ObjectId,
    ours: ObjectId,
    theirs: ObjectId,
) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for conflict in merge(objects, base, ours, theirs)?.conflicts {
        if !merges_as_text(objects, &conflict)? {
            left.push(conflict.path);
        }
    }
    Ok(left)
}

fn merges_as_text(objects: &mut Objects, conflict: &PathConflict) -> Result<bool> {
    let mut texts = Vec::with_capacity(3);
    let mut modes = Vec::with_capacity(3);
    for side in [conflict.base, conflict.ours, conflict.theirs] {
        match side {
            Some((mode, id)) if mode != SUBMODULE && mode != TREE && mode != tree::LINK => {
                texts.push(objects.blob(id)?);
                modes.push(mode);
            }
            _ => return Ok(false),
        }
    }
    Ok(pick(modes[0], modes[1], modes[2]).is_some()
        && crate::text::merge(&texts[0], &texts[1], &texts[2]).is_some())
}

/// Mode and content of the file at a path; a directory or submodule has no content to give.
pub fn read_file(
    objects: &mut Objects,
    root: ObjectId,
    path: &str,
) -> Result<Option<(u32, Vec<u8>)>> {
    match lookup(objects, root, path)? {
        Some((mode, id)) if mode != TREE && mode != SUBMODULE => {
            Ok(Some((mode, objects.blob(id)?.to_vec())))
        }
        _ => Ok(None),
    }
}
