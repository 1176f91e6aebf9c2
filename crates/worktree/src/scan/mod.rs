//! What a commit of a working copy would change, found without git and without writing.

mod base;
mod changes;
mod filter;
mod list;
mod queue;
mod untracked;
mod walk;

use std::path::Path;
use std::thread;
use std::time::Instant;

use self::base::Base;
use self::changes::{Changes, items};
use self::filter::Filter;
use self::walk::walk;
use crate::Result;
use crate::workspace::Workspace;

/// One path whose state differs from the commit's.
#[derive(Debug)]
pub struct ScannedFile {
    pub path: String,
    /// git's file mode; 0 when the path is deleted.
    pub mode: u32,
    /// The index has no such path.
    pub untracked: bool,
    /// The blob's bytes, or a symlink's target; None for deletions, submodules, and `through_git`.
    pub content: Option<Vec<u8>>,
    /// An attribute or setting makes git store other bytes than the file has, so that only git can
    /// tell the blob (and whether it differs from the commit's at all).
    pub through_git: bool,
    /// ctime s, ns, mtime s, ns, dev, ino, uid, gid, as taken before reading.
    pub stat: [i64; 8],
}

/// The result of [`scan`].
#[derive(Debug)]
pub struct Scan {
    /// In ascending order of their paths' bytes.
    pub files: Vec<ScannedFile>,
    /// The index differs both from the commit and from the files: the index is what was meant.
    pub staged: bool,
    /// Index entries compared.
    pub entries: usize,
    /// Microseconds of reading the index and comparing it with the commit and with files' status.
    pub stat_us: u64,
    /// Microseconds of looking for untracked files.
    pub walk_us: u64,
    /// Microseconds of reading changed files.
    pub read_us: u64,
}

/// Finds what `git add -A && git write-tree` in `worktree` would change against `commit` (a
/// commit's or tree's id), repositories inside the worktree left out.
///
/// `git_dir` is the repository's common git directory; the worktree's own is found by its `.git`.
/// `paths` restricts the scan to files and directories.
///
/// Errors: `Busy` when a file changes while it is read; `BadPath` for a changed file whose name the
/// path policy refuses; `TooLarge` for a changed file of more than 512 MiB, before it is read, and
/// for more than 1 GiB of changes; `BadInput` for unmerged entries and for a path in `paths` that
/// is ignored; `Unsupported` for a sparse index and for a tracked file that is now something git
/// cannot store.
pub fn scan(
    git_dir: &Path,
    worktree: &Path,
    commit: &str,
    paths: Option<&[String]>,
) -> Result<Scan> {
    let begun = Instant::now();
    let filter = Filter::new(paths)?;
    let workspace = Workspace::open(git_dir, worktree)?;
    let index = workspace.index()?;
    let tree = workspace.source.tree_of(commit)?;
    let (base, walked) = thread::scope(|scope| {
        let walked = scope.spawn(|| walk(&workspace, &index, &filter));
        let base = Base::compare(&workspace.source.local(), &index, tree, &filter);
        (
            base,
            walked
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    let (base, walked, stat_us) = (base?, walked?, elapsed_us(begun));
    let begun = Instant::now();
    let untracked = untracked::untracked(&workspace, &index, &filter, walked.candidates)?;
    let walk_us = elapsed_us(begun);
    let begun = Instant::now();
    let index_differs = base.differs(&index);
    let items = items(&index, base, walked.verdicts, untracked);
    let Changes { files, unstaged } = changes::read(&workspace, &index, &items)?;
    Ok(Scan {
        files,
        staged: index_differs && unstaged,
        entries: index.entries().len(),
        stat_us,
        walk_us,
        read_us: elapsed_us(begun),
    })
}

fn elapsed_us(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
