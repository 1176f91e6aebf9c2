//! When an index entry's status vouches for its file.

use gix::ObjectId;
use gix::index::entry::Stat as Stamp;
use rustix::fs::{FileType, Stat};

use crate::content::{Modes, SYMLINK, file_mode};

/// The coarsest clock of a Linux kernel ticks every 10 ms: two writes in between have one time.
const TICK_NS: i64 = 10_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// How the entries of one index compare with their files.
pub struct Stamps {
    pub modes: Modes,
    /// Seconds and nanoseconds of the index file's modification time.
    pub written: (i64, i64),
}

impl Stamps {
    /// Whether a file is what the index has recorded, by its status alone.
    pub fn vouch(&self, (mode, id): (u32, ObjectId), known: &Stamp, stat: &Stat) -> bool {
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => SYMLINK,
            FileType::RegularFile => self.modes.recorded(file_mode(stat), Some(mode)),
            _ => return false,
        };
        // An entry that git knew to be modified when it wrote the index has the size 0.
        let smudged = known.size == 0 && !id.is_empty_blob();
        found == mode
            && !smudged
            && i64::from(known.size) == stat.st_size & 0xffff_ffff
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
            && !self.is_racy(known)
    }

    /// Whether the file may have been written again after its status was recorded, without its
    /// times showing it.
    pub fn is_racy(&self, known: &Stamp) -> bool {
        let modified = (i64::from(known.mtime.secs), i64::from(known.mtime.nsecs));
        if modified.1 == 0 || self.written.1 == 0 {
            // Somebody counts in whole seconds: the tool, or the file system.
            return modified.0 >= self.written.0;
        }
        let nanoseconds = |(seconds, nanoseconds)| seconds * SECOND_NS + nanoseconds;
        nanoseconds(modified) + TICK_NS >= nanoseconds(self.written)
    }
}

/// Compares a time of an index entry with a file's; a tool may have left out the nanoseconds.
fn same_time(known: (u32, u32), seconds: i64, nanoseconds: u64) -> bool {
    i64::from(known.0) == seconds & 0xffff_ffff
        && (known.1 == 0 || u64::from(known.1) == nanoseconds)
}
