//! Git working copies without jj: checkout, scan, index, refs, and the path policy.
//!
//! Nothing here knows jj. Everything is written beneath directories that are held open, without
//! following a symlink. `git_dir` is always the repository's *common* git directory.

#![forbid(unsafe_code)]

mod add;
mod attributes;
mod checkout;
mod content;
mod dir;
mod error;
mod export;
mod index_file;
mod layered;
mod listing;
mod lower;
mod overlay;
mod parallel;
pub mod path;
mod ref_lock;
mod refs;
mod registration;
mod scan;
mod source;
mod update;
mod workspace;

pub use add::{CheckedOut, WorktreeSpec, add_sparse_worktrees, add_worktrees};
pub use error::Error;
pub use export::export;
pub use layered::write::{How, update_overlay_index};
pub use layered::{Opened, parse_checksum};
pub use lower::{make_lower, tree_of, tree_size};
pub use overlay::{Layers, enter_namespaces, join_namespaces, mount_overlay, unmount};
pub use refs::{move_refs, write_refs};
pub use scan::{Overlay, Scan, ScannedFile, scan, scan_overlay};
pub use update::update_index;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
