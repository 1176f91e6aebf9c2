//! What a commit may bring: names that every system reads alike, contents a checkout can hold.
//!
//! `prepare` asks while it builds. A commit that git made is judged afterwards, by what none of its
//! parents has: what is in the history already is not the newcomer's doing.

use std::collections::HashMap;

use gix::ObjectId;
use tatami_worktree::path;

use crate::commit;
use crate::error::{Code, Error, Result};
use crate::objects::{Data, Objects};
use crate::tree::{self, DEPTH_MAX, LINK, Replaced, SUBMODULE, TREE};

/// Linux takes targets shorter than `PATH_MAX`, which counts the NUL behind them.
const TARGET_BYTES_MAX: usize = 4095;

/// Refuses a symbolic link that no file system can hold.
pub fn link(path: &str, target: &[u8]) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or(path);
    path::check_link(name.as_bytes()).map_err(|why| tree::bad_path(path, why))?;
    let why = match target {
        [] => "is a symbolic link to nothing",
        _ if target.contains(&0) => "is a symbolic link whose target holds a NUL character",
        _ if target.len() > TARGET_BYTES_MAX => {
            "is a symbolic link whose target is longer than 4095 bytes"
        }
        _ => return Ok(()),
    };
    Err(bad_content(path, why))
}

/// Refuses a submodule at the id that git reads as "none".
pub fn submodule(path: &str, id: ObjectId) -> Result<()> {
    match id.is_null() {
        true => Err(bad_content(
            path,
            "is a submodule at no commit (id of zeros)",
        )),
        false => Ok(()),
    }
}

/// Refuses a commit of git's own where it brings what `prepare` would have refused.
pub fn commit(objects: &mut Objects, id: ObjectId) -> Result<()> {
    let found = commit::read(objects, id)?;
    let mut before = Vec::with_capacity(found.parents.len());
    for parent in found.parents {
        before.push(commit::tree_of(objects, parent)?);
    }
    Newcomer { objects }.tree("", found.tree, &before, 0)
}

struct Newcomer<'o> {
    objects: &'o mut Objects,
}

impl Newcomer<'_> {
    /// Judges what the directory `at` has and none of `before` has at this place.
    fn tree(&mut self, at: &str, id: ObjectId, before: &[ObjectId], depth: usize) -> Result<()> {
        if before.contains(&id) {
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(tree::bad_path(at, "lies too deep"));
        }
        let data = self.objects.tree(id)?;
        let read: Vec<Data> = before
            .iter()
            .map(|id| self.objects.tree(*id))
            .collect::<Result<_>>()?;
        let known = by_name(&read)?;
        let mut fresh = Vec::new();
        for entry in tree::entries(&data) {
            let entry = entry?;
            let old = known.get(entry.name).map_or(&[][..], Vec::as_slice);
            if old.contains(&(entry.mode, entry.id)) {
                continue;
            }
            let path = match old {
                [] => new_path(at, entry.name)?,
                _ => join(at, &String::from_utf8_lossy(entry.name)),
            };
            match entry.mode {
                TREE => {
                    let trees = old.iter().filter(|(mode, _)| *mode == TREE);
                    let trees: Vec<ObjectId> = trees.map(|(_, id)| *id).collect();
                    self.tree(&path, entry.id, &trees, depth + 1)?;
                }
                LINK => link(&path, &self.objects.blob(entry.id)?)?,
                SUBMODULE => submodule(&path, entry.id)?,
                _ => {}
            }
            if old.is_empty() {
                fresh.push(((entry.mode, entry.id), path));
            }
        }
        let fresh: Vec<Replaced<'_>> = fresh
            .iter()
            .map(|(new, path)| Replaced {
                name: path.rsplit('/').next().unwrap_or(path),
                new: Some(*new),
                path,
                fresh: true,
            })
            .collect();
        tree::refuse_twins(&data, &fresh)
    }
}

type Sides<'a> = HashMap<&'a [u8], Vec<(u32, ObjectId)>>;

fn by_name(trees: &[Data]) -> Result<Sides<'_>> {
    let mut found = Sides::new();
    for data in trees {
        for entry in tree::entries(data) {
            let entry = entry?;
            let sides = found.entry(entry.name).or_default();
            sides.push((entry.mode, entry.id));
        }
    }
    Ok(found)
}

/// The path of a name that is new here, if the policy takes it.
fn new_path(at: &str, name: &[u8]) -> Result<String> {
    let shown = || match std::str::from_utf8(name) {
        Ok(text) => join(at, text),
        Err(_) => join(at, &name.escape_ascii().to_string()),
    };
    path::check_component(name).map_err(|why| tree::bad_path(&shown(), why))?;
    let path = shown();
    if path.len() > path::PATH_BYTES_MAX {
        return Err(tree::bad_path(&path, "is longer than 4096 bytes"));
    }
    Ok(path)
}

fn join(at: &str, name: &str) -> String {
    match at {
        "" => name.to_owned(),
        _ => format!("{at}/{name}"),
    }
}

fn bad_content(path: &str, why: &str) -> Error {
    Error::new(Code::BadContent, format!("path {path:?} {why}"))
}
