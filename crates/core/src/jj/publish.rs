//! Publishing: one pack, one operation, two barriers, and a compare-and-swap of the op head.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jj_lib::backend::{self, ChangeId, CommitId, MillisSinceEpoch, Timestamp};
use jj_lib::commit::Commit as JjCommit;
use jj_lib::merge::Merge;
use jj_lib::object_id::ObjectId as _;
use jj_lib::op_store;
use jj_lib::operation::Operation as JjOperation;
use jj_lib::ref_name::GitRefName;
use jj_lib::repo::{MutableRepo, ReadonlyRepo, Repo as _};
use jj_lib::stacked_table::TableStore;
use jj_lib::transaction::create_op_metadata;
use pollster::FutureExt as _;

use crate::commit;
use crate::error::{Code, Doing, Error, Result};
use crate::jj::{Core, init, load, to_jj};
use crate::keep;
use crate::objects::parse_id;
use crate::pack::{self, Written};
use crate::prepare::{Batch, Prepared};
use crate::spec::{OpSpec, Signature};

/// The longest an operation may lie on the disk before an op head names it.
const UNREACHABLE_MAX: Duration = Duration::from_secs(600);

/// A published operation, with the microseconds of each step.
#[derive(Clone, Debug, Default)]
pub struct OpResult {
    pub op: String,
    pub write_us: u64,
    pub barrier1_us: u64,
    pub swap_us: u64,
    pub barrier2_us: u64,
}

impl Core {
    /// Publishes a batch with its operation. Durable and visible when it returns.
    ///
    /// Fails with `Stale`, and nothing visible, when somebody else moved the op head.
    pub fn publish(&mut self, batch: Option<&Batch>, spec: &OpSpec) -> Result<OpResult> {
        if !self.writes {
            return Err(Error::new(Code::Unsupported, "this handle only reads"));
        }
        if self.broken {
            let what = "an earlier sync failed; the repository has to be opened anew";
            return Err(Error::new(Code::SyncFailed, what));
        }
        self.require_current()?;
        self.renew_index()?;
        let mut result = OpResult::default();
        let mut clock = Instant::now();
        let mut lap = || {
            let passed = clock.elapsed().as_micros() as u64;
            clock = Instant::now();
            passed
        };
        let wrote = match self.write_all(batch, spec) {
            Err(error) if error.code == Code::Io => self.or_broken(Err(error)),
            wrote => wrote,
        };
        let (unpublished, written) = wrote?;
        result.write_us = lap();
        let synced = self.barrier_1(written.is_some());
        self.or_broken(synced)?;
        result.barrier1_us = lap();
        if let Err(error) = self.swap(&unpublished) {
            if error.code != Code::Stale {
                // Whether the head has moved only a fresh look at the disk can tell.
                return self.or_broken(Err(error));
            }
            written.into_iter().for_each(Written::discard);
            return Err(error);
        }
        result.swap_us = lap();
        let synced = self.barrier_2();
        self.or_broken(synced)?;
        result.barrier2_us = lap();
        self.repo = unpublished;
        if let Some(batch) = batch {
            self.remember(batch);
        }
        result.op = self.op();
        // It is published; what fails here is met again, and told, by the next one.
        let _ = self.renew_index();
        Ok(result)
    }

    /// Writes the pack, jj's table of change ids, and the operation, side by side: each syncs its
    /// own files, and the file system's journal takes syncs that meet in one go.
    fn write_all(
        &mut self,
        batch: Option<&Batch>,
        spec: &OpSpec,
    ) -> Result<(Arc<ReadonlyRepo>, Option<Written>)> {
        let mutable = self.start(spec)?;
        let objects = batch.map_or(&[][..], |batch| &batch.objects[..]);
        let commits = batch.map_or(&[][..], |batch| &batch.commits[..]);
        let (dir, extras) = (self.objects.pack_dir(), &self.extras);
        let this = &*self;
        thread::scope(|threads| {
            let packing =
                (!objects.is_empty()).then(|| threads.spawn(|| pack::write(&dir, objects, 0)));
            let registering =
                (!commits.is_empty()).then(|| threads.spawn(|| register(extras, commits)));
            let operation = this.write_operation(mutable, commits, spec);
            if let Some(registering) = registering {
                registering.join().expect("a panic is one here too")?;
            }
            let written = packing
                .map(|packing| packing.join().expect("a panic is one here too"))
                .transpose()?;
            match (operation, written) {
                (Ok(operation), written) => Ok((operation, written)),
                (Err(error), written) => {
                    // Kept from git's collection, it would stay for ever.
                    written.into_iter().for_each(Written::discard);
                    Err(error)
                }
            }
        })
    }

