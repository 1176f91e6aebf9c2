//! Reads one file of a working copy, noticing when it changes meanwhile.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use gix::ObjectId;
use gix::hash::Kind;
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::{Error, Result};

pub const REGULAR: u32 = 0o100_644;
pub const EXECUTABLE: u32 = 0o100_755;
pub const SYMLINK: u32 = 0o120_000;
pub const SUBMODULE: u32 = 0o160_000;

/// A file or symlink as it was found.
pub struct Seen {
    pub mode: u32,
    pub stat: Stat,
    pub content: Vec<u8>,
}

impl Seen {
    /// The mode, and the id of a blob with exactly these bytes.
    pub fn recorded(&self) -> Result<(u32, ObjectId)> {
        Ok((self.mode, self.id()?))
    }

    fn id(&self) -> Result<ObjectId> {
        gix::objs::compute_hash(Kind::Sha1, gix::objs::Kind::Blob, &self.content)
            .map_err(|error| Error::git("hash a file", &error))
    }
}

/// How many bytes of one file may be read, and how many are left for all of a call's threads.
pub struct Budget {
    file: u64,
    left: AtomicU64,
}

impl Budget {
    pub fn new(file: u64, all: u64) -> Self {
        Self {
            file,
            left: AtomicU64::new(all),
        }
    }

    fn spend(&self, bytes: u64, path: &[u8]) -> Result<()> {
        if bytes > self.file {
            let (path, most) = (path.escape_ascii(), self.file);
            return Err(Error::TooLarge(format!(
                "{path} has {bytes} bytes; at most {most} are taken"
            )));
        }
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        left.map(drop).map_err(|_| {
            let path = path.escape_ascii();
            Error::TooLarge(format!(
                "the changed files are too big together: {path} is the last"
            ))
        })
    }
}

/// Reads `name` in `directory`; `path` names it in errors.
///
/// Errors: `Busy` when its status before and after differ or it is replaced meanwhile,
/// `Unsupported` when it is neither a file nor a symlink, `TooLarge`, before anything of it is
/// read, when the budget does not cover it.
pub fn read(directory: &Dir, name: &[u8], path: &[u8], budget: &Budget) -> Result<Seen> {
    let failed = |error| match error {
        // What was there when the directory was listed is gone or something else now.
        Errno::NOENT | Errno::LOOP | Errno::INVAL | Errno::NOTDIR | Errno::ISDIR => busy(path),
        error => Error::io(format!("read {}", path.escape_ascii()), error),
    };
    let before = directory.stat(name).map_err(failed)?;
    budget.spend(u64::try_from(before.st_size).unwrap_or(0), path)?;
    match FileType::from_raw_mode(before.st_mode) {
        FileType::Symlink => {
            let content = directory.read_link(name).map_err(failed)?;
            let after = directory.stat(name).map_err(failed)?;
            unchanged(&before, &after, path)?;
            Ok(Seen {
                mode: SYMLINK,
                stat: before,
                content,
            })
        }
        FileType::RegularFile => {
            let file = File::from(directory.open_file(name).map_err(failed)?);
            let opened = fstat(&file).map_err(failed)?;
            unchanged(&before, &opened, path)?;
            let content = read_all(&file, &before)
                .map_err(|error| Error::io(format!("read {}", path.escape_ascii()), error))?;
            unchanged(&before, &fstat(&file).map_err(failed)?, path)?;
            Ok(Seen {
                mode: file_mode(&before),
                stat: before,
                content,
            })
        }
        FileType::Directory => Err(busy(path)),
        _ => Err(Error::Unsupported(format!(
            "{} is neither a file nor a symlink",
            path.escape_ascii()
        ))),
    }
}

/// The mode git records for a regular file.
pub fn file_mode(stat: &Stat) -> u32 {
    if stat.st_mode & 0o100 == 0 {
        REGULAR
    } else {
        EXECUTABLE
    }
}

fn read_all(mut file: &File, stat: &Stat) -> std::io::Result<Vec<u8>> {
    // One byte more than expected saves the call that only finds the end.
    let expected = usize::try_from(stat.st_size).unwrap_or(0);
    let mut content = Vec::with_capacity(expected + 1);
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn unchanged(before: &Stat, after: &Stat, path: &[u8]) -> Result<()> {
    let key = |stat: &Stat| {
        let times = [stat.st_mtime, stat.st_ctime];
        let nanoseconds = [stat.st_mtime_nsec, stat.st_ctime_nsec];
        (stat.st_ino, stat.st_size, stat.st_mode, times, nanoseconds)
    };
    if key(before) == key(after) {
        Ok(())
    } else {
        Err(busy(path))
    }
}

pub fn busy(path: &[u8]) -> Error {
    Error::Busy(format!("{} changed while it was read", path.escape_ascii()))
}
