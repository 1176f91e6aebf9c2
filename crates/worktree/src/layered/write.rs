//! Makes an overlay workspace's index agree with a commit just made of its files.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gix::ObjectId;
use gix::index::entry::Stat as Stamp;
use rustix::fs::{Timespec, Timestamps, futimens};
use sha1::{Digest, Sha1};

use super::rows::{FIXED_BYTES, HEADER_BYTES, ID_BYTES, Row};
use super::{Opened, View};
use super::{bitmap, cache};
use crate::update::{Changes, Files, TEMPORARY, ancestors, parse, require_lock};
use crate::workspace::Workspace;
use crate::{Error, Result};

/// An index written again within this time is written as what it changes of the lower tree's: a
/// program that commits many times a second would spend most of its time writing what is the same.
const BUSY_NS: i64 = 1_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// As [`update_index`](crate::update_index), of a workspace over a lower tree; returns the last
/// bytes of the new index in hex, which are another with each content.
///
/// git reads a split index like a whole one, but not every other program can. So the index is split
/// only while it is written time and again, and never where `core.splitIndex` says no.
pub fn update_overlay_index(
    git_dir: &Path,
    worktree: &Path,
    lower_index: &Path,
    entries: &[(String, u32, String)],
    how: How,
) -> Result<String> {
    let changes = parse(entries)?;
    let seen = how.seen.filter(Opened::is_current);
    let (workspace, view) = match seen {
        Some(seen) => (seen.workspace, Some(seen.view)),
        None => {
            let workspace = Workspace::open_lightly(git_dir, worktree)?;
            let view = View::open(&workspace.admin, lower_index)?;
            (workspace, view)
        }
    };
    let lock = require_lock(&workspace)?;
    let index = workspace.admin.join("index");
    let Some(view) = view else {
        crate::update_index(git_dir, worktree, entries)?;
        let bytes = fs::read(&index).map_err(|error| Error::io("read the index", error))?;
        return super::checksum(&bytes).map(|found| hex(&found));
    };
    let failed = |error| Error::io(format!("write {}", index.display()), error);
    let temporary = workspace.admin.join(TEMPORARY);
    let mut file = File::create(&temporary).map_err(failed)?;
    let made = file.metadata().map_err(failed)?;
    let mut update = Update {
        view,
        files: Files::new(&workspace),
        now: (made.mtime(), made.mtime_nsec()),
    };
    update.verify_racy(&changes)?;
    update.set(&changes)?;
    let split = !how.settle && update.is_busy() && allows_split(&workspace);
    let split = split && update.share(&workspace.admin, lower_index);
    let bytes = if split {
        update.split()?
    } else {
        update.whole()?
    };
    // The time before which everything was looked at: what is written since is younger.
    let time = Timespec {
        tv_sec: made.mtime(),
        tv_nsec: made.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    file.write_all(&bytes)
        .and_then(|()| Ok(futimens(&file, &times)?))
        .and_then(|()| fs::rename(&temporary, &index))
        .map_err(|error| {
            let _ = fs::remove_file(&temporary);
            failed(error)
        })?;
    fs::remove_file(&lock)
        .map_err(|error| Error::io(format!("remove {}", lock.display()), error))?;
    super::checksum(&bytes).map(|found| hex(&found))
}

/// How an index is written.
#[derive(Default)]
pub struct How {
    /// Whole, whatever the time.
    pub settle: bool,
    /// What the scan before it saw, under the same lock.
    pub seen: Option<Opened>,
}

struct Update<'a> {
    view: View,
    files: Files<'a>,
    /// Seconds and nanoseconds of the new index's time.
    now: (i64, i64),
}