    /// A failed sync is final: the kernel reports it once and may have dropped the pages.
    fn or_broken<T>(&mut self, synced: Result<T>) -> Result<T> {
        synced.map_err(|error| {
            self.broken = true;
            Error::new(Code::SyncFailed, error.message)
        })
    }

    fn require_current(&self) -> Result<()> {
        if self.heads()? == [self.repo.op_id().clone()] {
            return Ok(());
        }
        Err(Error::new(
            Code::Stale,
            "another program moved the operation log",
        ))
    }

    fn swap(&self, unpublished: &ReadonlyRepo) -> Result<()> {
        let store = self.repo.op_heads_store();
        let _lock = store.lock().block_on().doing("locking the op heads")?;
        self.require_current()?;
        store
            .update_op_heads(unpublished.operation().parent_ids(), unpublished.op_id())
            .block_on()
            .doing("moving the op head")
    }

    /// Writes view, operation and index; loaded at the new, still invisible operation.
    fn write_operation(
        &self,
        mut mutable: MutableRepo,
        commits: &[Prepared],
        spec: &OpSpec,
    ) -> Result<Arc<ReadonlyRepo>> {
        let mut made = BTreeMap::new();
        for prepared in commits {
            let commit = self.jj_commit(prepared)?;
            mutable
                .add_head(&commit)
                .block_on()
                .doing("indexing a commit")?;
            // A commit that were its own predecessor would make jj's evolution log a circle.
            let others = prepared.predecessors.iter();
            let others = others.filter(|id| **id != prepared.commit);
            let predecessors = others.map(|id| to_jj(*id)).collect();
            made.insert(to_jj(prepared.commit), predecessors);
        }
        change_view(&mut mutable, spec)?;
        let (index, view, mut predecessors) = mutable
            .consume()
            .block_on()
            .doing("computing the view's heads")?;
        predecessors.extend(made);
        let store = self.repo.op_store();
        let view_id = store
            .write_view(view.store_view())
            .block_on()
            .doing("writing the view")?;
        self.keep_from_collection("views", &view_id.hex())?;
        let mut metadata = create_op_metadata(&self.settings, spec.description.clone(), false);
        metadata.attributes = spec.attributes.clone();
        metadata.time.end = Timestamp::now();
        let data = op_store::Operation {
            view_id,
            parents: vec![self.repo.op_id().clone()],
            metadata,
            commit_predecessors: Some(predecessors),
        };
        let id = store
            .write_operation(&data)
            .block_on()
            .doing("writing the operation")?;
        self.keep_from_collection("operations", &id.hex())?;
        let operation = JjOperation::new(store.clone(), id, data);
        let index = self.write_index(index, &operation)?;
        Ok(self.repo.loader().create_from(operation, view, index))
    }

    /// Lets a file that no op head reaches yet outlast a `jj util gc --expire=now` begun before
    /// it does: those take what is unreachable and older than their own beginning.
    fn keep_from_collection(&self, kind: &str, hex: &str) -> Result<()> {
        let path = self.paths.jj_repo.join("op_store").join(kind).join(hex);
        let doing = || format!("dating {}", path.display());
        let file = File::open(&path).doing(&doing())?;
        file.set_modified(SystemTime::now() + UNREACHABLE_MAX)
            .doing(&doing())
    }

