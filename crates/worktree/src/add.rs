//! Makes registered git worktrees, many at once.

use std::path::{Path, PathBuf};

use gix::index::State;

use crate::attributes::{Attributes, Conversion};
use crate::checkout::{Checkout, Target};
use crate::index_file::{cache_tree, serialize};
use crate::listing::Listing;
use crate::parallel::each;
use crate::registration::{Branches, Registration, Registrations};
use crate::source::{Source, resolve};
use crate::{Error, Result};

/// How long before the checkout its files claim to be modified; see [`add_worktrees`].
const AGE_S: i64 = 2;

/// A worktree to make.
#[derive(Clone, Debug)]
pub struct WorktreeSpec {
    /// Its name below `worktrees/` in the git directory.
    pub name: String,
    /// Its absolute directory: missing, or empty.
    pub path: PathBuf,
    /// The full name of the branch it has checked out; the caller writes that ref.
    pub branch: String,
}

/// What was written into one worktree.
#[derive(Clone, Debug)]
pub struct CheckedOut {
    pub path: PathBuf,
    pub files: usize,
    pub bytes: u64,
    /// Paths left for `git checkout-index -f -u`: git writes other bytes than their blobs hold, or
    /// has to fetch the blobs (in a partial clone).
    pub skipped: Vec<String>,
}

/// Makes git worktrees of one commit: registered, locked, with index and files, so that `git
/// status` is clean in each (once git has written `skipped`). Reads each blob once for all.
///
/// `through_git`: paths not to write. On an error nothing of what the call made is left.
///
/// git trusts an index entry only when its file was modified before the second in which the index
/// was written; otherwise every `git status` reads the file again. So all files get a modification
/// time [`AGE_S`] before the call. Any later edit, even in this same second and of the same size,
/// gets a later time and is seen.
pub fn add_worktrees(
    git_dir: &Path,
    specs: &[WorktreeSpec],
    commit: &str,
    lock_reason: &str,
    through_git: &[String],
) -> Result<Vec<CheckedOut>> {
    let git_dir = resolve(git_dir)?;
    let source = Source::open(&git_dir)?;
    let listing = Listing::read(&source, source.tree_of(commit)?)?;
    let conversions = conversions(&source, &listing)?;
    let mut made = Registrations::default();
    let mut branches = Branches::checked_out(&git_dir);
    for spec in specs {
        branches.claim(&spec.branch, &spec.path)?;
        let registration = Registration::begin(&git_dir, spec, lock_reason, &listing)?;
        made.0.push(registration);
    }
    let begun: Result<Vec<_>> = made.0.iter().map(Registration::begun_s).collect();
    let mut checkout = Checkout {
        source: &source,
        listing: &listing,
        conversions,
        partial: source.is_partial(),
        skipped: vec![false; listing.entries.len()],
        time_s: begun?.into_iter().min().map(|time| time - AGE_S),
    };
    for path in through_git {
        if let Some(number) = listing.find(path.as_bytes()) {
            checkout.skipped[number] = true;
        }
    }
    let targets: Vec<&Target> = made.0.iter().map(|made| &made.target).collect();
    let bytes = checkout.run(&targets)?;
    write_indexes(&listing, &made.0)?;
    made.0.iter_mut().for_each(Registration::keep);
    Ok(report(&checkout, bytes, &made.0))
}

fn conversions(source: &Source, listing: &Listing) -> Result<Vec<Conversion>> {
    let repository = source.local();
    let tree = listing.root.id;
    let named = listing
        .entries
        .iter()
        .any(|e| listing.path(e).ends_with(b".gitattributes"));
    let index = match named {
        true => {
            repository
                .index_from_tree(&tree)
                .map_err(|error| Error::git(format!("read tree {tree}"), &error))?
                .into_parts()
                .0
        }
        false => State::new(tree.kind()),
    };
    let mut attributes = Attributes::for_checkout(&repository, &index)?;
    let paths = listing.entries.iter().map(|entry| listing.path(entry));
    let found = paths
        .map(|path| attributes.conversion(path.into()))
        .collect::<Result<Vec<_>>>()?;
    let any = found.iter().any(|found| *found != Conversion::default());
    Ok(if any { found } else { Vec::new() })
}

fn write_indexes(listing: &Listing, made: &[Registration<'_>]) -> Result<()> {
    let cache = cache_tree(&listing.root);
    each(made.len(), |number| {
        let stamps = made[number].target.stamps();
        made[number].finish(&serialize(listing, stamps, &cache))
    })
}

fn report(checkout: &Checkout<'_>, bytes: u64, made: &[Registration<'_>]) -> Vec<CheckedOut> {
    let listing = checkout.listing;
    let skipped = listing
        .entries
        .iter()
        .zip(&checkout.skipped)
        .filter(|(_, skipped)| **skipped);
    let skipped: Vec<String> = skipped
        .map(|(entry, _)| String::from_utf8_lossy(listing.path(entry)).into_owned())
        .collect();
    let files = listing.entries.len() - skipped.len();
    let report = made.iter().map(|made| {
        let (path, skipped) = (made.target.path.clone(), skipped.clone());
        CheckedOut {
            path,
            files,
            bytes,
            skipped,
        }
    });
    report.collect()
}
