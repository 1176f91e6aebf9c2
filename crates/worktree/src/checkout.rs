//! Writes the files of a tree into several empty directories at once.
//!
//! Each blob is read and inflated once. Blobs are taken in portions of bounded size; a portion is
//! written to every directory, by several threads, before the next one is read.

use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use gix::index::entry::Stat as Stamp;
use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};
use rustix::fs::{self, Timespec, Timestamps};
use rustix::io::Errno;

use crate::attributes::Conversion;
use crate::dir::{Cursor, Dir, split};
use crate::index_file::stamp;
use crate::listing::{Entry, Listing};
use crate::parallel::{each, threads, workers};
use crate::source::{Source, object_error};
use crate::{Error, Result};

/// Inflated blobs held at a time.
const PORTION_BYTES_MAX: u64 = 64 << 20;
/// Entries a thread reads before it looks at the limit again.
const READ_STEP: usize = 64;
/// Entries a thread writes before it takes other work.
const WRITE_STEP: usize = 512;

/// What to write.
pub struct Checkout<'a> {
    pub source: &'a Source,
    pub listing: &'a Listing,
    /// Per entry, or empty when git changes no bytes anywhere.
    pub conversions: Vec<Conversion>,
    /// Leave out blobs that are not there, for git to fetch, instead of failing.
    pub partial: bool,
    /// Entries not to write.
    pub skipped: Vec<bool>,
    /// The modification time all files get (None: the time they are written).
    pub time_s: Option<i64>,
}

/// A directory to write into, and what has been made there so far.
pub struct Target {
    pub path: PathBuf,
    pub root: Dir,
    directories: AtomicUsize,
    stamps: Vec<OnceLock<Stamp>>,
}

