//! What git keeps about a linked worktree: `<git dir>/worktrees/<name>` and the `.git` file.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::add::WorktreeSpec;
use crate::checkout::Target;
use crate::dir::Dir;
use crate::export::open_empty;
use crate::listing::Listing;
use crate::{Error, Result, path};

/// Which worktree has which branch checked out; git wants at most one for each.
pub struct Branches(HashMap<String, PathBuf>);

impl Branches {
    pub fn checked_out(git_dir: &Path) -> Self {
        let linked = fs::read_dir(git_dir.join("worktrees"))
            .into_iter()
            .flatten()
            .flatten();
        let all = std::iter::once(git_dir.to_owned()).chain(linked.map(|entry| entry.path()));
        let branches = all.filter_map(|directory| {
            let head = fs::read_to_string(directory.join("HEAD")).ok()?;
            Some((head.strip_prefix("ref:")?.trim().to_owned(), directory))
        });
        Self(branches.collect())
    }

    /// Notes that the worktree at `path` is to have this branch.
    pub fn claim(&mut self, branch: &str, path: &Path) -> Result<()> {
        match self.0.insert(branch.to_owned(), path.to_owned()) {
            None => Ok(()),
            Some(other) => Err(Error::BadInput(format!(
                "{branch} is already checked out by {}",
                other.display()
            ))),
        }
    }
}

/// Worktrees being made, dropped last one first: the first may have made the others' parent.
#[derive(Default)]
pub struct Registrations<'a>(pub Vec<Registration<'a>>);

impl Drop for Registrations<'_> {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// A worktree being made. Dropping it removes all that was made, unless `keep` was called.
pub struct Registration<'a> {
    listing: &'a Listing,
    /// `<git dir>/worktrees/<name>`.
    admin: PathBuf,
    /// Directories made for the worktree, parents first; the last one is its root.
    directories: Vec<PathBuf>,
    git_file: bool,
    index_lock: File,
    pub target: Target,
    kept: bool,
}

impl<'a> Registration<'a> {
    /// Registers the worktree as git does, locked, with an empty directory and `index.lock` held
    /// until `finish`. `git_dir` has to be resolved.
    pub fn begin(
        git_dir: &Path,
        spec: &WorktreeSpec,
        reason: &str,
        listing: &'a Listing,
    ) -> Result<Self> {
        check_spec(spec)?;
        // The name first: whoever loses it must not have touched the winner's directory.
        let admin = make_admin(git_dir, spec)?;
        let made = make_directory(&spec.path).inspect_err(|_| drop(fs::remove_dir(&admin)));
        let (directories, root) = made?;
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(admin.join("index.lock"));
        let index_lock = lock.map_err(|error| {
            let all = directories.iter().rev().chain([&admin]);
            all.for_each(|path| drop(fs::remove_dir(path)));
            Error::io(format!("lock the index of worktree {}", spec.name), error)
        })?;
        let target = Target::new(&spec.path, root, listing);
        let git_file = false;
        let mut registration = Self {
            listing,
            admin,
            directories,
            git_file,
            index_lock,
            target,
            kept: false,
        };
        registration
            .describe(spec, reason)
            .map_err(|error| Error::io(format!("register worktree {}", spec.name), error))?;
        Ok(registration)
    }

    fn describe(&mut self, spec: &WorktreeSpec, reason: &str) -> io::Result<()> {
        let write = |name: &str, content: &[u8]| {
            File::create_new(self.admin.join(name))?.write_all(&[content, b"\n"].concat())
        };
        // Locked before it is complete: `git worktree prune` must not see half of it.
        write("locked", reason.as_bytes())?;
        write("HEAD", format!("ref: {}", spec.branch).as_bytes())?;
        write("commondir", b"../..")?;
        write(
            "gitdir",
            spec.path
                .canonicalize()?
                .join(".git")
                .as_os_str()
                .as_bytes(),
        )?;
        let file = self.target.root.create_file(b".git", false)?;
        self.git_file = true;
        File::from(file)
            .write_all(&[b"gitdir: ", self.admin.as_os_str().as_bytes(), b"\n"].concat())
    }

    /// The second before which nothing here was made, by the clocks of both file systems.
    pub fn begun_s(&self) -> Result<i64> {
        let files = self.target.root.stat(b".git").map(|stat| stat.st_mtime);
        let admin = rustix::fs::fstat(&self.index_lock).map(|stat| stat.st_mtime);
        files
            .and_then(|files| Ok(files.min(admin?)))
            .map_err(|error| Error::io(format!("stat {}", self.target.path.display()), error))
    }

    /// Puts the index in place, which ends the lock.
    pub fn finish(&self, index: &[u8]) -> Result<()> {
        (&self.index_lock)
            .write_all(index)
            .and_then(|()| fs::rename(self.admin.join("index.lock"), self.admin.join("index")))
            .map_err(|error| {
                Error::io(
                    format!("write {}", self.admin.join("index").display()),
                    error,
                )
            })
    }

    /// Keeps what was made.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.target.remove_written(self.listing);
        if self.git_file {
            let _ = self.target.root.remove_file(b".git");
        }
        // Fails, as it should, where somebody else has put something into a directory meanwhile.
        self.directories
            .iter()
            .rev()
            .for_each(|path| drop(fs::remove_dir(path)));
        let _ = fs::remove_dir_all(&self.admin);
    }
}

fn check_spec(spec: &WorktreeSpec) -> Result<()> {
    let bad = |message: String| Err(Error::BadInput(message));
    let WorktreeSpec { name, path, branch } = spec;
    if let Err(why) = path::check_component(name.as_bytes()) {
        return bad(format!("{name:?} cannot name a worktree: it {why}"));
    }
    if !path.is_absolute() || path.as_os_str().as_bytes().contains(&b'\n') {
        return bad(format!(
            "the worktree directory {path:?} has to be absolute, without newlines"
        ));
    }
    let valid = gix::validate::reference::name(branch.as_str().into()).is_ok();
    if !valid || !branch.starts_with("refs/heads/") {
        return bad(format!("{branch:?} is not the full name of a branch"));
    }
    Ok(())
}

/// Makes the directory (or takes an empty one) and its missing parents; returns what it made.
fn make_directory(path: &Path) -> Result<(Vec<PathBuf>, Dir)> {
    let missing = path
        .ancestors()
        .take_while(|path| path.symlink_metadata().is_err());
    let mut missing: Vec<_> = missing.map(Path::to_owned).collect();
    missing.reverse();
    let mut made = Vec::with_capacity(missing.len());
    let make = || {
        for path in missing {
            match fs::create_dir(&path) {
                Ok(()) => made.push(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Error::io(
                        format!("make the directory {}", path.display()),
                        error,
                    ));
                }
            }
        }
        open_empty(path)
    };
    match make() {
        Ok(root) => Ok((made, root)),
        Err(error) => {
            made.iter()
                .rev()
                .for_each(|path| drop(fs::remove_dir(path)));
            Err(error)
        }
    }
}

fn make_admin(git_dir: &Path, spec: &WorktreeSpec) -> Result<PathBuf> {
    let name = &spec.name;
    let admin = git_dir.join("worktrees").join(name);
    fs::create_dir_all(git_dir.join("worktrees"))
        .and_then(|()| fs::create_dir(&admin))
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::BadInput(format!("a worktree named {name} is already registered"))
            }
            _ => Error::io(format!("register worktree {name}"), error),
        })?;
    Ok(admin)
}
