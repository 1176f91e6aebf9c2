//! A ref's lock file, as git takes it, that a killed process of ours does not leave for ever.
//!
//! The new content is written to a file of our own, which is linked to `<ref>.lock` (that fails
//! where somebody holds the lock), and the lock is in the end renamed over the ref. The own file's
//! name has our process id: a lock that is the same file as one of a dead process is abandoned.
//! git ignores names that begin with a dot or end in `.lock`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};
use rustix::thread::gettid;

use crate::{Error, Result};

/// How long a lock that somebody else holds is waited for (git's `core.filesRefLockTimeout`).
const TIMEOUT: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(5);

/// A held lock with the ref's new content in it; dropping it gives it up.
pub struct RefLock {
    target: PathBuf,
    lock: PathBuf,
    own: PathBuf,
    file: File,
    held: bool,
}

impl RefLock {
    /// Locks the ref called `name`, whose file is `target` and is to have this content.
    pub fn take(target: &Path, name: &str, content: &[u8]) -> Result<Self> {
        let base = target.file_name().unwrap_or_default();
        let (process, thread) = (getpid().as_raw_nonzero(), gettid().as_raw_nonzero());
        let suffix = format!(".{process}.{thread}.lock");
        let own = target.with_file_name(joined([OsStr::new("."), base, OsStr::new(&suffix)]));
        let file = create(&own, content).map_err(|error| failed(name, error))?;
        let lock = target.with_file_name(joined([base, OsStr::new(".lock")]));
        let mut this = Self {
            target: target.to_owned(),
            lock,
            own,
            file,
            held: false,
        };
        let deadline = Instant::now() + TIMEOUT;
        while let Err(error) = this.link(content) {
            match error.kind() {
                io::ErrorKind::AlreadyExists if this.remove_abandoned() => {}
                io::ErrorKind::AlreadyExists if Instant::now() < deadline => thread::sleep(RETRY),
                io::ErrorKind::AlreadyExists => {
                    let lock = this.lock.display();
                    return Err(Error::Busy(format!(
                        "{name} is locked by another process: {lock}"
                    )));
                }
                _ => return Err(failed(name, error)),
            }
        }
        this.held = true;
        Ok(this)
    }

    /// Makes the content the ref's.
    pub fn commit(mut self) -> io::Result<()> {
        fs::rename(&self.lock, &self.target)?;
        self.held = false;
        Ok(())
    }

    /// Makes the content durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn link(&self, content: &[u8]) -> io::Result<()> {
        match fs::hard_link(&self.own, &self.lock) {
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)
                ) =>
            {
                // A file system without hard links: a lock that is left is left.
                File::create_new(&self.lock)?.write_all(content)
            }
            linked => linked,
        }
    }

    /// Removes the lock if a process of ours left it when it was killed.
    fn remove_abandoned(&self) -> bool {
        let Some(folder) = self.lock.parent() else {
            return false;
        };
        // One at a time: a second one would remove the lock that the first one takes next.
        let guard = File::open(folder);
        if !guard
            .as_ref()
            .is_ok_and(|g| flock(g, FlockOperation::NonBlockingLockExclusive).is_ok())
        {
            return false;
        }
        let Ok(lock) = fs::symlink_metadata(&self.lock) else {
            return false;
        };
        let abandoned = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| {
                let dead = entry
                    .file_name()
                    .to_str()
                    .and_then(owner)
                    .is_some_and(is_dead);
                dead && entry.metadata().is_ok_and(|own| own.ino() == lock.ino())
            });
        // The own file last: as long as it is there, the lock is known to be abandoned.
        abandoned.is_some_and(|own| {
            fs::remove_file(&self.lock).is_ok() && fs::remove_file(own.path()).is_ok()
        })
    }
}

impl Drop for RefLock {
    fn drop(&mut self) {
        if self.held {
            let _ = fs::remove_file(&self.lock);
        }
        let _ = fs::remove_file(&self.own);
    }
}

fn create(own: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = match File::create_new(own) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            own.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create_new(own)?
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A process killed under the same id left it. It may be the ref itself by another
            // name, so it must not be written to.
            fs::remove_file(own)?;
            File::create_new(own)?
        }
        created => created?,
    };
    file.write_all(content)?;
    Ok(file)
}

fn joined<const N: usize>(parts: [&OsStr; N]) -> OsString {
    parts.into_iter().collect()
}

fn failed(name: &str, error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::NOTDIR) => Error::BadInput(format!(
            "could not write {name}: a ref with a part of that name is in its way"
        )),
        _ => Error::io(format!("lock {name}"), error),
    }
}

/// The process whose own file has this name: `.<ref>.<process>.<thread>.lock`.
fn owner(name: &str) -> Option<Pid> {
    let mut parts = name.strip_prefix('.')?.strip_suffix(".lock")?.rsplit('.');
    let (_thread, process) = (parts.next()?, parts.next()?);
    Pid::from_raw(process.parse().ok()?)
}

fn is_dead(process: Pid) -> bool {
    test_kill_process(process) == Err(Errno::SRCH)
}
