//! Reads one file of a working copy, noticing when it changes meanwhile.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use gix::hash::Kind;
use gix::{ObjectId, Repository};
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;

use crate::dir::{Cursor, Dir, split};
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
    /// The id of a blob with exactly these bytes.
    pub fn id(&self) -> Result<ObjectId> {
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
    let failed = |error| failed(path, error);
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

/// Reads a file of rules (`.gitignore`, `.gitattributes`) as git does: there are none where a
/// symlink, a directory or anything else is in its place, or in the way to it.
pub fn read_rules(cursor: &mut Cursor<'_>, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let failed = |error| Error::io(format!("read {}", path.escape_ascii()), error);
    let (directory, name) = split(path);
    let opened = cursor
        .enter(directory)
        .and_then(|directory| directory.open_file(name));
    let file = match opened {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let stat = fstat(&file).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let content = read_all(&file, &stat)
        .map_err(|error| Error::io(format!("read {}", path.escape_ascii()), error))?;
    Ok(Some(content))
}

/// How far modes on disk count: some file systems keep no executable bits, or no symlinks.
#[derive(Clone, Copy)]
pub struct Modes {
    /// `core.fileMode`
    executable: bool,
    /// `core.symlinks`
    symlinks: bool,
}

impl Modes {
    pub fn of(repository: &Repository) -> Self {
        let config = repository.config_snapshot();
        let is = |key: &str| config.boolean(key).unwrap_or(true);
        Self {
            executable: is("core.fileMode"),
            symlinks: is("core.symlinks"),
        }
    }

    /// The mode git records for what has `found` on disk and `known` in the index.
    pub fn recorded(self, found: u32, known: Option<u32>) -> u32 {
        match (found, known) {
            (REGULAR | EXECUTABLE, Some(SYMLINK)) if !self.symlinks => SYMLINK,
            (REGULAR | EXECUTABLE, Some(known @ (REGULAR | EXECUTABLE))) if !self.executable => {
                known
            }
            (EXECUTABLE, _) if !self.executable => REGULAR,
            (found, _) => found,
        }
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

/// Why something that a list named could not be read: `Busy` when it is gone or another thing now.
pub fn failed(path: &[u8], error: Errno) -> Error {
    match error {
        Errno::NOENT | Errno::LOOP | Errno::INVAL | Errno::NOTDIR | Errno::ISDIR => busy(path),
        error => Error::io(format!("read {}", path.escape_ascii()), error),
    }
}

pub fn busy(path: &[u8]) -> Error {
    Error::Busy(format!("{} changed while it was read", path.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::failed;
    use crate::Error;
    use rustix::io::Errno;

    #[test]
    fn only_what_goes_or_is_another_thing_now_is_busy() {
        for gone in [Errno::NOENT, Errno::NOTDIR, Errno::LOOP] {
            assert!(matches!(failed(b"a", gone), Error::Busy(_)), "{gone}");
        }
        assert!(matches!(failed(b"a", Errno::ACCESS), Error::Permission(_)));
        assert!(matches!(failed(b"a", Errno::IO), Error::Io(_)));
        assert!(matches!(failed(b"a", Errno::MFILE), Error::Io(_)));
    }
}
