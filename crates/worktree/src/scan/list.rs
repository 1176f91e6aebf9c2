//! The names in one directory, sorted, read with few system calls.

use std::mem::MaybeUninit;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::dir::Dir;

const BUFFER_BYTES: usize = 32 << 10;

/// A directory's names; one list is used for many directories, so that nothing is allocated.
pub struct List {
    buffer: Box<[MaybeUninit<u8>]>,
    bytes: Vec<u8>,
    names: Vec<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    start: usize,
    length: usize,
    kind: FileType,
    taken: bool,
}

impl Default for List {
    fn default() -> Self {
        let buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES].into_boxed_slice();
        Self {
            buffer,
            bytes: Vec::new(),
            names: Vec::new(),
        }
    }
}

impl List {
    /// Lists `directory`, without `.`, `..`, and `.git`, which git never looks at.
    pub fn read(&mut self, directory: &Dir) -> Result<(), Errno> {
        self.bytes.clear();
        self.names.clear();
        let mut entries = directory.raw_entries(&mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let (name, start) = (entry.file_name().to_bytes(), self.bytes.len());
            if matches!(name, b"." | b".." | b".git") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(directory, name)?,
                kind => kind,
            };
            self.bytes.extend_from_slice(name);
            self.names.push(Name {
                start,
                length: name.len(),
                kind,
                taken: false,
            });
        }
        let bytes = &self.bytes;
        self.names
            .sort_unstable_by_key(|name| &bytes[name.start..][..name.length]);
        Ok(())
    }

    /// Takes `name` out of the list; its kind, or None where it is not there.
    pub fn take(&mut self, name: &[u8]) -> Option<FileType> {
        let bytes = &self.bytes;
        let found = self
            .names
            .binary_search_by_key(&name, |n| &bytes[n.start..][..n.length]);
        let found = &mut self.names[found.ok()?];
        found.taken = true;
        Some(found.kind)
    }

    /// Puts a name that was taken back into the list.
    pub fn put_back(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        let found = self
            .names
            .binary_search_by_key(&name, |n| &bytes[n.start..][..n.length]);
        if let Ok(found) = found {
            self.names[found].taken = false;
        }
    }

    /// What was not taken.
    pub fn rest(&self) -> impl Iterator<Item = (&[u8], FileType)> {
        let rest = self.names.iter().filter(|name| !name.taken);
        rest.map(|name| (&self.bytes[name.start..][..name.length], name.kind))
    }
}

fn kind_of(directory: &Dir, name: &[u8]) -> Result<FileType, Errno> {
    match directory.stat(name) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) => Ok(FileType::Unknown),
        Err(error) => Err(error),
    }
}
