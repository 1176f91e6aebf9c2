//! Builds blobs, trees and commits in memory. Their ids are final; nothing touches the disk.

use std::collections::HashMap;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind;

use crate::admit;
use crate::commit::{self, change_id_to_text};
use crate::error::{Code, Doing, Error, Result};
use crate::objects::{Data, Objects, parse_id};
use crate::pack::{Compressor, Packed};
use crate::spec::{Change, CommitSpec, Content};
use crate::tree::{self, Edit, SUBMODULE};

/// Blobs up to this size stay in memory until they can be read from disk cheaply.
const KEPT_BLOB_BYTES_MAX: usize = 64 << 10;

/// A commit built in memory.
#[derive(Clone)]
pub struct Prepared {
    pub commit: ObjectId,
    pub change: [u8; 16],
    pub tree: ObjectId,
    pub predecessors: Vec<ObjectId>,
    /// The commit object itself.
    pub data: Data,
}

impl Prepared {
    pub fn change_text(&self) -> String {
        change_id_to_text(&self.change)
    }
}

/// Commits in the order of their specs, and every object they bring, each once.
#[derive(Default)]
pub struct Batch {
    pub commits: Vec<Prepared>,
    pub objects: Vec<Packed>,
}

impl Batch {
    pub fn object_bytes(&self) -> usize {
        self.objects.iter().map(Packed::bytes).sum()
    }
}

/// Builds the commits of a batch. `fresh_change` yields change ids.
pub fn prepare(
    objects: &mut Objects,
    compressor: &mut Compressor,
    specs: &[CommitSpec<'_>],
    mut fresh_change: impl FnMut() -> [u8; 16],
) -> Result<Batch> {
    let mut build = Build {
        objects,
        staged: HashMap::new(),
        batch: Batch::default(),
        compressor,
    };
    for spec in specs {
        let fresh = match &spec.change {
            Some(text) => commit::change_id_from_text(text)?,
            None => fresh_change(),
        };
        build.commit(spec, fresh)?;
    }
    Ok(build.batch)
}

/// An object of this batch; without its bytes where those are too many to keep.
#[derive(Clone)]
struct Staged {
    kind: Kind,
    data: Data,
}

struct Build<'o> {
    objects: &'o mut Objects,
    staged: HashMap<ObjectId, Staged>,
    batch: Batch,
    compressor: &'o mut Compressor,
}