    /// A mutable view of the current operation that knows the foreign commits.
    fn start(&mut self, spec: &OpSpec) -> Result<MutableRepo> {
        if !spec.foreign.is_empty() {
            let held = spec
                .foreign
                .iter()
                .map(|hex| parse_id(hex))
                .collect::<Result<Vec<_>>>()?;
            keep::hold(&mut self.objects, &self.paths.git_dir, &held)?;
            // jj-lib reads them itself, through a handle that has to know today's packs.
            let loader = load(&self.settings, &self.paths)?;
            let operation = self.repo.operation().clone();
            let repo = loader
                .load_at(&operation)
                .block_on()
                .doing("loading the operation")?;
            self.go_on_from(repo);
        }
        let (index, view) = (self.repo.readonly_index(), self.repo.view());
        let mut mutable = MutableRepo::new(self.repo.clone(), index, view);
        if !spec.foreign.is_empty() {
            init::import_commits(&mut mutable, &spec.foreign)?;
        }
        Ok(mutable)
    }

    fn jj_commit(&self, prepared: &Prepared) -> Result<JjCommit> {
        let read = commit::decode(prepared.commit, &prepared.data)?;
        let store = self.repo.store();
        let mut parents: Vec<CommitId> = read.parents.into_iter().map(to_jj).collect();
        if parents.is_empty() {
            parents.push(store.root_commit_id().clone());
        }
        let data = backend::Commit {
            parents,
            predecessors: vec![],
            root_tree: Merge::resolved(backend::TreeId::from_bytes(prepared.tree.as_slice())),
            conflict_labels: Merge::resolved(String::new()),
            change_id: ChangeId::from_bytes(&prepared.change),
            description: read.message,
            author: jj_signature(read.author),
            committer: jj_signature(read.committer),
            secure_sig: None,
        };
        Ok(JjCommit::new(
            store.clone(),
            to_jj(prepared.commit),
            Arc::new(data),
        ))
    }

    fn remember(&mut self, batch: &Batch) {
        for object in &batch.objects {
            if let Some(data) = &object.data {
                self.objects.remember(object.id, object.kind, data);
            }
        }
    }

    /// Makes a batch's objects readable without an operation: loose, and git's to collect. What is
    /// small stays in memory as well, so that a `git prune` in between is not noticed here.
    pub fn write_loose(&mut self, batch: &Batch) -> Result<()> {
        for object in &batch.objects {
            keep::write(&mut self.objects, object.kind, &object.content())?;
        }
        self.remember(batch);
        Ok(())
    }
}

fn change_view(mutable: &mut MutableRepo, spec: &OpSpec) -> Result<()> {
    for (name, to) in &spec.bookmarks {
        init::set_bookmark(mutable, name, to)?;
    }
    for (name, to) in &spec.git_refs {
        mutable.set_git_ref_target(GitRefName::new(name), init::target(to)?);
    }
    for hex in &spec.drop_heads {
        let id = to_jj(parse_id(hex)?);
        // A commit that somebody's line still begins at stays visible.
        let wanted = mutable
            .view()
            .local_bookmarks_for_commit(&id)
            .next()
            .is_some();
        if !wanted {
            mutable.remove_head(&id);
        }
    }
    Ok(())
}

/// Enters the commits in jj's table of change ids, as one segment.
fn register(table: &TableStore, commits: &[Prepared]) -> Result<()> {
    let (head, _lock) = table.get_head_locked().doing("locking jj's commit table")?;
    let mut changed = head.start_mutation();
    for prepared in commits {
        changed.add_entry(prepared.commit.as_slice().to_vec(), extras(prepared));
    }
    table
        .save_table(changed)
        .doing("writing jj's commit table")?;
    Ok(())
}

/// jj's table entry: the change id (field 4), and that conflicts are in the commit (field 10).
fn extras(prepared: &Prepared) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    for predecessor in &prepared.predecessors {
        bytes.extend([0x12, 20]);
        bytes.extend(predecessor.as_slice());
    }
    bytes.extend([0x22, 16]);
    bytes.extend(prepared.change);
    bytes.extend([0x50, 1]);
    bytes
}

fn jj_signature(signature: Signature) -> backend::Signature {
    backend::Signature {
        name: signature.name,
        email: signature.email,
        timestamp: Timestamp {
            timestamp: MillisSinceEpoch(signature.seconds * 1000),
            tz_offset: signature.offset_minutes,
        },
    }
}
