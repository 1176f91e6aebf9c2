//! `Repo`: one verb of the core a method.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use tatami_core::jj::{Core, Identity, Paths};
use tatami_core::{admit, commit, diff, objects, pack, prepare, text};

use crate::error::{Failure, run};
use crate::specs;
use crate::values::{
    Commit, FileDiff, OpResult, Operation, Prepared, Refreshed, TreeEntry, TreeMerge, Verified,
    ViewOf,
};

/// An opened repository; None once closed.
#[pyclass(frozen, module = "tatami._core")]
pub struct Repo {
    core: Mutex<Option<Core>>,
}

/// Commits built in memory.
#[pyclass(frozen, module = "tatami._core")]
pub struct Batch {
    inner: prepare::Batch,
}

#[pymethods]
impl Batch {
    #[getter]
    fn commits(&self) -> Vec<Prepared> {
        self.inner.commits.iter().map(Prepared::from).collect()
    }

    #[getter]
    fn object_bytes(&self) -> usize {
        self.inner.object_bytes()
    }
}

impl Repo {
    fn new(core: Core) -> Self {
        Self {
            core: Mutex::new(Some(core)),
        }
    }

    /// A panic while the lock was held leaves it poisoned; the core reloads from disk as it needs.
    fn lock(&self) -> MutexGuard<'_, Option<Core>> {
        self.core
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut Core) -> Result<T, Failure> + Send,
    ) -> PyResult<T> {
        let done = run(py, || match self.lock().as_mut() {
            Some(core) => call(core).map(Some),
            None => Ok(None),
        })?;
        done.ok_or_else(|| PyValueError::new_err("the repository is closed"))
    }

    /// As `with`, for many values, each as Python sees it.
    fn list<T, P: From<T> + Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut Core) -> Result<Vec<T>, Failure> + Send,
    ) -> PyResult<Vec<P>> {
        self.with(py, |core| {
            Ok(call(core)?.into_iter().map(P::from).collect())
        })
    }
}

fn id(hex: &str) -> Result<gix::ObjectId, Failure> {
    Ok(objects::parse_id(hex)?)
}

fn tree(core: &mut Core, rev: &str) -> Result<gix::ObjectId, Failure> {
    Ok(commit::tree_of(&mut core.objects, id(rev)?)?)
}

#[pymethods]
impl Repo {
    #[staticmethod]
    fn init(
        py: Python<'_>,
        state: PathBuf,
        git_dir: PathBuf,
        trunk: String,
        head: Option<String>,
        who: (String, String),
    ) -> PyResult<Self> {
        let who = identity(who);
        let head = head.as_deref();
        run(py, || Ok(Core::init(&state, &git_dir, &trunk, head, &who)?)).map(Self::new)
    }

    #[staticmethod]
    fn adopt(
        py: Python<'_>,
        jj_repo: PathBuf,
        git_dir: PathBuf,
        trunk: String,
        head: Option<String>,
        who: (String, String),
    ) -> PyResult<Self> {
        let (who, paths) = (identity(who), Paths { jj_repo, git_dir });
        run(py, || {
            Ok(Core::adopt(paths, &trunk, head.as_deref(), &who)?)
        })
        .map(Self::new)
    }

    #[staticmethod]
    fn open(
        py: Python<'_>,
        jj_repo: PathBuf,
        git_dir: PathBuf,
        who: (String, String),
        writes: bool,
    ) -> PyResult<Self> {
        let (who, paths) = (identity(who), Paths { jj_repo, git_dir });
        run(py, || Ok(Core::open(paths, &who, writes)?)).map(Self::new)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| *self.lock() = None);
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<Refreshed> {
        self.with(py, |core| Ok(core.refresh()?.into()))
    }

