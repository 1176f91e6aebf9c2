//! One walk over index and directories together: which tracked files to look at, and what else
//! is there.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use gix::index::State;
use gix::index::entry::Mode;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::base::recorded;
use super::filter::Filter;
use super::list::List;
use super::queue::{Claim, Queue};
use super::stamps::Stamps;
use crate::Result;
use crate::content::{Modes, failed};
use crate::dir::Dir;
use crate::parallel::{threads, workers};
use crate::workspace::{Workspace, is_assumed};

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
    Walk::new(workspace, index, filter).run(root)
}

/// A directory with tracked files: the index entries below it.
struct Directory {
    parent: Arc<Dir>,
    name: Vec<u8>,
    path: Vec<u8>,
    range: Range<usize>,
}

/// What a walk compares: the index, as far as `filter` covers it.
struct Walk<'a> {
    index: &'a State,
    filter: &'a Filter,
    sparse: bool,
    stamps: Stamps,
}

impl<'a> Walk<'a> {
    fn new(workspace: &Workspace, index: &'a State, filter: &'a Filter) -> Self {
        let written = index.timestamp();
        Self {
            index,
            filter,
            sparse: workspace.is_sparse(),
            stamps: Stamps {
                modes: Modes::of(&workspace.source.local()),
                written: (written.unix_seconds(), i64::from(written.nanoseconds())),
            },
        }
    }

    /// Walks a directory and all below it, by several threads.
    fn run(&self, root: Directory) -> Result<Walked> {
        let queue = Queue::new(root);
        let all = Mutex::new(Walked::default());
        let work = || {
            let (mut list, mut walked) = (List::default(), Walked::default());
            while let Some(mut claim) = queue.take() {
                self.directory(&mut claim, &mut list, &mut walked)?;
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.verdicts.append(&mut walked.verdicts);
            all.candidates.append(&mut walked.candidates);
            Ok(())
        };
        workers(threads(), || work().inspect_err(|_| queue.stop()))?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn directory(
        &self,
        claim: &mut Claim<'_, Directory>,
        list: &mut List,
        walked: &mut Walked,
    ) -> Result<()> {
        let task = &claim.task;
        let failed = |error| failed(&task.path, error);
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
        candidates(self.filter, &task.path, list, &mut walked.candidates);
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
                Ok(stat) if self.stamps.vouch(recorded(entry), &entry.stat, &stat) => {
                    return Ok(());
                }
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

    fn path(&self, number: usize) -> &[u8] {
        self.index.entries()[number].path(self.index)
    }
}

/// Adds what is left in the list of a directory and is asked for.
pub fn candidates(filter: &Filter, directory: &[u8], list: &List, found: &mut Vec<Candidate>) {
    for (name, kind) in list.rest() {
        let path = join(directory, name);
        let wanted = match kind {
            FileType::Directory => filter.leads_to(&path),
            FileType::RegularFile | FileType::Symlink => filter.covers(&path),
            _ => false,
        };
        if wanted {
            let directory = kind == FileType::Directory;
            found.push(Candidate { path, directory });
        }
    }
}

pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_vec(),
        _ => [directory, name].join(&b'/'),
    }
}