impl Build<'_> {
    fn commit(&mut self, spec: &CommitSpec<'_>, change: [u8; 16]) -> Result<()> {
        let parents = spec
            .parents
            .iter()
            .map(|name| self.id(name))
            .collect::<Result<Vec<_>>>()?;
        let base = match (&spec.base, parents.first()) {
            (Some(base), _) => self.id(base)?,
            (None, Some(parent)) => *parent,
            (None, None) => ObjectId::empty_tree(gix::hash::Kind::Sha1),
        };
        let root = self.tree_of(base)?;
        let tree = self.apply(root, &spec.changes)?;
        let data = commit::encode(spec, &parents, tree, &change)?;
        let id = self.stage(Kind::Commit, &data, true)?;
        let predecessors = spec
            .predecessors
            .iter()
            .map(|hex| parse_id(hex))
            .collect::<Result<_>>()?;
        let data = self
            .staged
            .get(&id)
            .map_or_else(|| Arc::from(&data[..]), |staged| staged.data.clone());
        self.batch.commits.push(Prepared {
            commit: id,
            change,
            tree,
            predecessors,
            data,
        });
        Ok(())
    }

    fn apply(&mut self, root: ObjectId, changes: &[Change<'_>]) -> Result<ObjectId> {
        let mut edits = Vec::with_capacity(changes.len());
        for change in changes {
            // What the base has under such a name may be changed and removed.
            if let Err(why) = tatami_worktree::path::check(change.path)
                && lookup(self, root, change.path)?.is_none()
            {
                return Err(tree::bad_path(change.path, why));
            }
            edits.push(Edit {
                path: change.path,
                new: self.content(root, change)?,
            });
        }
        tree::edit(self, root, &edits)
    }

    fn content(&mut self, root: ObjectId, change: &Change<'_>) -> Result<Option<(u32, ObjectId)>> {
        if !matches!(change.content, Content::Deleted)
            && !matches!(change.mode, 0o100644 | 0o100755 | tree::LINK | SUBMODULE)
        {
            let what = format!("path {:?} has the mode {:o}", change.path, change.mode);
            return Err(Error::new(Code::BadInput, what));
        }
        Ok(match change.content {
            Content::Deleted => None,
            Content::Bytes(bytes) => {
                if change.mode == tree::LINK {
                    admit::link(change.path, bytes)?;
                }
                let keep = bytes.len() <= KEPT_BLOB_BYTES_MAX;
                Some((change.mode, self.stage(Kind::Blob, bytes, keep)?))
            }
            Content::Object(hex) => {
                let id = parse_id(hex)?;
                self.adopt(root, change, id)?;
                Some((change.mode, id))
            }
        })
    }

    /// Takes an existing blob into the batch, so that a `git gc` cannot part it from the commit;
    /// one that the base tree has at the same place already is held by the base.
    fn adopt(&mut self, root: ObjectId, change: &Change<'_>, id: ObjectId) -> Result<()> {
        if change.mode == SUBMODULE {
            return admit::submodule(change.path, id);
        }
        // A folder's or a submodule's id is not a file's content, wherever it is known from.
        let old = lookup(self, root, change.path)?
            .filter(|old| old.1 == id && !matches!(old.0, tree::TREE | SUBMODULE));
        if old.is_some_and(|(mode, _)| mode == change.mode) {
            return Ok(());
        }
        let staged = self.staged.get(&id).cloned();
        let content = match (&staged, old) {
            (Some(staged), _) if staged.kind == Kind::Blob => staged.data.clone(),
            (None, Some(_)) if change.mode != tree::LINK => return Ok(()),
            (None, _) => self.objects.blob(id).map_err(|error| {
                let what = format!("{:?} cannot have the content {id}", change.path);
                Error::new(Code::NotFound, format!("{what}: {}", error.message))
            })?,
            (Some(staged), _) => {
                let what = format!("{:?} cannot have the content {id}", change.path);
                let why = format!("it is a {}, not a blob", staged.kind);
                return Err(Error::new(Code::NotFound, format!("{what}: {why}")));
            }
        };
        if change.mode == tree::LINK {
            admit::link(change.path, &content)?;
        }
        if staged.is_none() && old.is_none() {
            let keep = content.len() <= KEPT_BLOB_BYTES_MAX;
            self.stage(Kind::Blob, &content, keep)?;
        }
        Ok(())
    }

    fn stage(&mut self, kind: Kind, data: &[u8], keep: bool) -> Result<ObjectId> {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, data)
            .doing("hashing an object")?;
        if self.staged.contains_key(&id) {
            return Ok(id);
        }
        let kept: Option<Data> = keep.then(|| Arc::from(data));
        let data_kept = kept.clone().unwrap_or_else(|| Arc::from(&[][..]));
        self.staged.insert(
            id,
            Staged {
                kind,
                data: data_kept,
            },
        );
        self.batch
            .objects
            .push(self.compressor.pack(id, kind, data, kept));
        Ok(id)
    }

    /// A full id, or "@N" for the N-th commit of this batch.
    fn id(&self, name: &str) -> Result<ObjectId> {
        let Some(number) = name.strip_prefix('@') else {
            return parse_id(name);
        };
        number
            .parse::<usize>()
            .ok()
            .and_then(|number| self.batch.commits.get(number))
            .map(|prepared| prepared.commit)
            .ok_or_else(|| Error::new(Code::BadInput, format!("no commit {name:?} in this batch")))
    }

    /// The tree of a commit, or the tree itself.
    fn tree_of(&mut self, id: ObjectId) -> Result<ObjectId> {
        if let Some(prepared) = self.batch.commits.iter().find(|one| one.commit == id) {
            return Ok(prepared.tree);
        }
        if self.staged.contains_key(&id) {
            return Ok(id);
        }
        commit::tree_of(self.objects, id)
    }
}

impl tree::Trees for Build<'_> {
    fn tree(&mut self, id: ObjectId) -> Result<Data> {
        match self.staged.get(&id) {
            Some(staged) => Ok(staged.data.clone()),
            None => self.objects.tree(id),
        }
    }

    fn write_tree(&mut self, data: Vec<u8>) -> Result<ObjectId> {
        self.stage(Kind::Tree, &data, true)
    }
}

/// Mode and object at a path of a tree, if there is one.
pub fn lookup(
    trees: &mut impl tree::Trees,
    root: ObjectId,
    path: &str,
) -> Result<Option<(u32, ObjectId)>> {
    let mut at = root;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let data = trees.tree(at)?;
        let Some(entry) = tree::find(&data, part.as_bytes())? else {
            return Ok(None);
        };
        match parts.peek() {
            None => return Ok(Some((entry.mode, entry.id))),
            Some(_) if entry.is_tree() => at = entry.id,
            Some(_) => return Ok(None),
        }
    }
    Ok(None)
}
