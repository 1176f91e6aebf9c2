//! Loose refs, written as git writes them: `<ref>.lock`, then a rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use rustix::io::Errno;

use crate::source::parse_id;
use crate::{Error, Result};

/// How long a ref that somebody else has locked is waited for (git's `core.filesRefLockTimeout`).
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
const LOCK_RETRY: Duration = Duration::from_millis(5);
/// Who the reflog names.
const REFLOG_IDENTITY: &str = "Tatami <tatami@localhost>";

/// Writes loose refs (full name, commit id), one after the other, each atomically, with a line in
/// its reflog; a new branch gets a reflog where the repository keeps any. Not durable by itself:
/// after a power cut a ref may be as it was before, or empty until it is written again.
///
/// Errors: `BadInput` for a name git would refuse, a symbolic ref, or a name in the way of
/// another ref; `Busy` when somebody else holds a ref's lock; refs before the failing one stay
/// written.
pub fn write_refs(git_dir: &Path, refs: &[(String, String)]) -> Result<()> {
    if git_dir.join("reftable").is_dir() {
        return Err(Error::Unsupported(format!(
            "the repository {} keeps its refs in reftables",
            git_dir.display()
        )));
    }
    let mut parsed = Vec::with_capacity(refs.len());
    for (name, id) in refs {
        check_name(name)?;
        parsed.push((name, parse_id(id)?));
    }
    let packed = Packed::read(git_dir)?;
    parsed
        .into_iter()
        .try_for_each(|(name, id)| Loose { git_dir, name, id }.write(&packed))
}

fn check_name(name: &str) -> Result<()> {
    let bad = |why: &str| {
        Err(Error::BadInput(format!(
            "{name:?} is not a ref's name: {why}"
        )))
    };
    if !name.starts_with("refs/") {
        return bad("it does not begin with refs/");
    }
    match gix::validate::reference::name(name.into()) {
        Ok(_) => Ok(()),
        Err(error) => bad(&error.to_string()),
    }
}

/// The repository's `packed-refs` file.
struct Packed(Vec<u8>);

impl Packed {
    fn read(git_dir: &Path) -> Result<Self> {
        match fs::read(git_dir.join("packed-refs")) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(Vec::new())),
            Err(error) => Err(Error::io("read packed-refs", error)),
        }
    }

    fn names(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self
            .0
            .lines()
            .filter(|line| !matches!(line.first(), Some(b'#' | b'^')));
        lines.filter_map(|line| line.split_once_str(" ").map(|(id, name)| (name, id)))
    }

    fn get(&self, wanted: &str) -> Option<ObjectId> {
        let (_, id) = self.names().find(|(name, _)| *name == wanted.as_bytes())?;
        ObjectId::from_hex(id).ok()
    }

    /// A packed ref that cannot exist together with `name`: one of its parents or children.
    fn in_the_way(&self, name: &str) -> Option<String> {
        let below = |long: &[u8], short: &[u8]| {
            long.len() > short.len() && long.starts_with(short) && long[short.len()] == b'/'
        };
        let name = name.as_bytes();
        let (found, _) = self
            .names()
            .find(|(other, _)| below(other, name) || below(name, other))?;
        Some(found.to_str_lossy().into_owned())
    }
}

struct Loose<'a> {
    git_dir: &'a Path,
    name: &'a str,
    id: ObjectId,
}

impl Loose<'_> {
    fn write(&self, packed: &Packed) -> Result<()> {
        let path = self.git_dir.join(self.name);
        let lock = Lock::take(&path, self.name)?;
        let old = match self.read(&path)? {
            Some(old) => Some(old),
            None => {
                let old = packed.get(self.name);
                if old.is_none()
                    && let Some(other) = packed.in_the_way(self.name)
                {
                    return Err(self.obstructed(&other));
                }
                old
            }
        };
        let line = format!("{}\n", self.id);
        (&lock.file)
            .write_all(line.as_bytes())
            .map_err(|error| self.error(error))?;
        self.log(old)?;
        lock.rename_to(&path).map_err(|error| self.error(error))
    }

    /// The id in the loose file; None where there is none.
    fn read(&self, path: &Path) -> Result<Option<ObjectId>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                // git, too, removes the empty directories that deleted refs leave behind.
                remove_empty_directories(path);
                return match path.exists() {
                    false => Ok(None),
                    true => Err(self.obstructed(&format!("{}/...", self.name))),
                };
            }
            Err(error) => return Err(self.error(error)),
        };
        if text.starts_with(b"ref:") {
            let target = text.to_str_lossy();
            let (name, target) = (self.name, target.trim());
            return Err(Error::BadInput(format!(
                "{name} is a symbolic ref ({target})"
            )));
        }
        // A torn file (a power cut leaves it empty) is replaced, not complained about.
        Ok(ObjectId::from_hex(text.trim()).ok())
    }

    /// Appends to the reflog where there is one, or where a new branch is to get one.
    fn log(&self, old: Option<ObjectId>) -> Result<()> {
        let path = self.git_dir.join("logs").join(self.name);
        let begin = old.is_none()
            && self.name.starts_with("refs/heads/")
            && self.git_dir.join("logs").is_dir();
        if let (true, Some(parent)) = (begin, path.parent()) {
            fs::create_dir_all(parent).map_err(|error| self.error(error))?;
        }
        let mut file = match OpenOptions::new().append(true).create(begin).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.error(error)),
        };
        let old = old.unwrap_or_else(|| ObjectId::null(gix::hash::Kind::Sha1));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let line = format!("{old} {} {REFLOG_IDENTITY} {now} +0000\ttatami\n", self.id);
        file.write_all(line.as_bytes())
            .map_err(|error| self.error(error))
    }

    fn obstructed(&self, other: &str) -> Error {
        let name = self.name;
        Error::BadInput(format!(
            "could not write {name}: the ref {other} is in its way"
        ))
    }

    fn error(&self, error: io::Error) -> Error {
        Error::io(format!("write {}", self.name), error)
    }
}

/// Removes `path` and what is below where it holds nothing but directories.
fn remove_empty_directories(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_directories(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}

/// A ref's lock file, removed when it was not renamed.
struct Lock {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Lock {
    fn take(target: &Path, name: &str) -> Result<Self> {
        let mut path = target.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let error = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        renamed: false,
                    });
                }
                Err(error) => error,
            };
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT) if make_parent(&path).is_ok() => {}
                Some(Errno::EXIST) if Instant::now() < deadline => thread::sleep(LOCK_RETRY),
                Some(Errno::EXIST) => {
                    let path = path.display();
                    return Err(Error::Busy(format!(
                        "{name} is locked by another process: {path}"
                    )));
                }
                Some(Errno::NOTDIR) => {
                    return Err(Error::BadInput(format!(
                        "could not write {name}: a ref with a part of that name is in its way"
                    )));
                }
                _ => return Err(Error::io(format!("lock {name}"), error)),
            }
        }
    }

    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}
