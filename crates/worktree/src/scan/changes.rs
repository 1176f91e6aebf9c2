//! Reads what may have changed and decides what did.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use gix::index::State;
use gix::index::entry::Flags;
use gix::{ObjectId, Repository};
use rustix::fs::{FileType, Stat};

use super::ScannedFile;
use super::base::{Base, Recorded, recorded};
use super::convert::conversions;
use super::walk::Verdict;
use crate::attributes::Conversion;
use crate::content::{self, Budget, Modes, SUBMODULE, SYMLINK};
use crate::dir::{Cursor, Dir, split};
use crate::parallel::each;
use crate::source::object_error;
use crate::workspace::Workspace;
use crate::{Error, Result, path};

/// Files read by one thread before it takes others.
const READ_STEP: usize = 32;
/// One changed file; the twin of `FILE_BYTES_MAX` in `values/limits.py`.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Changed files together; more is a folder that an ignore file missed, not a commit.
const CHANGED_BYTES_MAX: u64 = 1 << 30;
/// Changed paths; the twin of `COMMIT_PATHS_MAX` in `values/limits.py`.
const CHANGED_PATHS_MAX: usize = 100_000;

/// A path that may differ from the commit.
pub struct Item {
    pub path: Vec<u8>,
    tracked: bool,
    /// What the index has: None for an untracked path or an intent to add.
    index: Option<Recorded>,
    /// What the commit has.
    base: Option<Recorded>,
    pub verdict: Verdict,
}

impl Item {
    /// Whether the index has nothing but the intent to add the path.
    fn is_intended(&self) -> bool {
        self.tracked && self.index.is_none()
    }

    /// Whether the path is another than the commit's, whatever its file holds.
    fn is_certain(&self) -> bool {
        (self.verdict == Verdict::Gone) == self.base.is_some()
            && self.verdict != Verdict::Unmodified
    }
}

/// What the scan found.
#[derive(Default)]
pub struct Changes {
    pub files: Vec<ScannedFile>,
    /// Some file is not what the index has.
    pub unstaged: bool,
}

/// All paths that may differ from the commit, in ascending order.
pub fn items(
    index: &State,
    mut base: Base,
    mut verdicts: Vec<(usize, Verdict)>,
    untracked: Vec<Vec<u8>>,
) -> Vec<Item> {
    let seen: HashSet<usize> = verdicts.iter().map(|(number, _)| *number).collect();
    let unseen = base.differing().filter(|number| !seen.contains(number));
    verdicts.extend(unseen.map(|number| (number, Verdict::Unmodified)));
    let mut items = Vec::with_capacity(verdicts.len() + untracked.len() + base.missing.len());
    for (number, verdict) in verdicts {
        let entry = &index.entries()[number];
        let intended = entry.flags.contains(Flags::INTENT_TO_ADD);
        let (path, base) = (entry.path(index).to_vec(), base.at(number, entry));
        let index = (!intended).then(|| recorded(entry));
        items.push(Item {
            path,
            tracked: true,
            index,
            base,
            verdict,
        });
    }
    for path in untracked {
        let base = base.missing.remove(&path);
        items.push(Item {
            path,
            tracked: false,
            index: None,
            base,
            verdict: Verdict::Read,
        });
    }
    for (path, base) in base.missing {
        let (base, verdict) = (Some(base), Verdict::Gone);
        items.push(Item {
            path,
            tracked: false,
            index: None,
            base,
            verdict,
        });
    }
    items.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    items
}

/// Reads the items' files, in several threads, and keeps those that differ from the commit.
pub fn read(workspace: &Workspace, index: &State, items: &[Item]) -> Result<Changes> {
    let certain = items.iter().filter(|item| item.is_certain()).count();
    if certain > CHANGED_PATHS_MAX {
        return Err(Error::TooMany(format!(
            "{certain} changed paths in one commit; at most {CHANGED_PATHS_MAX} are taken"
        )));
    }
    let conversions = conversions(workspace, index, items)?;
    let modes = Modes::of(&workspace.source.local());
    let (budget, all) = (
        Budget::new(FILE_BYTES_MAX, CHANGED_BYTES_MAX),
        Mutex::new(Changes::default()),
    );
    each(items.len().div_ceil(READ_STEP), |step| {
        let mut reader = Reader {
            workspace,
            repository: workspace.source.local(),
            cursor: Cursor::new(&workspace.root),
            budget: &budget,
            modes,
            changes: Changes::default(),
        };
        let numbers = step * READ_STEP..items.len().min((step + 1) * READ_STEP);
        for number in numbers {
            reader.item(&items[number], conversions[number])?;
        }
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.files.append(&mut reader.changes.files);
        all.unstaged |= reader.changes.unstaged;
        Ok(())
    })?;
    let mut changes = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    changes.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

struct Reader<'a> {
    workspace: &'a Workspace,
    repository: Repository,
    cursor: Cursor<'a>,
    budget: &'a Budget,
    modes: Modes,
    changes: Changes,
}

