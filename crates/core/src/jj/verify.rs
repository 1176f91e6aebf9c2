//! Walks everything the operation log reaches and compares it with its name.
//!
//! What git wrote before we came is git's to check (`git fsck`): the walk stops at commits that the
//! keep ref holds, and takes their trees as given.

use std::collections::{BTreeSet, HashSet};

use gix::ObjectId;
use gix::objs::Kind;
use jj_lib::backend::CommitId;
use jj_lib::content_hash::blake2b_hash;
use jj_lib::object_id::ObjectId as _;
use jj_lib::op_store::{OperationId, View, ViewId};
use jj_lib::repo::Repo as _;
use jj_lib::stacked_table::{ReadonlyTable, TableSegment as _};
use pollster::FutureExt as _;

use crate::commit::{self, change_id_to_text};
use crate::error::{Doing, Result};
use crate::jj::{Core, to_jj};
use crate::keep;
use crate::objects::Objects;
use crate::tree::{self, SUBMODULE};

/// A broken invariant: which one, of what, and how.
#[derive(Clone, Debug)]
pub struct Problem {
    pub invariant: &'static str,
    pub place: String,
    pub what: String,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub operations: usize,
    pub views: usize,
    pub commits: usize,
    pub trees: usize,
    pub blobs: usize,
    pub problems: Vec<Problem>,
}

impl Verified {
    fn found(&mut self, invariant: &'static str, place: impl ToString, what: impl ToString) {
        let problem = Problem {
            invariant,
            place: place.to_string(),
            what: what.to_string(),
        };
        self.problems.push(problem);
    }
}

impl Core {
    /// Checks I2, I5 and I11 over the newest `limit` operations, over all when absent.
    pub fn verify(&mut self, limit: Option<usize>) -> Result<Verified> {
        let mut report = Verified::default();
        let named = self.verify_operations(limit, &mut report)?;
        let mut heads = Vec::new();
        for id in named {
            if self
                .repo
                .index()
                .has_id(&id)
                .block_on()
                .doing("looking up a commit")?
            {
                heads.push(id);
            } else {
                report.found(
                    "I2",
                    id.hex(),
                    "a view names this commit, the index lacks it",
                );
            }
        }
        let held = keep::held(&mut self.objects)?;
        let mut known = Vec::new();
        for id in held.iter().flatten() {
            if self.knows(&id.to_string())? {
                known.push(to_jj(*id));
            }
        }
        let ids = self.range(heads, known, None)?;
        let ours: HashSet<ObjectId> = ids.iter().copied().collect();
        let extras = self.extras.get_head().doing("reading jj's commit table")?;
        // A fresh handle without a cache: the disk is what is checked.
        let mut disk = Disk {
            objects: Objects::open(&self.paths.git_dir)?,
            seen: HashSet::new(),
            inherited: HashSet::new(),
        };
        for id in held.last().into_iter().flatten() {
            disk.take_as_given(*id, true, &mut report);
        }
        for id in ids.iter().rev() {
            disk.commit(*id, &ours, &extras, &mut report);
        }
        Ok(report)
    }

    /// Reads and hashes operations and views; returns every commit they name.
    fn verify_operations(
        &self,
        limit: Option<usize>,
        report: &mut Verified,
    ) -> Result<BTreeSet<CommitId>> {
        let store = self.repo.op_store();
        // The commit index is that of one head; others are for the caller to report.
        let mut next: Vec<OperationId> = vec![self.repo.op_id().clone()];
        let mut seen: HashSet<OperationId> = HashSet::new();
        let mut views: HashSet<ViewId> = HashSet::new();
        let mut named = BTreeSet::new();
        while let Some(id) = next.pop() {
            if limit.is_some_and(|limit| report.operations >= limit) || !seen.insert(id.clone()) {
                continue;
            }
            let operation = match store.read_operation(&id).block_on() {
                Ok(operation) => operation,
                Err(error) => {
                    report.found("I2", format!("operation {}", id.hex()), error);
                    continue;
                }
            };
            report.operations += 1;
            if id == *store.root_operation_id() {
                continue;
            }
            if blake2b_hash(&operation).as_slice() != id.as_bytes() {
                report.found(
                    "I2",
                    format!("operation {}", id.hex()),
                    "does not hash to its name",
                );
            }
            next.extend(operation.parents);
            if !views.insert(operation.view_id.clone()) {
                continue;
            }
            match store.read_view(&operation.view_id).block_on() {
                Ok(view) => {
                    report.views += 1;
                    if blake2b_hash(&view).as_slice() != operation.view_id.as_bytes() {
                        let place = format!("view {}", operation.view_id.hex());
                        report.found("I2", place, "does not hash to its name");
                    }
                    named.extend(commits_of(&view));
                }
                Err(error) => {
                    report.found("I2", format!("view {}", operation.view_id.hex()), error);
                }
            }
        }
        Ok(named)
    }
}

