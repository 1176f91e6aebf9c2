//! Loose refs, written as git writes them: `<ref>.lock`, then a rename.

use std::cell::OnceCell;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use gix::ObjectId;
use gix::bstr::ByteSlice;

use crate::ref_lock::RefLock;
use crate::source::parse_id;
use crate::{Error, Result};

/// Who the reflog names.
const REFLOG_IDENTITY: &str = "Tatami <tatami@localhost>";

/// Writes loose refs (full name, commit id), one after the other, each atomically, with a line in
/// its reflog; a new branch gets a reflog where the repository keeps any. Not durable by itself:
/// after a power cut a ref may be as it was before.
///
/// Errors: `BadInput` for a name git would refuse, a symbolic ref, or a name in the way of
/// another ref; `Busy` when somebody else holds a ref's lock; refs before the failing one stay
/// written.
pub fn write_refs(git_dir: &Path, refs: &[(String, String)]) -> Result<()> {
    let moves = refs
        .iter()
        .map(|(name, id)| (name.clone(), id.clone(), None));
    move_refs(git_dir, &moves.collect::<Vec<_>>()).map(drop)
}

/// As [`write_refs`], where each ref is moved only from the commit given with it (the third item;
/// None: from anywhere). A ref that does not exist is made. Returns the names of those that were
/// somewhere else and stay there: whoever moved them meant it.
pub fn move_refs(git_dir: &Path, refs: &[(String, String, Option<String>)]) -> Result<Vec<String>> {
    if git_dir.join("reftable").is_dir() {
        return Err(Error::Unsupported(format!(
            "the repository {} keeps its refs in reftables",
            git_dir.display()
        )));
    }
    let mut parsed = Vec::with_capacity(refs.len());
    for (name, id, from) in refs {
        check_name(name)?;
        let from = from.as_deref().map(parse_id).transpose()?;
        parsed.push((name, parse_id(id)?, from));
    }
    let packed = Packed::default();
    let mut elsewhere = Vec::new();
    for (name, id, from) in parsed {
        if !(Loose { git_dir, name, id }.write(&packed, from)?) {
            elsewhere.push(name.clone());
        }
    }
    Ok(elsewhere)
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

/// The repository's `packed-refs` file, read once a ref is not loose.
#[derive(Default)]
struct Packed(OnceCell<Vec<u8>>);

impl Packed {
    fn read(&self, git_dir: &Path) -> Result<()> {
        if self.0.get().is_none() {
            let bytes = match fs::read(git_dir.join("packed-refs")) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                read => read.map_err(|error| Error::io("read packed-refs", error))?,
            };
            let _ = self.0.set(bytes);
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.0.get().map_or(&[][..], Vec::as_slice).lines();
        let lines = lines.filter(|line| !matches!(line.first(), Some(b'#' | b'^')));
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
    /// Returns whether the ref is at the commit now.
    fn write(&self, packed: &Packed, from: Option<ObjectId>) -> Result<bool> {
        let path = self.git_dir.join(self.name);
        let lock = RefLock::take(&path, self.name, format!("{}\n", self.id).as_bytes())?;
        let loose = self.read(&path)?;
        let mut old = loose;
        if old.is_none() {
            packed.read(self.git_dir)?;
            old = packed.get(self.name);
            if let (None, Some(other)) = (old, packed.in_the_way(self.name)) {
                return Err(self.obstructed(&other));
            }
        }
        if let (Some(old), Some(from)) = (old, from)
            && old != from
        {
            return Ok(old == self.id);
        }
        if loose.is_none() {
            // File systems write a renamed file out first where it replaces another. Where it does
            // not, a power cut can leave it empty, and git then refuses the whole repository.
            lock.sync().map_err(|error| self.error(error))?;
        }
        self.log(old)?;
        lock.commit().map_err(|error| self.error(error))?;
        Ok(true)
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
