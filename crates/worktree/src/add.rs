//! Makes registered git worktrees, many at once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gix::index::State;
use gix::index::entry::{Flags, Mode, Stat};
use gix::objs::tree::EntryKind;

use crate::attributes::{Attributes, Conversion};
use crate::checkout::{Checkout, Target};
use crate::dir::split;
use crate::index_file::{cache_tree, serialize};
use crate::listing::Listing;
use crate::parallel::each;
use crate::registration::{Branches, Registration, Registrations};
use crate::source::{Source, resolve};
use crate::{Error, Result};

/// How long before the checkout its files claim to be modified; see [`add_worktrees`].
pub(crate) const AGE_S: i64 = 2;

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
    pub skipped: Vec<OsString>,
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
    let plan = Plan {
        git_dir: &git_dir,
        source: &source,
        listing: &listing,
        cone: None,
        lock_reason,
    };
    plan.make(specs, through_git)
}

/// As [`add_worktrees`], with only what a sparse checkout of the directories `cone` has; git has
/// to be told about the cone, too.
pub fn add_sparse_worktrees(
    git_dir: &Path,
    specs: &[WorktreeSpec],
    commit: &str,
    lock_reason: &str,
    cone: &[String],
) -> Result<Vec<CheckedOut>> {
    let git_dir = resolve(git_dir)?;
    let source = Source::open(&git_dir)?;
    let listing = Listing::read(&source, source.tree_of(commit)?)?;
    let missing = cone
        .iter()
        .find(|path| !listing.directories().any(|d| d == path.as_bytes()));
    if let Some(path) = missing {
        return Err(Error::NotFound(format!(
            "{path:?} is no directory of commit {commit}"
        )));
    }
    let plan = Plan {
        git_dir: &git_dir,
        source: &source,
        listing: &listing,
        cone: Some(listing.cone(cone)),
        lock_reason,
    };
    plan.make(specs, &[])
}

/// What all worktrees of a call have in common.
struct Plan<'a> {
    git_dir: &'a Path,
    source: &'a Source,
    listing: &'a Listing,
    /// The part of the listing that is written; None for all of it.
    cone: Option<Listing>,
    lock_reason: &'a str,
}

impl Plan<'_> {
    fn make(&self, specs: &[WorktreeSpec], through_git: &[String]) -> Result<Vec<CheckedOut>> {
        let written = self.cone.as_ref().unwrap_or(self.listing);
        let conversions = conversions(self.source, self.listing, written)?;
        let mut made = Registrations::default();
        let mut branches = Branches::checked_out(self.git_dir);
        for spec in specs {
            branches.claim(&spec.branch, &spec.path)?;
            let registration = Registration::begin(self.git_dir, spec, self.lock_reason, written)?;
            made.0.push(registration);
        }
        let begun: Result<Vec<_>> = made.0.iter().map(Registration::begun_s).collect();
        let mut checkout = Checkout {
            source: self.source,
            listing: written,
            conversions,
            partial: self.source.is_partial(),
            skipped: vec![false; written.entries.len()],
            time_s: begun?.into_iter().min().map(|time| time - AGE_S),
        };
        for path in through_git {
            if let Some(number) = written.find(path.as_bytes()) {
                checkout.skipped[number] = true;
            }
        }
        let targets: Vec<&Target> = made.0.iter().map(|made| &made.target).collect();
        let bytes = checkout.run(&targets)?;
        self.write_indexes(&made.0)?;
        made.0.iter_mut().for_each(Registration::keep);
        Ok(report(&checkout, bytes, &made.0))
    }

    fn write_indexes(&self, made: &[Registration<'_>]) -> Result<()> {
        let cache = cache_tree(&self.listing.root);
        each(made.len(), |number| {
            let stamps = made[number].target.stamps();
            let index = serialize(self.listing, self.cone.as_ref(), stamps, &cache);
            made[number].finish(&index)
        })
    }
}

/// What git does to the bytes of each entry of `written`, which is all or a part of `listing`;
/// empty where it changes none.
pub(crate) fn conversions(
    source: &Source,
    listing: &Listing,
    written: &Listing,
) -> Result<Vec<Conversion>> {
    let repository = source.local();
    // Of an index, attributes ask for these files alone.
    let mut index = State::new(listing.root.id.kind());
    for entry in &listing.entries {
        let path = listing.path(entry);
        if split(path).1 == b".gitattributes" && entry.kind != EntryKind::Link {
            let (stat, flags) = (Stat::default(), Flags::empty());
            index.dangerously_push_entry(stat, entry.id, flags, Mode::FILE, path.into());
        }
    }
    let mut attributes = Attributes::from_index(&repository, &index)?;
    let paths = written.entries.iter().map(|entry| written.path(entry));
    let found = paths
        .map(|path| attributes.conversion(path.into()))
        .collect::<Result<Vec<_>>>()?;
    let any = found.iter().any(|found| *found != Conversion::default());
    Ok(if any { found } else { Vec::new() })
}

fn report(checkout: &Checkout<'_>, bytes: u64, made: &[Registration<'_>]) -> Vec<CheckedOut> {
    let skipped = checkout.skipped();
    let files = checkout.listing.entries.len() - skipped.len();
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
