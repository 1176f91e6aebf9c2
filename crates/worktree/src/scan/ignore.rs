//! Which untracked paths git leaves out: `.gitignore` at all levels, `info/exclude`, the user's.
//!
//! Like git, this follows no symlink to a `.gitignore`, and reads one that a sparse checkout left
//! out from the index.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::Repository;
use gix::bstr::BStr;
use gix::glob::pattern::Case;
use gix::glob::search::pattern::List;
use gix::ignore::search::{Ignore, pattern_matching_relative_path};
use gix::index::State;
use gix::index::entry::Flags;

use super::walk::join;
use crate::content::read_rules;
use crate::dir::{Cursor, split};
use crate::path::is_at_or_below;
use crate::source::object_error;
use crate::{Error, Result};

const NAME: &[u8] = b".gitignore";
/// git has no names for precious files.
const PARSE: Ignore = Ignore {
    support_precious: false,
};

/// The ignore rules of a worktree; cheapest when paths come in sorted order.
pub struct Rules<'a> {
    repository: &'a Repository,
    index: &'a State,
    /// What holds everywhere; a later list decides before an earlier one.
    global: Vec<List<Ignore>>,
    case: Case,
    /// From the root to the directory looked at last.
    levels: Vec<Level>,
}

/// A directory with the rules that its file adds.
struct Level {
    path: Vec<u8>,
    /// All below is ignored, whatever rules are there.
    ignored: bool,
    list: Option<List<Ignore>>,
}

impl<'a> Rules<'a> {
    /// Reads what holds for the whole worktree.
    pub fn new(repository: &'a Repository, index: &'a State) -> Result<Self> {
        let common = repository.common_dir().join("info/exclude");
        let mut global = Vec::new();
        for file in users_file(repository)?.into_iter().chain([common]) {
            match std::fs::read(&file) {
                Ok(bytes) => global.push(parse(&bytes, file, None)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(Error::io(format!("read {}", file.display()), error)),
            }
        }
        let config = repository.config_snapshot();
        let case = match config.boolean("core.ignoreCase").unwrap_or(false) {
            true => Case::Fold,
            false => Case::Sensitive,
        };
        Ok(Self {
            repository,
            index,
            global,
            case,
            levels: Vec::new(),
        })
    }

    /// Whether an untracked path is left out.
    pub fn ignores(
        &mut self,
        cursor: &mut Cursor<'_>,
        path: &[u8],
        directory: bool,
    ) -> Result<bool> {
        self.enter(cursor, split(path).0)?;
        Ok(self.decides(path, directory))
    }

    /// Makes `directory` the last of the levels.
    fn enter(&mut self, cursor: &mut Cursor<'_>, directory: &[u8]) -> Result<()> {
        while self
            .levels
            .last()
            .is_some_and(|level| !contains(&level.path, directory))
        {
            self.levels.pop();
        }
        if self.levels.is_empty() {
            self.push(cursor, &[])?;
        }
        loop {
            let above = self.levels.last().map_or(0, |level| level.path.len());
            if above == directory.len() {
                return Ok(());
            }
            let start = above + usize::from(above > 0);
            let name = directory[start..].split(|b| *b == b'/').next();
            self.push(cursor, &directory[..start + name.map_or(0, <[u8]>::len)])?;
        }
    }

    fn push(&mut self, cursor: &mut Cursor<'_>, directory: &[u8]) -> Result<()> {
        let ignored = !directory.is_empty() && self.decides(directory, true);
        let list = match ignored {
            true => None,
            false => self.read(cursor, directory)?,
        };
        self.levels.push(Level {
            path: directory.to_vec(),
            ignored,
            list,
        });
        Ok(())
    }

    fn read(&self, cursor: &mut Cursor<'_>, directory: &[u8]) -> Result<Option<List<Ignore>>> {
        let path = join(directory, NAME);
        let bytes = match read_rules(cursor, &path)? {
            Some(bytes) => bytes,
            None => match self.index.entry_by_path(path.as_slice().into()) {
                Some(entry) if entry.flags.contains(Flags::SKIP_WORKTREE) => {
                    let blob = self.repository.find_object(entry.id);
                    blob.map_err(|error| object_error(&entry.id, &error))?
                        .data
                        .clone()
                }
                _ => return Ok(None),
            },
        };
        let source = PathBuf::from(OsStr::from_bytes(&path));
        Ok(Some(parse(&bytes, source, Some(Path::new("")))))
    }

    /// What the levels, all above `path`, say: the last rule of the deepest file that has one.
    fn decides(&self, path: &[u8], directory: bool) -> bool {
        if self.levels.last().is_some_and(|level| level.ignored) {
            return true;
        }
        let (path, name): (&BStr, _) = (path.into(), path.iter().rposition(|b| *b == b'/'));
        let name = name.map(|slash| slash + 1);
        let own = self
            .levels
            .iter()
            .rev()
            .filter_map(|level| level.list.as_ref());
        own.chain(self.global.iter().rev())
            .find_map(|list| {
                pattern_matching_relative_path(list, path, name, Some(directory), self.case)
            })
            .is_some_and(|found| !found.pattern.is_negative())
    }
}

/// root: what `source` is relative to; None for rules that hold everywhere.
fn parse(bytes: &[u8], source: PathBuf, root: Option<&Path>) -> List<Ignore> {
    // The last line may lack its newline, and may yet have come from Windows.
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    List::from_bytes(bytes, source, root, PARSE)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

fn contains(directory: &[u8], path: &[u8]) -> bool {
    directory.is_empty() || is_at_or_below(path, directory)
}

/// `core.excludesFile`, or the file that git reads without it.
fn users_file(repository: &Repository) -> Result<Option<PathBuf>> {
    let configured = repository
        .config_snapshot()
        .trusted_path("core.excludesFile")
        .map_err(|error| Error::git("find core.excludesFile", &error))?;
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let settings = || {
        let home = || set("HOME").map(|home| PathBuf::from(home).join(".config"));
        set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)
    };
    Ok(configured.or_else(|| settings().map(|folder| folder.join("git/ignore"))))
}
