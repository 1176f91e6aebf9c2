//! The extension module `tatami._core`: registration only. Logic lives in the crates below.

#![deny(unsafe_code)]

mod error;
mod overlay;
mod repo;
mod specs;
mod values;
mod worktree;

use pyo3::pymodule;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::error::CoreError;
    #[pymodule_export]
    use super::overlay::{
        enter_namespaces, join_namespaces, make_lower, mount_overlay, tree_of, tree_size, unmount,
    };
    #[pymodule_export]
    use super::repo::{Batch, Repo, merge_text};
    #[pymodule_export]
    use super::values::{
        Commit, FileDiff, OpResult, Operation, PathConflict, Prepared, Problem, Refreshed,
        TreeEntry, TreeMerge, Verified, ViewOf,
    };
    #[pymodule_export]
    use super::worktree::{
        CheckedOut, Scan, ScannedFile, add_sparse_worktrees, add_worktrees, export, move_refs,
        scan, update_index, update_overlay_index,
    };
}