impl Target {
    pub fn new(path: &Path, root: Dir, listing: &Listing) -> Self {
        Self {
            path: path.to_owned(),
            root,
            directories: AtomicUsize::new(0),
            stamps: listing.entries.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The status of each entry as written; zero where it was skipped.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp> {
        self.stamps
            .iter()
            .map(|stamp| stamp.get().copied().unwrap_or_default())
    }

    /// Removes what was written here and nothing else; goes on where something is gone already.
    pub fn remove_written(&self, listing: &Listing) {
        let mut cursor = Cursor::new(&self.root);
        for (entry, stamp) in listing.entries.iter().zip(&self.stamps) {
            let (directory, name) = split(listing.path(entry));
            if stamp.get().is_some()
                && let Ok(directory) = cursor.enter(directory)
            {
                let _ = match entry.kind {
                    EntryKind::Commit => directory.remove_dir(name),
                    _ => directory.remove_file(name),
                };
            }
        }
        let made = self.directories.load(Ordering::Relaxed);
        let made: Vec<_> = listing.directories().take(made).collect();
        for path in made.into_iter().rev() {
            let (directory, name) = split(path);
            if let Ok(directory) = cursor.enter(directory) {
                let _ = directory.remove_dir(name);
            }
        }
    }

    fn error(&self, path: &[u8], doing: &str, error: Errno) -> Error {
        let path = self.path.join(String::from_utf8_lossy(path).as_ref());
        Error::io(format!("{doing} {}", path.display()), error)
    }
}

impl Checkout<'_> {
    /// Writes everything; returns the bytes of the blobs written to each target. On an error the
    /// targets know what has to be removed again.
    pub fn run(&mut self, targets: &[&Target]) -> Result<u64> {
        each(targets.len(), |number| {
            self.make_directories(targets[number])
        })?;
        let mut blobs: Vec<OnceLock<Vec<u8>>> = Vec::new();
        blobs.resize_with(self.listing.entries.len(), OnceLock::new);
        let (mut bytes, mut start) = (0, 0);
        while start < blobs.len() {
            let portion = start..self.read(start, &blobs)?;
            bytes += self.decide(portion.clone(), &blobs);
            let steps = self.steps(portion.clone());
            each(steps.len() * targets.len(), |number| {
                let step = steps[number / targets.len()].clone();
                self.write(targets[number % targets.len()], step, &blobs)
            })?;
            start = portion.end;
            blobs[portion].iter_mut().for_each(|blob| drop(blob.take()));
        }
        Ok(bytes)
    }

    /// The paths that were left to git.
    pub fn skipped(&self) -> Vec<OsString> {
        let entries = self.listing.entries.iter().zip(&self.skipped);
        entries
            .filter(|(_, skipped)| **skipped)
            .map(|(entry, _)| OsString::from_vec(self.listing.path(entry).to_vec()))
            .collect()
    }

    fn make_directories(&self, target: &Target) -> Result<()> {
        let mut cursor = Cursor::new(&target.root);
        for path in self.listing.directories() {
            let (directory, name) = split(path);
            cursor
                .enter(directory)
                .and_then(|directory| directory.create_dir(name))
                .map_err(|error| target.error(path, "make the directory", error))?;
            target.directories.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads blobs from entry `start` on, as many as fit into a portion; returns where it ended.
    fn read(&self, start: usize, blobs: &[OnceLock<Vec<u8>>]) -> Result<usize> {
        let (next, bytes) = (AtomicUsize::new(start), AtomicU64::new(0));
        workers(threads(), || {
            let repository = self.source.local();
            while bytes.load(Ordering::Relaxed) < PORTION_BYTES_MAX {
                let first = next.fetch_add(READ_STEP, Ordering::Relaxed);
                if first >= blobs.len() {
                    break;
                }
                for (number, slot) in blobs.iter().enumerate().skip(first).take(READ_STEP) {
                    let entry = &self.listing.entries[number];
                    if entry.kind == EntryKind::Commit || self.skipped[number] {
                        continue;
                    }
                    if let Some(blob) = self.read_blob(&repository, entry.id)? {
                        bytes.fetch_add(blob.len() as u64, Ordering::Relaxed);
                        let _ = slot.set(blob);
                    }
                }
            }
            Ok(())
        })?;
        Ok(next.into_inner().min(blobs.len()))
    }

    /// Reads one blob; None where git has to fetch it first.
    fn read_blob(&self, repository: &Repository, id: ObjectId) -> Result<Option<Vec<u8>>> {
        match repository.find_object(id) {
            Ok(mut object) if object.kind == gix::objs::Kind::Blob => {
                Ok(Some(std::mem::take(&mut object.data)))
            }
            Ok(_) => Err(Error::Corrupt(format!("object {id} is not a blob"))),
            Err(error) => match object_error(&id, &error) {
                Error::NotFound(_) if self.partial => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Leaves to git what it would write differently; returns the bytes that are left to write.
    fn decide(&mut self, portion: Range<usize>, blobs: &[OnceLock<Vec<u8>>]) -> u64 {
        let mut bytes = 0;
        for number in portion {
            let kind = self.listing.entries[number].kind;
            let conversion = self
                .conversions
                .get(number)
                .filter(|_| kind != EntryKind::Link);
            match blobs[number].get() {
                Some(blob) if !conversion.is_some_and(|c| c.changes_blob(blob)) => {
                    bytes += blob.len() as u64;
                }
                None if kind == EntryKind::Commit => {}
                _ => self.skipped[number] = true,
            }
        }
        bytes
    }

    /// Cuts a portion where directories change, so that threads rarely meet in one.
    fn steps(&self, portion: Range<usize>) -> Vec<Range<usize>> {
        let directory = |number: usize| split(self.listing.path(&self.listing.entries[number])).0;
        let (mut steps, mut start) = (Vec::new(), portion.start);
        for number in portion.start + 1..portion.end {
            let full = number - start >= WRITE_STEP && directory(number) != directory(number - 1);
            if full || number - start >= 4 * WRITE_STEP {
                steps.push(start..number);
                start = number;
            }
        }
        steps.push(start..portion.end);
        steps
    }

    fn write(
        &self,
        target: &Target,
        step: Range<usize>,
        blobs: &[OnceLock<Vec<u8>>],
    ) -> Result<()> {
        let mut cursor = Cursor::new(&target.root);
        for number in step.filter(|number| !self.skipped[*number]) {
            let entry = &self.listing.entries[number];
            let path = self.listing.path(entry);
            let (directory, name) = split(path);
            let content = blobs[number].get().map_or(&[][..], Vec::as_slice);
            let stamp = cursor
                .enter(directory)
                .and_then(|directory| self.write_entry(directory, name, entry, content))
                .map_err(|error| target.error(path, "write", error))?;
            let _ = target.stamps[number].set(stamp);
        }
        Ok(())
    }

    fn write_entry(
        &self,
        directory: &Dir,
        name: &[u8],
        entry: &Entry,
        content: &[u8],
    ) -> rustix::io::Result<Stamp> {
        match entry.kind {
            EntryKind::Commit => directory.create_dir(name).map(|()| Stamp::default()),
            EntryKind::Link => {
                directory.symlink(content, name)?;
                if let Some(times) = self.times() {
                    directory.set_times(name, &times)?;
                }
                directory.stat(name).map(|stat| stamp(&stat))
            }
            kind => {
                let file = directory.create_file(name, kind == EntryKind::BlobExecutable)?;
                write_all(&file, content)
                    .and_then(|()| {
                        self.times()
                            .map_or(Ok(()), |times| fs::futimens(&file, &times))
                    })
                    .and_then(|()| fs::fstat(&file))
                    .map(|stat| stamp(&stat))
                    .inspect_err(|_| {
                        let _ = directory.remove_file(name);
                    })
            }
        }
    }

    fn times(&self) -> Option<Timestamps> {
        let time = Timespec {
            tv_sec: self.time_s?,
            tv_nsec: 0,
        };
        Some(Timestamps {
            last_access: time,
            last_modification: time,
        })
    }
}

fn write_all(file: &std::os::fd::OwnedFd, mut content: &[u8]) -> rustix::io::Result<()> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => content = &content[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
