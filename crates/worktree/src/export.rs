//! Writes a tree's files without any git metadata.

use std::path::Path;

use crate::checkout::{Checkout, Target};
use crate::dir::Dir;
use crate::listing::Listing;
use crate::source::Source;
use crate::{Error, Result};

/// Writes the files of `tree` (a tree's or commit's id) into `directory`, which has to exist and
/// be empty, byte for byte as their blobs hold them; returns the number of entries. On an error
/// the directory is empty again.
pub fn export(git_dir: &Path, tree: &str, directory: &Path) -> Result<usize> {
    let source = Source::open(git_dir)?;
    let listing = Listing::read(&source, source.tree_of(tree)?)?;
    let target = Target::new(directory, open_empty(directory)?, &listing);
    let mut checkout = Checkout {
        source: &source,
        listing: &listing,
        conversions: Vec::new(),
        partial: false,
        skipped: vec![false; listing.entries.len()],
        time_s: None,
    };
    match checkout.run(&[&target]) {
        Ok(_) => Ok(listing.entries.len()),
        Err(error) => {
            target.remove_written(&listing);
            Err(error)
        }
    }
}

/// Opens a directory and makes sure that nothing is in it.
pub fn open_empty(path: &Path) -> Result<Dir> {
    let doing = || format!("open the directory {}", path.display());
    let directory = Dir::open(path).map_err(|error| Error::io(doing(), error))?;
    match directory.is_empty() {
        Ok(true) => Ok(directory),
        Ok(false) => Err(Error::BadInput(format!("{} is not empty", path.display()))),
        Err(error) => Err(Error::io(doing(), error)),
    }
}
