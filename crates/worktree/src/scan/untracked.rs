//! Files that the index has not and the ignore rules do not hide.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gix::index::State;

use super::filter::Filter;
use super::ignore::Rules;
use super::list::List;
use super::walk::{Candidate, candidates};
use crate::content::failed;
use crate::dir::{Cursor, Dir};
use crate::workspace::Workspace;
use crate::{Error, Result};

/// What the index has not and the ignore rules do not hide, each in ascending order.
#[derive(Default)]
pub struct Untracked {
    pub files: Vec<Vec<u8>>,
    /// Roots of other repositories inside the worktree, which are left alone.
    pub repositories: Vec<Vec<u8>>,
}

/// Finds what is untracked below the candidates.
pub fn untracked(
    workspace: &Workspace,
    index: &State,
    filter: &Filter,
    mut candidates: Vec<Candidate>,
) -> Result<Untracked> {
    if candidates.is_empty() {
        return Ok(Untracked::default());
    }
    candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let repository = workspace.source.local();
    let mut search = Search {
        root: &workspace.path,
        rules: Rules::new(&repository, index)?,
        cursor: Cursor::new(&workspace.root),
        filter,
        list: List::default(),
        found: Untracked::default(),
    };
    for candidate in candidates {
        search.visit(candidate)?;
    }
    search.found.files.sort_unstable();
    search.found.repositories.sort_unstable();
    Ok(search.found)
}

struct Search<'a> {
    root: &'a Path,
    rules: Rules<'a>,
    cursor: Cursor<'a>,
    filter: &'a Filter,
    list: List,
    found: Untracked,
}

impl Search<'_> {
    fn visit(&mut self, candidate: Candidate) -> Result<()> {
        let mut waiting = vec![candidate];
        while let Some(candidate) = waiting.pop() {
            let (path, directory) = (&candidate.path, candidate.directory);
            if self.rules.ignores(&mut self.cursor, path, directory)? {
                if self.filter.names(&candidate.path) {
                    let path = candidate.path.escape_ascii();
                    return Err(Error::BadInput(format!(
                        "{path} is ignored; `git add -f` it"
                    )));
                }
            } else if candidate.directory {
                self.list(&candidate.path, &mut waiting)?;
            } else {
                self.found.files.push(candidate.path);
            }
        }
        Ok(())
    }

    fn list(&mut self, path: &[u8], waiting: &mut Vec<Candidate>) -> Result<()> {
        let failed = |error| failed(path, error);
        let directory = self.cursor.enter(path).map_err(failed)?;
        if is_repository(directory, &self.root.join(OsStr::from_bytes(path))) {
            self.found.repositories.push(path.to_vec());
            return Ok(());
        }
        self.list.read(directory).map_err(failed)?;
        candidates(self.filter, path, &self.list, waiting);
        Ok(())
    }
}

/// Whether a directory, which lies at `path`, is the root of another repository or worktree. What
/// a repository was removed from, or a worktree that was pruned, is a directory like others.
fn is_repository(directory: &Dir, path: &Path) -> bool {
    directory.stat(b".git").is_ok() && gix::discover::is_git(&path.join(".git")).is_ok()
}