impl Update<'_> {
    /// Looks again at files as young as the old index, which git would take for unmodified by
    /// their status alone in a younger one.
    fn verify_racy(&mut self, changes: &Changes) -> Result<()> {
        let (old, new) = (self.view.written.0, self.now.0);
        let racy = |row: &Row<'_>| (old..new).contains(&i64::from(row.stat().mtime.secs));
        let mut found: Vec<Vec<u8>> = Vec::new();
        for (path, change) in &self.view.changes {
            if change
                .as_ref()
                .is_some_and(|fixed| racy(&Row::new(fixed, path)))
            {
                found.push(path.clone());
            }
        }
        for number in 0..self.view.lower_len() {
            let row = self.view.lower_row(number)?;
            if racy(&row) && !self.view.changes.contains_key(row.path) {
                found.push(row.path.to_vec());
            }
        }
        for path in found.into_iter().filter(|path| !changes.contains_key(path)) {
            if let Some(row) = self.view.get(&path) {
                let (mode, id) = (row.mode(), row.id());
                self.put(&path, mode, id)?;
            }
        }
        Ok(())
    }

    /// Sets what a commit has at paths, and takes out what cannot be beside it.
    fn set(&mut self, changes: &Changes) -> Result<()> {
        for (path, (mode, _)) in changes {
            if *mode == 0 {
                self.remove(path);
                continue;
            }
            for above in ancestors(path) {
                self.remove(above);
            }
            let inside = [path, &b"/"[..]].concat();
            let below: Vec<_> = self
                .view
                .below(&inside)
                .map(|row| row.path.to_vec())
                .collect();
            below.iter().for_each(|path| self.remove(path));
        }
        // Now, so that nothing that is set is taken out again.
        for (path, (mode, id)) in changes.iter().filter(|(_, (mode, _))| *mode != 0) {
            self.put(path, *mode, *id)?;
        }
        Ok(())
    }

    fn put(&mut self, path: &[u8], mode: u32, id: ObjectId) -> Result<()> {
        let stamp = self.files.status(path, mode, id)?;
        let fixed = fixed(&stamp, mode, &id, path);
        let row = Row::new(&fixed, path);
        let lower = self.view.find(path).ok();
        let lower = lower.and_then(|number| self.view.lower_row(number).ok());
        match lower.is_some_and(|lower| lower.is_same(&row)) {
            true => self.view.changes.remove(path),
            false => self.view.changes.insert(path.to_vec(), Some(fixed)),
        };
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) {
        match self.view.find(path) {
            Ok(_) => self.view.changes.insert(path.to_vec(), None),
            Err(_) => self.view.changes.remove(path),
        };
    }

    fn is_busy(&self) -> bool {
        let nanoseconds = |(seconds, nanoseconds)| seconds * SECOND_NS + nanoseconds;
        nanoseconds(self.now) - nanoseconds(self.view.written) < BUSY_NS
    }

    /// Puts the lower tree's index where git looks for what a split index is over.
    fn share(&self, admin: &Path, lower_index: &Path) -> bool {
        let Ok(checksum) = self.view.lower_checksum() else {
            return false;
        };
        let shared = admin.join(format!("sharedindex.{}", hex(&checksum)));
        shared.exists() || fs::hard_link(lower_index, &shared).is_ok()
    }

    fn whole(&self) -> Result<Vec<u8>> {
        let mut out = self.begun(self.view.len());
        let mut changes = self.view.changes.iter().peekable();
        for number in 0..self.view.lower_len() {
            let lower = self.view.lower_row(number)?;
            while let Some((path, change)) = changes.next_if(|(path, _)| path[..] < *lower.path) {
                change
                    .iter()
                    .for_each(|fixed| append(&mut out, fixed, path));
            }
            match changes.next_if(|(path, _)| path[..] == *lower.path) {
                Some((path, Some(fixed))) => append(&mut out, fixed, path),
                Some((_, None)) => {}
                None => out.extend_from_slice(self.view.lower_bytes(number)),
            }
        }
        for (path, change) in changes {
            change
                .iter()
                .for_each(|fixed| append(&mut out, fixed, path));
        }
        self.end(out, false, None)
    }

    fn split(&self) -> Result<Vec<u8>> {
        let (mut deleted, mut replaced, mut added) = (Vec::new(), Vec::new(), Vec::new());
        for (path, change) in &self.view.changes {
            match (self.view.find(path), change) {
                (Ok(number), None) => deleted.push(number),
                (Ok(number), Some(fixed)) => replaced.push((number, fixed)),
                (Err(_), Some(fixed)) => added.push((path, fixed)),
                (Err(_), None) => {}
            }
        }
        let mut out = self.begun(replaced.len() + added.len());
        for (_, fixed) in &replaced {
            append(&mut out, &Row::new(fixed, b"").with_length(0), b"");
        }
        added
            .iter()
            .for_each(|(path, fixed)| append(&mut out, fixed, path));
        let replaced: Vec<_> = replaced.iter().map(|(number, _)| *number).collect();
        let mut link = self.view.lower_checksum()?.to_vec();
        bitmap::write(&deleted, &mut link);
        bitmap::write(&replaced, &mut link);
        self.end(out, true, Some(link))
    }

    fn begun(&self, entries: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + 96 * entries);
        out.extend_from_slice(b"DIRC\0\0\0\x02");
        out.extend_from_slice(&word(entries));
        out
    }

    fn end(&self, mut out: Vec<u8>, short: bool, link: Option<Vec<u8>>) -> Result<Vec<u8>> {
        if let Some(link) = link {
            extension(&mut out, b"link", &link);
        }
        if let Some(whole) = self.view.lower_cache()? {
            let cache = cache::write(whole, &self.view.changes, short)?;
            extension(&mut out, b"TREE", &cache);
        }
        let digest = Sha1::digest(&out);
        out.extend_from_slice(&digest);
        Ok(out)
    }
}

fn allows_split(workspace: &Workspace) -> bool {
    let repository = workspace.source.local();
    let config = repository.config_snapshot();
    config.boolean("core.splitIndex").unwrap_or(true)
}

fn fixed(stamp: &Stamp, mode: u32, id: &ObjectId, path: &[u8]) -> [u8; FIXED_BYTES] {
    let (changed, modified) = (&stamp.ctime, &stamp.mtime);
    let times = [changed.secs, changed.nsecs, modified.secs, modified.nsecs];
    let rest = [stamp.dev, stamp.ino, mode, stamp.uid, stamp.gid, stamp.size];
    let mut fixed = [0; FIXED_BYTES];
    for (field, place) in times.into_iter().chain(rest).zip(fixed.chunks_exact_mut(4)) {
        place.copy_from_slice(&field.to_be_bytes());
    }
    fixed[40..40 + ID_BYTES].copy_from_slice(id.as_slice());
    Row::new(&fixed, path).with_length(path.len())
}

fn append(out: &mut Vec<u8>, fixed: &[u8; FIXED_BYTES], path: &[u8]) {
    let start = out.len();
    out.extend_from_slice(fixed);
    out.extend_from_slice(path);
    let padded = start + (out.len() - start + 8) / 8 * 8;
    out.resize(padded, 0);
}

fn extension(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(&word(content.len()));
    out.extend_from_slice(content);
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[expect(clippy::cast_possible_truncation, reason = "an index is below 4 GiB")]
fn word(value: usize) -> [u8; 4] {
    (value as u32).to_be_bytes()
}
