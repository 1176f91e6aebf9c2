//! Writes a tree once, with a git index beside it, for many overlay workspaces to share.

use std::fs;
use std::path::Path;

use crate::add::{AGE_S, CheckedOut, conversions};
use crate::checkout::{Checkout, Target};
use crate::export::open_empty;
use crate::index_file::{cache_tree, serialize};
use crate::listing::Listing;
use crate::source::Source;
use crate::{Error, Result};

/// Where in its directory a shared tree keeps its files, and the index that goes with them.
pub const FILES: &str = "files";
pub const INDEX: &str = "index";

/// Writes `tree` (a tree's or commit's id) into `directory`, which has to exist and be empty:
/// its files into `files`, git's index of them into `index`. What an overlay shows of a file of
/// its lower layer has the times and the inode number that the index recorded here.
///
/// On an error the caller removes what is there. `skipped` is left to git, as by
/// [`add_worktrees`](crate::add_worktrees).
pub fn make_lower(git_dir: &Path, tree: &str, directory: &Path) -> Result<CheckedOut> {
    let doing = |name: &str| format!("write {}", directory.join(name).display());
    let source = Source::open(git_dir)?;
    let listing = Listing::read(&source, source.tree_of(tree)?)?;
    let begun = open_empty(directory)?;
    let path = directory.join(FILES);
    fs::create_dir(&path).map_err(|error| Error::io(doing(FILES), error))?;
    let begun = begun
        .stat(FILES.as_bytes())
        .map_err(|error| Error::io(doing(FILES), error))?;
    let mut checkout = Checkout {
        source: &source,
        listing: &listing,
        conversions: conversions(&source, &listing, &listing)?,
        partial: source.is_partial(),
        skipped: vec![false; listing.entries.len()],
        time_s: Some(begun.st_mtime - AGE_S),
    };
    let target = Target::new(&path, open_empty(&path)?, &listing);
    let bytes = checkout.run(&[&target])?;
    let index = serialize(&listing, None, target.stamps(), &cache_tree(&listing.root));
    fs::write(directory.join(INDEX), index).map_err(|error| Error::io(doing(INDEX), error))?;
    let skipped = checkout.skipped();
    Ok(CheckedOut {
        path,
        files: listing.entries.len() - skipped.len(),
        bytes,
        skipped,
    })
}

/// How many files, symlinks and submodules a tree has.
pub fn tree_size(git_dir: &Path, tree: &str) -> Result<usize> {
    let source = Source::open(git_dir)?;
    let listing = Listing::read(&source, source.tree_of(tree)?)?;
    Ok(listing.entries.len())
}

/// The tree of a commit.
pub fn tree_of(git_dir: &Path, commit: &str) -> Result<String> {
    Ok(Source::open(git_dir)?.tree_of(commit)?.to_string())
}