    fn op(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |core| Ok(core.op()))
    }

    #[pyo3(signature = (op=None))]
    fn view(&self, py: Python<'_>, op: Option<&str>) -> PyResult<ViewOf> {
        self.with(py, |core| Ok(core.view(op)?.into()))
    }

    fn prepare(&self, py: Python<'_>, specs: Vec<specs::Commit>) -> PyResult<Batch> {
        self.with(py, |core| {
            let borrowed: Vec<_> = specs.iter().map(specs::Commit::borrow).collect();
            Ok(Batch {
                inner: core.prepare(&borrowed)?,
            })
        })
    }

    fn write(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        self.with(py, |core| Ok(core.write_loose(&batch.inner)?))
    }

    fn publish(&self, py: Python<'_>, batch: Option<&Batch>, op: specs::Op) -> PyResult<OpResult> {
        let batch = batch.map(|batch| &batch.inner);
        self.with(py, |core| Ok(core.publish(batch, &op.0)?.into()))
    }

    fn resolve(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        self.with(py, |core| Ok(core.resolve(name)?))
    }

    fn commit(&self, py: Python<'_>, id: &str) -> PyResult<Commit> {
        self.with(py, |core| Ok(core.commit(id)?.into()))
    }

    fn admit(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        self.with(py, |core| {
            Ok(admit::commit(&mut core.objects, self::id(id)?)?)
        })
    }

    fn log(
        &self,
        py: Python<'_>,
        heads: Vec<String>,
        exclude: Vec<String>,
        limit: Option<usize>,
    ) -> PyResult<Vec<Commit>> {
        self.list(py, |core| Ok(core.log(&heads, &exclude, limit)?))
    }

    fn knows(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        self.with(py, |core| Ok(core.knows(id)?))
    }

    fn is_ancestor(&self, py: Python<'_>, ancestor: &str, descendant: &str) -> PyResult<bool> {
        self.with(py, |core| Ok(core.is_ancestor(ancestor, descendant)?))
    }

    fn merge_bases(&self, py: Python<'_>, a: &str, b: &str) -> PyResult<Vec<String>> {
        self.with(py, |core| Ok(core.merge_bases(a, b)?))
    }

    #[pyo3(signature = (rev, prefix=""))]
    fn tree(&self, py: Python<'_>, rev: &str, prefix: &str) -> PyResult<Vec<TreeEntry>> {
        self.list(py, |core| {
            let root = tree(core, rev)?;
            Ok(diff::list(&mut core.objects, root, prefix)?)
        })
    }

    fn read(
        &self,
        py: Python<'_>,
        rev: &str,
        paths: Vec<String>,
    ) -> PyResult<Vec<Option<Content>>> {
        self.with(py, |core| {
            let root = tree(core, rev)?;
            let mut found = Vec::with_capacity(paths.len());
            for path in &paths {
                found.push(diff::read_file(&mut core.objects, root, path)?);
            }
            Ok(found)
        })
    }

    fn blob(&self, py: Python<'_>, id: &str) -> PyResult<Vec<u8>> {
        self.with(py, |core| Ok(core.objects.blob(self::id(id)?)?.to_vec()))
    }

    fn diff(&self, py: Python<'_>, old: &str, new: &str) -> PyResult<Vec<FileDiff>> {
        self.list(py, |core| {
            let (old, new) = (tree(core, old)?, tree(core, new)?);
            Ok(diff::diff(&mut core.objects, old, new)?)
        })
    }

    fn merge_trees(
        &self,
        py: Python<'_>,
        base: &str,
        ours: &str,
        theirs: &str,
    ) -> PyResult<TreeMerge> {
        let merged = self.with(py, |core| {
            let (base, ours, theirs) = (tree(core, base)?, tree(core, ours)?, tree(core, theirs)?);
            Ok(diff::merge(&mut core.objects, base, ours, theirs)?)
        })?;
        TreeMerge::new(py, merged)
    }

    fn preview(&self, py: Python<'_>, ours: &str, theirs: &str) -> PyResult<Vec<String>> {
        self.with(py, |core| {
            let base = core.merge_bases(ours, theirs)?;
            let empty = gix::ObjectId::empty_tree(gix::hash::Kind::Sha1).to_string();
            let base = tree(core, base.first().unwrap_or(&empty))?;
            let (ours, theirs) = (tree(core, ours)?, tree(core, theirs)?);
            Ok(diff::preview(&mut core.objects, base, ours, theirs)?)
        })
    }

    #[pyo3(signature = (limit, starts=vec![]))]
    fn operations(
        &self,
        py: Python<'_>,
        limit: Option<usize>,
        starts: Vec<String>,
    ) -> PyResult<Vec<Operation>> {
        self.list(py, |core| Ok(core.operations(limit, &starts)?))
    }

    #[pyo3(signature = (limit=None))]
    fn verify(&self, py: Python<'_>, limit: Option<usize>) -> PyResult<Verified> {
        let found = self.with(py, |core| Ok(core.verify(limit)?))?;
        Verified::new(py, found)
    }

    fn maintain(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |core| Ok(pack::consolidate(&core.objects.pack_dir())?))
    }

    fn stats(&self, py: Python<'_>) -> PyResult<std::collections::BTreeMap<&'static str, usize>> {
        self.with(py, |core| {
            let own = pack::own_packs(&core.objects.pack_dir())?;
            let bytes: u64 = own.iter().map(|pack| pack.bytes).sum();
            Ok([
                ("own_packs", own.len()),
                ("own_pack_bytes", bytes as usize),
                ("cached_bytes", core.objects.cached_bytes()),
            ]
            .into())
        })
    }
}

/// Mode and bytes of a file.
type Content = (u32, Vec<u8>);

fn identity((user, host): (String, String)) -> Identity {
    Identity { user, host }
}

/// git's three-way text merge; None where hunks overlap or a side is binary.
#[pyfunction]
pub fn merge_text(
    py: Python<'_>,
    base: PyBackedBytes,
    ours: PyBackedBytes,
    theirs: PyBackedBytes,
) -> PyResult<Option<Vec<u8>>> {
    run(py, || Ok(text::merge(&base, &ours, &theirs)))
}
