//! Overlay workspaces: shared lower trees, mounts and namespaces.

use std::path::PathBuf;

use pyo3::prelude::*;
use tatami_worktree as files;

use crate::error::run;
use crate::worktree::CheckedOut;

#[pyfunction]
pub fn make_lower(
    py: Python<'_>,
    git_dir: PathBuf,
    tree: String,
    directory: PathBuf,
) -> PyResult<CheckedOut> {
    let made = run(py, || Ok(files::make_lower(&git_dir, &tree, &directory)?))?;
    Ok(made.into())
}

#[pyfunction]
pub fn tree_of(py: Python<'_>, git_dir: PathBuf, commit: String) -> PyResult<String> {
    run(py, || Ok(files::tree_of(&git_dir, &commit)?))
}

#[pyfunction]
pub fn tree_size(py: Python<'_>, git_dir: PathBuf, tree: String) -> PyResult<usize> {
    run(py, || Ok(files::tree_size(&git_dir, &tree)?))
}

#[pyfunction]
#[pyo3(signature = (layers, target, user_attributes, volatile=false))]
pub fn mount_overlay(
    py: Python<'_>,
    layers: (PathBuf, PathBuf, PathBuf),
    target: PathBuf,
    user_attributes: bool,
    volatile: bool,
) -> PyResult<()> {
    let (lower, upper, work) = &layers;
    let layers = files::Layers {
        lower,
        upper,
        work,
        user_attributes,
        volatile,
    };
    run(py, || Ok(files::mount_overlay(&layers, &target)?))
}

#[pyfunction]
pub fn unmount(py: Python<'_>, target: PathBuf) -> PyResult<()> {
    run(py, || Ok(files::unmount(&target)?))
}

#[pyfunction]
pub fn enter_namespaces(py: Python<'_>) -> PyResult<()> {
    run(py, || Ok(files::enter_namespaces()?))
}

#[pyfunction]
pub fn join_namespaces(py: Python<'_>, pid: u32) -> PyResult<()> {
    run(py, || Ok(files::join_namespaces(pid)?))
}
