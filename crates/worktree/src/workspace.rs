//! A worktree on disk: its repository, its root held open, its index.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::index::entry::{Flags, Stage};
use gix::index::{File, State, decode, file};

use crate::dir::Dir;
use crate::error::chain;
use crate::source::{Source, resolve};
use crate::{Error, Result};

/// A worktree opened for comparing it with its index.
pub struct Workspace {
    pub source: Source,
    pub root: Arc<Dir>,
    pub path: PathBuf,
    /// The worktree's own git directory, where `index` and `index.lock` are.
    pub admin: PathBuf,
}

impl Workspace {
    /// Opens `worktree` (linked or main), which has to belong to the repository at `git_dir`.
    pub fn open(git_dir: &Path, worktree: &Path) -> Result<Self> {
        Self::with_source(git_dir, worktree, Source::open)
    }

    /// As `open`, where hardly an object is read.
    pub fn open_lightly(git_dir: &Path, worktree: &Path) -> Result<Self> {
        Self::with_source(git_dir, worktree, Source::open_lightly)
    }

    fn with_source(
        git_dir: &Path,
        worktree: &Path,
        open: impl FnOnce(&Path) -> Result<Source>,
    ) -> Result<Self> {
        let (git_dir, path) = (resolve(git_dir)?, resolve(worktree)?);
        let source = open(&path.join(".git"))?;
        let repository = source.local();
        if resolve(repository.common_dir())? != git_dir {
            return Err(Error::BadInput(format!(
                "{} is not a worktree of the repository {}",
                path.display(),
                git_dir.display()
            )));
        }
        let root = Dir::open(&path);
        let root = root.map_err(|error| Error::io(format!("open {}", path.display()), error))?;
        let admin = resolve(repository.git_dir())?;
        Ok(Self {
            source,
            root: Arc::new(root),
            path,
            admin,
        })
    }

    /// Reads the index; a worktree without one has an empty one.
    ///
    /// Refused are unmerged entries, which nobody but the user can resolve, and entries that
    /// stand for whole directories (`git sparse-checkout --sparse-index`).
    pub fn index(&self) -> Result<State> {
        let path = self.admin.join("index");
        let options = decode::Options::default();
        let index = match File::at(&path, gix::hash::Kind::Sha1, false, options) {
            Ok(index) => index.into_parts().0,
            Err(file::init::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                State::new(gix::hash::Kind::Sha1)
            }
            Err(file::init::Error::Io(error)) => {
                return Err(Error::io(format!("read {}", path.display()), error));
            }
            Err(error) => {
                let why = chain(&error);
                return Err(Error::Corrupt(format!(
                    "could not read {}: {why}",
                    path.display()
                )));
            }
        };
        if index.is_sparse() {
            return Err(Error::Unsupported(format!(
                "{} is a sparse index; `git sparse-checkout reapply --no-sparse-index` expands it",
                path.display()
            )));
        }
        match index
            .entries()
            .iter()
            .find(|entry| entry.stage() != Stage::Unconflicted)
        {
            None => Ok(index),
            Some(entry) => Err(Error::BadInput(format!(
                "{} is unmerged in {}: resolve it, then `git add` it",
                entry.path(&index).to_str_lossy(),
                self.path.display()
            ))),
        }
    }

    /// Whether files of entries marked skip-worktree count where they exist, as they do for git
    /// in a sparse checkout.
    pub fn is_sparse(&self) -> bool {
        let repository = self.source.local();
        repository
            .config_snapshot()
            .boolean("core.sparseCheckout")
            .unwrap_or(false)
    }
}

/// Whether git takes the entry for unmodified without looking at the file.
pub fn is_assumed(flags: Flags, present: bool, sparse: bool) -> bool {
    flags.contains(Flags::ASSUME_VALID)
        || (flags.contains(Flags::SKIP_WORKTREE) && !(present && sparse))
}
