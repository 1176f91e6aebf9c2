//! Files that the index has not and the ignore rules do not hide.

use gix::AttributeStack;
use gix::bstr::BStr;
use gix::index::State;
use gix::index::entry::Mode;
use gix::worktree::stack::state::ignore::Source as From;
use rustix::fs::FileType;

use super::filter::Filter;
use super::list::List;
use super::walk::{Candidate, join};
use crate::dir::{Cursor, Dir};
use crate::workspace::Workspace;
use crate::{Error, Result};

/// Finds untracked files below the candidates, in ascending order. Repositories inside the
/// worktree are left alone.
pub fn untracked(
    workspace: &Workspace,
    index: &State,
    filter: &Filter,
    mut candidates: Vec<Candidate>,
) -> Result<Vec<Vec<u8>>> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let repository = workspace.source.local();
    let ignored = repository
        .excludes(index, None, From::WorktreeThenIdMappingIfNotSkipped)
        .map_err(|error| Error::git("read ignore rules", &error))?;
    let mut search = Search {
        ignored,
        cursor: Cursor::new(&workspace.root),
        filter,
        list: List::default(),
        found: Vec::new(),
    };
    for candidate in candidates {
        search.visit(candidate)?;
    }
    search.found.sort_unstable();
    Ok(search.found)
}

struct Search<'a> {
    ignored: AttributeStack<'a>,
    cursor: Cursor<'a>,
    filter: &'a Filter,
    list: List,
    found: Vec<Vec<u8>>,
}

impl Search<'_> {
    fn visit(&mut self, candidate: Candidate) -> Result<()> {
        let mut waiting = vec![candidate];
        while let Some(candidate) = waiting.pop() {
            if self.is_ignored(&candidate)? {
                if self.filter.names(&candidate.path) {
                    let path = candidate.path.escape_ascii();
                    return Err(Error::BadInput(format!(
                        "{path} is ignored; `git add -f` it"
                    )));
                }
            } else if candidate.directory {
                self.list(&candidate.path, &mut waiting)?;
            } else {
                self.found.push(candidate.path);
            }
        }
        Ok(())
    }

    fn is_ignored(&mut self, candidate: &Candidate) -> Result<bool> {
        let path: &BStr = candidate.path.as_slice().into();
        let mode = if candidate.directory {
            Mode::DIR
        } else {
            Mode::FILE
        };
        self.ignored
            .at_entry(path, Some(mode))
            .map(|platform| platform.is_excluded())
            .map_err(|error| Error::io(format!("read the ignore rules for {path}"), error))
    }

    fn list(&mut self, path: &[u8], waiting: &mut Vec<Candidate>) -> Result<()> {
        let failed = |error| Error::io(format!("read {}/", path.escape_ascii()), error);
        let directory = self.cursor.enter(path).map_err(failed)?;
        if is_repository(directory) {
            return Ok(());
        }
        self.list.read(directory).map_err(failed)?;
        for (name, kind) in self.list.rest() {
            let path = join(path, name);
            let wanted = match kind {
                FileType::Directory => self.filter.leads_to(&path),
                FileType::RegularFile | FileType::Symlink => self.filter.covers(&path),
                _ => false,
            };
            if wanted {
                waiting.push(Candidate {
                    path,
                    directory: kind == FileType::Directory,
                });
            }
        }
        Ok(())
    }
}

/// Whether a directory is the root of another repository or worktree.
fn is_repository(directory: &Dir) -> bool {
    match directory
        .stat(b".git")
        .map(|stat| FileType::from_raw_mode(stat.st_mode))
    {
        Ok(FileType::RegularFile) => true,
        Ok(FileType::Directory) => directory
            .sub(b".git")
            .is_ok_and(|git| git.stat(b"HEAD").is_ok()),
        _ => false,
    }
}
