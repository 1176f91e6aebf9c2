//! Barriers: what was written so far is on the disk when they return.
//!
//! jj syncs the content of its files, never the directories that name them; git syncs neither. A
//! failed sync is final: the pages may be gone from memory, so it is never tried again.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result};
use crate::jj::Core;
use crate::pack::sync_dir;

/// Directories of `.jj/repo` that an operation puts new names into.
const NAMED_IN: [&str; 6] = [
    "op_store/operations",
    "op_store/views",
    "index/op_links",
    "index/segments",
    "store/extra",
    "store/extra/heads",
];

impl Core {
    /// Barrier 1: everything the operation reaches. What only we wrote is synced file by file, so
    /// that a build running beside us is not flushed with it; what others wrote cannot be named,
    /// and takes a sync of the file system.
    ///
    /// The files themselves were synced as they were written; their names are left.
    pub(super) fn barrier_1(&mut self, packed: bool) -> Result<()> {
        if self.foreign {
            sync_file_system(&self.paths.git_dir)?;
            sync_file_system(&self.paths.jj_repo)?;
            self.foreign = false;
            return Ok(());
        }
        let mut dirs: Vec<PathBuf> = Vec::new();
        dirs.extend(packed.then(|| self.objects.pack_dir()));
        dirs.extend(NAMED_IN.iter().map(|name| self.paths.jj_repo.join(name)));
        for dir in dirs {
            sync_dir(&dir).doing(&format!("syncing {}", dir.display()))?;
        }
        Ok(())
    }

    /// Barrier 2: the op head itself.
    pub(super) fn barrier_2(&self) -> Result<()> {
        sync_dir(&self.paths.jj_repo.join("op_heads/heads")).doing("syncing the op heads")
    }

    /// Both barriers, after jj-lib itself moved the op head.
    pub(super) fn sync_heads(&mut self) -> Result<()> {
        self.foreign = true;
        self.barrier_1(false)?;
        self.barrier_2()
    }
}

fn sync_file_system(path: &Path) -> Result<()> {
    let doing = || format!("syncing the file system of {}", path.display());
    let file = File::open(path).doing(&doing())?;
    rustix::fs::syncfs(file)
        .map_err(std::io::Error::from)
        .doing(&doing())
}