impl Reader<'_> {
    fn item(&mut self, item: &Item, conversion: Conversion) -> Result<()> {
        match (item.verdict, item.index) {
            (Verdict::Gone, index) => {
                self.changes.unstaged |= index.is_some();
                match item.base.is_some() || item.is_intended() {
                    true => self.push(item, 0, None, [0; 8]),
                    false => Ok(()),
                }
            }
            (Verdict::Unmodified, Some(index)) => self.unmodified(item, index),
            (_, Some((SUBMODULE, id))) => self.submodule(item, id, conversion),
            _ => self.file(item, conversion),
        }
    }

    /// A file that is what the index has, which the commit has not.
    fn unmodified(&mut self, item: &Item, (mode, id): Recorded) -> Result<()> {
        let (directory, name) = split(&item.path);
        let stat = self
            .cursor
            .enter(directory)
            .and_then(|directory| directory.stat(name));
        let content = match mode {
            SUBMODULE => None,
            _ => {
                let blob = self.repository.find_object(id);
                Some(
                    blob.map_err(|error| object_error(&id, &error))?
                        .data
                        .clone(),
                )
            }
        };
        // An entry that git is told to assume unmodified may have no file.
        self.push(
            item,
            mode,
            content,
            stat.map_or([0; 8], |stat| fields(&stat)),
        )
    }

    fn submodule(&mut self, item: &Item, id: ObjectId, conversion: Conversion) -> Result<()> {
        let (directory, name) = split(&item.path);
        let stat = self
            .enter(directory, &item.path)?
            .stat(name)
            .map_err(|error| content::failed(&item.path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return self.file(item, conversion);
        }
        let path = Path::new(std::ffi::OsStr::from_bytes(&item.path));
        let current = (
            SUBMODULE,
            head_of(&self.workspace.path.join(path)).unwrap_or(id),
        );
        self.changes.unstaged |= Some(current) != item.index;
        match Some(current) == item.base {
            true => Ok(()),
            false => self.push(item, SUBMODULE, None, fields(&stat)),
        }
    }

    fn file(&mut self, item: &Item, conversion: Conversion) -> Result<()> {
        let (directory, name) = split(&item.path);
        let budget = self.budget;
        let directory = self.enter(directory, &item.path)?;
        let seen = content::read(directory, name, &item.path, budget)?;
        let stat = fields(&seen.stat);
        let known = item.index.map(|(mode, _)| mode);
        let mode = self.modes.recorded(seen.mode, known);
        if mode != SYMLINK && conversion.changes_file(&seen.content) {
            self.changes.unstaged = true;
            self.push(item, mode, None, stat)?;
            if let Some(file) = self.changes.files.last_mut() {
                file.through_git = true;
            }
            return Ok(());
        }
        let current = Some((mode, seen.id()?));
        self.changes.unstaged |= current != item.index;
        match current == item.base {
            true => Ok(()),
            false => self.push(item, mode, Some(seen.content), stat),
        }
    }

    fn push(
        &mut self,
        item: &Item,
        mode: u32,
        content: Option<Vec<u8>>,
        stat: [i64; 8],
    ) -> Result<()> {
        let refuse = |why| {
            let path = item.path.escape_ascii();
            Error::BadPath(format!("the path \"{path}\" {why}"))
        };
        let text = std::str::from_utf8(&item.path).map_err(|_| match mode {
            0 => refuse("is not valid UTF-8: only `git rm` and `git commit` take it out"),
            _ => refuse("is not valid UTF-8"),
        })?;
        match (mode, item.base) {
            (0, _) => Ok(()),
            (_, Some(_)) => path::check_known_path(text),
            (_, None) => path::check(text),
        }
        .map_err(refuse)?;
        if mode == SYMLINK {
            path::check_link(split(&item.path).1).map_err(refuse)?;
        }
        let untracked = match mode {
            0 => item.base.is_none(),
            _ => !item.tracked,
        };
        let file = ScannedFile {
            path: text.to_owned(),
            mode,
            untracked,
            content,
            through_git: false,
            stat,
        };
        self.changes.files.push(file);
        Ok(())
    }

    fn enter(&mut self, directory: &[u8], path: &[u8]) -> Result<&Dir> {
        self.cursor
            .enter(directory)
            .map_err(|error| content::failed(path, error))
    }
}

/// The commit a submodule has checked out; None where it has none.
fn head_of(path: &Path) -> Option<ObjectId> {
    let options = gix::open::Options::isolated().open_path_as_is(true);
    let repository = options.open(path.join(".git")).ok()?.to_thread_local();
    repository.head_id().ok().map(gix::Id::detach)
}

#[expect(clippy::cast_possible_wrap, reason = "as Python's os.stat has them")]
fn fields(stat: &Stat) -> [i64; 8] {
    [
        stat.st_ctime,
        stat.st_ctime_nsec as i64,
        stat.st_mtime,
        stat.st_mtime_nsec as i64,
        stat.st_dev as i64,
        stat.st_ino as i64,
        i64::from(stat.st_uid),
        i64::from(stat.st_gid),
    ]
}
