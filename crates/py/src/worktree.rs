//! Working copies: one function of the worktree crate each.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tatami_worktree as files;

use crate::error::run;

#[pyclass(frozen, get_all, module = "tatami._core")]
pub struct CheckedOut {
    path: String,
    files: usize,
    bytes: u64,
    skipped: Vec<OsString>,
}

impl From<files::CheckedOut> for CheckedOut {
    fn from(made: files::CheckedOut) -> Self {
        Self {
            path: made.path.to_string_lossy().into_owned(),
            files: made.files,
            bytes: made.bytes,
            skipped: made.skipped,
        }
    }
}

/// Python's specification of a worktree.
pub struct Spec(files::WorktreeSpec);

impl<'a, 'py> FromPyObject<'a, 'py> for Spec {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(files::WorktreeSpec {
            name: value.getattr("name")?.extract()?,
            path: value.getattr("path")?.extract()?,
            branch: value.getattr("branch")?.extract()?,
        }))
    }
}

#[pyfunction]
pub fn add_worktrees(
    py: Python<'_>,
    git_dir: PathBuf,
    specs: Vec<Spec>,
    commit: String,
    lock_reason: String,
    through_git: Vec<String>,
) -> PyResult<Vec<CheckedOut>> {
    let specs: Vec<_> = specs.into_iter().map(|spec| spec.0).collect();
    let made = run(py, || {
        Ok(files::add_worktrees(
            &git_dir,
            &specs,
            &commit,
            &lock_reason,
            &through_git,
        )?)
    })?;
    Ok(made.into_iter().map(CheckedOut::from).collect())
}

#[pyfunction]
pub fn add_sparse_worktrees(
    py: Python<'_>,
    git_dir: PathBuf,
    specs: Vec<Spec>,
    commit: String,
    lock_reason: String,
    cone: Vec<String>,
) -> PyResult<Vec<CheckedOut>> {
    let specs: Vec<_> = specs.into_iter().map(|spec| spec.0).collect();
    let made = run(py, || {
        Ok(files::add_sparse_worktrees(
            &git_dir,
            &specs,
            &commit,
            &lock_reason,
            &cone,
        )?)
    })?;
    Ok(made.into_iter().map(CheckedOut::from).collect())
}

#[pyfunction]
pub fn export(
    py: Python<'_>,
    git_dir: PathBuf,
    tree: String,
    directory: PathBuf,
) -> PyResult<usize> {
    run(py, || Ok(files::export(&git_dir, &tree, &directory)?))
}

#[pyfunction]
pub fn move_refs(
    py: Python<'_>,
    git_dir: PathBuf,
    refs: Vec<(String, String, Option<String>)>,
) -> PyResult<Vec<String>> {
    run(py, || Ok(files::move_refs(&git_dir, &refs)?))
}

/// One path whose working-copy state differs from the commit.
#[pyclass(frozen, get_all, module = "tatami._core")]
pub struct ScannedFile {
    path: String,
    mode: u32,
    untracked: bool,
    content: Option<Py<PyBytes>>,
    through_git: bool,
    stat: (i64, i64, i64, i64, i64, i64, i64, i64),
}

#[pyclass(frozen, module = "tatami._core")]
pub struct Scan {
    #[pyo3(get)]
    files: Vec<Py<ScannedFile>>,
    #[pyo3(get)]
    staged: bool,
    #[pyo3(get)]
    agrees: bool,
    #[pyo3(get)]
    repositories: Vec<String>,
    #[pyo3(get)]
    entries: usize,
    #[pyo3(get)]
    stat_us: u64,
    #[pyo3(get)]
    walk_us: u64,
    #[pyo3(get)]
    read_us: u64,
    opened: Mutex<Option<files::Opened>>,
}

impl ScannedFile {
    fn new(py: Python<'_>, file: files::ScannedFile) -> PyResult<Py<Self>> {
        let content = file.content.map(|bytes| PyBytes::new(py, &bytes).unbind());
        let files::ScannedFile {
            path,
            mode,
            untracked,
            through_git,
            ..
        } = file;
        let stat = file.stat.into();
        Py::new(
            py,
            Self {
                path,
                mode,
                untracked,
                content,
                through_git,
                stat,
            },
        )
    }
}

#[pyfunction]
#[pyo3(signature = (git_dir, worktree, commit, paths, overlay=None))]
pub fn scan(
    py: Python<'_>,
    git_dir: PathBuf,
    worktree: PathBuf,
    commit: String,
    paths: Option<Vec<String>>,
    overlay: Option<(PathBuf, PathBuf, String)>,
) -> PyResult<Scan> {
    let paths = paths.as_deref();
    let (found, opened) = run(py, || match &overlay {
        None => Ok((files::scan(&git_dir, &worktree, &commit, paths)?, None)),
        Some((upper, lower_index, agreed)) => {
            let overlay = files::Overlay {
                upper,
                lower_index,
                agreed: files::parse_checksum(agreed),
            };
            Ok(files::scan_overlay(
                &git_dir, &worktree, overlay, &commit, paths,
            )?)
        }
    })?;
    let files = found
        .files
        .into_iter()
        .map(|file| ScannedFile::new(py, file));
    Ok(Scan {
        files: files.collect::<PyResult<_>>()?,
        staged: found.staged,
        agrees: found.agrees,
        repositories: found.repositories,
        entries: found.entries,
        stat_us: found.stat_us,
        walk_us: found.walk_us,
        read_us: found.read_us,
        opened: Mutex::new(opened),
    })
}

#[pyfunction]
#[pyo3(signature = (git_dir, worktree, lower_index, entries, settle, seen=None))]
pub fn update_overlay_index(
    py: Python<'_>,
    git_dir: PathBuf,
    worktree: PathBuf,
    lower_index: PathBuf,
    entries: Vec<(String, u32, String)>,
    settle: bool,
    seen: Option<Py<Scan>>,
) -> PyResult<String> {
    let seen = seen.and_then(|scan| {
        let mut opened = scan.get().opened.lock();
        opened.as_mut().map_or(None, |opened| opened.take())
    });
    run(py, || {
        let how = files::How { settle, seen };
        Ok(files::update_overlay_index(
            &git_dir,
            &worktree,
            &lower_index,
            &entries,
            how,
        )?)
    })
}

#[pyfunction]
pub fn update_index(
    py: Python<'_>,
    git_dir: PathBuf,
    worktree: PathBuf,
    entries: Vec<(String, u32, String)>,
) -> PyResult<()> {
    run(py, || {
        Ok(files::update_index(&git_dir, &worktree, &entries)?)
    })
}
