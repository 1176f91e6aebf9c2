//! One walk over index and directories together: which tracked files to look at, and what else
//! is there.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use gix::index::entry::Mode;
use gix::index::{Entry, State};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::filter::Filter;
use super::list::List;
use super::queue::{Claim, Queue};
use crate::content::file_mode;
use crate::dir::Dir;
use crate::parallel::{threads, workers};
use crate::workspace::{Workspace, is_assumed};
use crate::{Error, Result};

/// The coarsest clock of a Linux kernel ticks every 10 ms: two writes in between have one time.
const TICK_NS: i64 = 10_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// What became of an index entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is no such file any more.
    Gone,
    /// The file has to be read to know.
    Read,
    /// The file is what the index has.
    Unmodified,
}

/// Something in a tracked directory that the index has not.
pub struct Candidate {
    pub path: Vec<u8>,
    pub directory: bool,
}

/// The result of the walk, in no order.
#[derive(Default)]
pub struct Walked {
    /// Of all entries but those that are unmodified.
    pub verdicts: Vec<(usize, Verdict)>,
    pub candidates: Vec<Candidate>,
}

/// Compares every index entry that `filter` covers with its file, by status alone.
pub fn walk(workspace: &Workspace, index: &State, filter: &Filter) -> Result<Walked> {
    let root = Directory {
        parent: Arc::clone(&workspace.root),
        name: b".".to_vec(),
        path: Vec::new(),
        range: 0..index.entries().len(),
    };
    let written = index.timestamp();
    let walk = Walk {
        index,
        filter,
        sparse: workspace.is_sparse(),
        written: (written.unix_seconds(), i64::from(written.nanoseconds())),
        queue: Queue::new(root),
        walked: Mutex::default(),
    };
    workers(threads(), || walk.work().inspect_err(|_| walk.queue.stop()))?;
    Ok(walk
        .walked
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

/// A directory with tracked files: the index entries below it.
struct Directory {
    parent: Arc<Dir>,
    name: Vec<u8>,
    path: Vec<u8>,
    range: Range<usize>,
}

struct Walk<'a> {
    index: &'a State,
    filter: &'a Filter,
    sparse: bool,
    /// Seconds and nanoseconds of the index file's modification time.
    written: (i64, i64),
    queue: Queue<Directory>,
    walked: Mutex<Walked>,
}

impl Walk<'_> {
    fn work(&self) -> Result<()> {
        let (mut list, mut walked) = (List::default(), Walked::default());
        while let Some(mut claim) = self.queue.take() {
            self.directory(&mut claim, &mut list, &mut walked)?;
        }
        let mut all = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        all.verdicts.append(&mut walked.verdicts);
        all.candidates.append(&mut walked.candidates);
        Ok(())
    }

    fn directory(
        &self,
        claim: &mut Claim<'_, Directory>,
        list: &mut List,
        walked: &mut Walked,
    ) -> Result<()> {
        let task = &claim.task;
        let failed = |error| Error::io(format!("read {}/", task.path.escape_ascii()), error);
        let directory = match task.parent.sub(&task.name) {
            Ok(directory) => Arc::new(directory),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                self.gone(task.range.clone(), walked);
                return Ok(());
            }
            Err(error) => return Err(failed(error)),
        };
        list.read(&directory).map_err(failed)?;
        let below = task.path.len() + usize::from(!task.path.is_empty());
        let mut number = task.range.start;
        while number < task.range.end {
            let rest = &self.path(number)[below..];
            let Some(slash) = rest.iter().position(|b| *b == b'/') else {
                self.file(number, (&directory, rest), list, walked)
                    .map_err(failed)?;
                number += 1;
                continue;
            };
            let (name, path) = (&rest[..slash], &self.path(number)[..below + slash]);
            let range = self.below(number..task.range.end, path);
            number = range.end;
            if list.take(name) != Some(FileType::Directory) {
                list.put_back(name);
                self.gone(range, walked);
            } else if self.filter.leads_to(path) {
                let (parent, name, path) = (Arc::clone(&directory), name.to_vec(), path.to_vec());
                claim.found.push(Directory {
                    parent,
                    name,
                    path,
                    range,
                });
            }
        }
        self.candidates(&task.path, list, walked);
        Ok(())
    }

    /// The entries of `range`, the first of them below `directory`, that are below it too.
    fn below(&self, range: Range<usize>, directory: &[u8]) -> Range<usize> {
        let entries = &self.index.entries()[range.clone()];
        let count = entries.partition_point(|entry| {
            let path = entry.path(self.index);
            path.starts_with(directory) && path.get(directory.len()) == Some(&b'/')
        });
        range.start..range.start + count
    }

    /// Looks at one tracked file.
    fn file(
        &self,
        number: usize,
        (directory, name): (&Dir, &[u8]),
        list: &mut List,
        walked: &mut Walked,
    ) -> std::result::Result<(), Errno> {
        let entry = &self.index.entries()[number];
        let kind = list.take(name);
        let assumed = is_assumed(entry.flags, kind.is_some(), self.sparse);
        if assumed || !self.filter.covers(self.path(number)) {
            return Ok(());
        }
        let verdict = match kind {
            None => Verdict::Gone,
            Some(FileType::Directory) if entry.mode != Mode::COMMIT => {
                list.put_back(name);
                Verdict::Gone
            }
            Some(_) => match directory.stat(name) {
                Ok(stat) if self.is_unmodified(entry, &stat) => return Ok(()),
                Ok(_) => Verdict::Read,
                Err(Errno::NOENT) => Verdict::Gone,
                Err(error) => return Err(error),
            },
        };
        walked.verdicts.push((number, verdict));
        Ok(())
    }

    fn gone(&self, range: Range<usize>, walked: &mut Walked) {
        for number in range {
            let assumed = is_assumed(self.index.entries()[number].flags, false, self.sparse);
            if !assumed && self.filter.covers(self.path(number)) {
                walked.verdicts.push((number, Verdict::Gone));
            }
        }
    }

    fn candidates(&self, directory: &[u8], list: &List, walked: &mut Walked) {
        for (name, kind) in list.rest() {
            let path = join(directory, name);
            let wanted = match kind {
                FileType::Directory => self.filter.leads_to(&path),
                FileType::RegularFile | FileType::Symlink => self.filter.covers(&path),
                _ => false,
            };
            if wanted {
                let directory = kind == FileType::Directory;
                walked.candidates.push(Candidate { path, directory });
            }
        }
    }

    fn is_unmodified(&self, entry: &Entry, stat: &Stat) -> bool {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mode = match entry.mode {
            Mode::SYMLINK => kind == FileType::Symlink,
            mode => kind == FileType::RegularFile && mode.bits() == file_mode(stat),
        };
        let known = &entry.stat;
        mode && i64::from(known.size) == stat.st_size & 0xffff_ffff
            && same_time(
                (known.mtime.secs, known.mtime.nsecs),
                stat.st_mtime,
                stat.st_mtime_nsec,
            )
            && same_time(
                (known.ctime.secs, known.ctime.nsecs),
                stat.st_ctime,
                stat.st_ctime_nsec,
            )
            && u64::from(known.ino) == stat.st_ino & 0xffff_ffff
            && (known.uid, known.gid) == (stat.st_uid, stat.st_gid)
            && !self.is_racy(entry)
    }

    /// Whether the file may have been written again after its status was recorded, without its
    /// times showing it.
    fn is_racy(&self, entry: &Entry) -> bool {
        let modified = (
            i64::from(entry.stat.mtime.secs),
            i64::from(entry.stat.mtime.nsecs),
        );
        if modified.1 == 0 || self.written.1 == 0 {
            // Somebody counts in whole seconds: the tool, or the file system.
            return modified.0 >= self.written.0;
        }
        let nanoseconds = |(seconds, nanoseconds)| seconds * SECOND_NS + nanoseconds;
        nanoseconds(modified) + TICK_NS >= nanoseconds(self.written)
    }

    fn path(&self, number: usize) -> &[u8] {
        self.index.entries()[number].path(self.index)
    }
}

/// Compares a time of an index entry with a file's; a tool may have left out the nanoseconds.
fn same_time(known: (u32, u32), seconds: i64, nanoseconds: u64) -> bool {
    i64::from(known.0) == seconds & 0xffff_ffff
        && (known.1 == 0 || u64::from(known.1) == nanoseconds)
}

pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_vec(),
        _ => [directory, name].join(&b'/'),
    }
}