fn commits_of(view: &View) -> impl Iterator<Item = CommitId> {
    let bookmarks = view
        .local_bookmarks
        .values()
        .flat_map(|target| target.added_ids());
    view.head_ids.iter().chain(bookmarks).cloned()
}

/// Objects as they lie on the disk, each looked at once.
struct Disk {
    objects: Objects,
    seen: HashSet<ObjectId>,
    /// Names the policy refuses that the history we began with has.
    inherited: HashSet<Vec<u8>>,
}

impl Disk {
    fn commit(
        &mut self,
        id: ObjectId,
        ours: &HashSet<ObjectId>,
        extras: &ReadonlyTable,
        report: &mut Verified,
    ) {
        let Some(data) = self.read(id, Kind::Commit, report) else {
            return;
        };
        report.commits += 1;
        let commit = match commit::decode(id, &data) {
            Ok(commit) => commit,
            Err(error) => return report.found("I2", id, error),
        };
        match extras.get_value(id.as_slice()).map(change_in_extras) {
            None => report.found("I5", id, "jj's commit table lacks this commit"),
            Some(Some(change)) if change_id_to_text(&change) == commit.change => {}
            Some(_) => report.found("I5", id, "jj's commit table has another change id"),
        }
        for parent in commit.parents {
            if !ours.contains(&parent) {
                self.take_as_given(parent, false, report);
            }
        }
        self.tree(commit.tree, report);
    }

    fn tree(&mut self, id: ObjectId, report: &mut Verified) {
        if id.is_empty_tree() || !self.seen.insert(id) {
            return;
        }
        let Some(data) = self.read(id, Kind::Tree, report) else {
            return;
        };
        report.trees += 1;
        for entry in tree::entries(&data) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return report.found("I2", id, error),
            };
            if let Err(why) = tatami_worktree::path::check_component(entry.name)
                && !self.inherited.contains(entry.name)
            {
                let name = entry.name.escape_ascii();
                report.found(
                    "I11",
                    format!("tree {id}"),
                    format!("name \"{name}\" {why}"),
                );
            }
            if entry.is_tree() {
                self.tree(entry.id, report);
            } else if entry.mode != SUBMODULE && self.seen.insert(entry.id) {
                report.blobs += usize::from(self.read(entry.id, Kind::Blob, report).is_some());
            }
        }
    }

    /// Marks what a commit of git's own has, so that only what ours added is looked at.
    fn take_as_given(&mut self, id: ObjectId, inherit: bool, report: &mut Verified) {
        if !self.seen.insert(id) {
            return;
        }
        let mut next = match commit::tree_of(&mut self.objects, id) {
            Ok(tree) => vec![tree],
            Err(error) => return report.found("I2", id, error),
        };
        while let Some(id) = next.pop() {
            if id.is_empty_tree() || !self.seen.insert(id) {
                continue;
            }
            let data = match self.objects.tree(id) {
                Ok(data) => data,
                Err(error) => return report.found("I2", id, error),
            };
            for entry in tree::entries(&data).flatten() {
                if inherit && tatami_worktree::path::check_component(entry.name).is_err() {
                    self.inherited.insert(entry.name.to_vec());
                }
                if entry.is_tree() {
                    next.push(entry.id);
                } else {
                    self.seen.insert(entry.id);
                }
            }
        }
    }

    fn read(&self, id: ObjectId, wanted: Kind, report: &mut Verified) -> Option<Vec<u8>> {
        let found = match self.objects.git().try_find_object(id) {
            Ok(Some(found)) => found.detach(),
            Ok(None) => {
                report.found("I2", id, format!("this {wanted} is missing"));
                return None;
            }
            Err(error) => {
                report.found("I2", id, format!("this {wanted} cannot be read: {error}"));
                return None;
            }
        };
        let hash = gix::objs::compute_hash(gix::hash::Kind::Sha1, found.kind, &found.data).ok();
        if hash != Some(id) || found.kind != wanted {
            report.found("I2", id, format!("this {wanted} does not hash to its name"));
            return None;
        }
        Some(found.data)
    }
}

/// The change id (field 4) in an entry of jj's commit table.
fn change_in_extras(mut data: &[u8]) -> Option<[u8; 16]> {
    while let [key, rest @ ..] = data {
        match key & 7 {
            0 => data = &rest[rest.iter().position(|byte| byte & 0x80 == 0)? + 1..],
            2 => {
                let (&size, rest) = rest.split_first()?;
                let value = rest.get(..usize::from(size))?;
                if key >> 3 == 4 {
                    return value.try_into().ok();
                }
                data = &rest[usize::from(size)..];
            }
            _ => return None,
        }
    }
    None
}
