//! Open directories, and names relative to them: no symlink is ever followed.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

type Result<T> = std::result::Result<T, Errno>;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Names of extended attributes that are read at once.
const ATTRIBUTES_BYTES: usize = 1024;

/// A directory held open by its descriptor.
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory whose parents are trusted; the last component must not be a symlink.
    pub fn open(path: &Path) -> Result<Self> {
        fs::open(path, DIRECTORY, Mode::empty()).map(Self)
    }

    /// Opens a directory right below this one.
    pub fn sub(&self, name: &[u8]) -> Result<Self> {
        fs::openat(&self.0, name, DIRECTORY, Mode::empty()).map(Self)
    }

    pub fn create_dir(&self, name: &[u8]) -> Result<()> {
        fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777))
    }

    /// Creates a file that must not exist yet, open for writing.
    pub fn create_file(&self, name: &[u8], executable: bool) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(if executable { 0o777 } else { 0o666 });
        fs::openat(&self.0, name, flags | OFlags::CLOEXEC, mode)
    }

    /// Opens a regular file for reading; NONBLOCK keeps a fifo from blocking the caller.
    pub fn open_file(&self, name: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        fs::openat(&self.0, name, flags, Mode::empty())
    }

    pub fn symlink(&self, target: &[u8], name: &[u8]) -> Result<()> {
        fs::symlinkat(target, &self.0, name)
    }

    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>> {
        fs::readlinkat(&self.0, name, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// The status of `name` itself, not of what a symlink points to.
    pub fn stat(&self, name: &[u8]) -> Result<Stat> {
        fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Whether the directory has an extended attribute of one of these names.
    pub fn has_attribute(&self, names: &[&str]) -> bool {
        let mut buffer = [0_u8; ATTRIBUTES_BYTES];
        match fs::flistxattr(&self.0, &mut buffer) {
            Ok(length) => buffer[..length]
                .split(|b| *b == 0)
                .any(|found| names.iter().any(|name| name.as_bytes() == found)),
            Err(Errno::RANGE) => names
                .iter()
                .any(|name| fs::fgetxattr(&self.0, *name, &mut [0_u8; 0]).is_ok()),
            Err(_) => false,
        }
    }

    pub fn set_times(&self, name: &[u8], times: &fs::Timestamps) -> Result<()> {
        fs::utimensat(&self.0, name, times, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub fn remove_file(&self, name: &[u8]) -> Result<()> {
        fs::unlinkat(&self.0, name, AtFlags::empty())
    }

    pub fn remove_dir(&self, name: &[u8]) -> Result<()> {
        fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)
    }

    /// Reads the entries from where the last reading of this descriptor ended.
    pub fn raw_entries<'a>(
        &'a self,
        buffer: &'a mut [MaybeUninit<u8>],
    ) -> fs::RawDir<'a, &'a OwnedFd> {
        fs::RawDir::new(&self.0, buffer)
    }

    pub fn is_empty(&self) -> Result<bool> {
        for entry in fs::Dir::read_from(&self.0)? {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Walks to directories below a root one component at a time, keeping open what the next path
/// shares with the last one. Cheapest when the paths come in sorted order.
pub struct Cursor<'root> {
    root: &'root Dir,
    path: Vec<u8>,
    open: Vec<(usize, Dir)>,
}

impl<'root> Cursor<'root> {
    pub fn new(root: &'root Dir) -> Self {
        Self {
            root,
            path: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The directory at `path`, "" being the root itself.
    pub fn enter(&mut self, path: &[u8]) -> Result<&Dir> {
        while let Some((length, _)) = self.open.last() {
            let shared = path.get(..*length) == Some(&self.path[..*length]);
            if shared && matches!(path.get(*length), None | Some(b'/')) {
                break;
            }
            self.open.pop();
        }
        let mut length = self.open.last().map_or(0, |(length, _)| *length);
        self.path.truncate(length);
        while length < path.len() {
            let start = length + usize::from(length > 0);
            let name = path[start..]
                .split(|b| *b == b'/')
                .next()
                .unwrap_or_default();
            let directory = self.last().sub(name)?;
            length = start + name.len();
            self.path.extend_from_slice(&path[self.path.len()..length]);
            self.open.push((length, directory));
        }
        Ok(self.last())
    }

    fn last(&self) -> &Dir {
        self.open
            .last()
            .map_or(self.root, |(_, directory)| directory)
    }
}

/// Splits a path into its directory ("" for none) and its last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Dir, split};
    use rustix::io::Errno;

    #[test]
    fn the_cursor_finds_each_directory_whatever_was_entered_before() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a/b/c", "a/bc", "d"] {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let dir = Dir::open(root.path()).unwrap();
        let mut cursor = Cursor::new(&dir);
        for path in ["a/b/c", "a/bc", "", "d", "a/b", "a/b/c", "a"] {
            let expected = Dir::open(&root.path().join(path))
                .unwrap()
                .stat(b".")
                .unwrap()
                .st_ino;
            let found = cursor
                .enter(path.as_bytes())
                .unwrap()
                .stat(b".")
                .unwrap()
                .st_ino;
            assert_eq!(expected, found, "{path}");
        }
    }

    #[test]
    fn the_cursor_does_not_walk_through_a_symlink() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
        let dir = Dir::open(root.path()).unwrap();
        assert_eq!(
            Some(Errno::NOTDIR),
            Cursor::new(&dir).enter(b"link/b").err()
        );
    }

    #[test]
    fn split_separates_the_last_component() {
        assert_eq!((&b""[..], &b"a"[..]), split(b"a"));
        assert_eq!((&b"a/b"[..], &b"c"[..]), split(b"a/b/c"));
    }
}
