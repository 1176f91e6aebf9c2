//! The entries of a git index, read where they lie, without making anything of the rest.

use gix::ObjectId;
use gix::index::entry::Stat;
use gix::index::entry::stat::Time;

use crate::{Error, Result};

/// Bytes of an entry before its path: ten words, an id, and the flags.
pub const FIXED_BYTES: usize = 62;
pub const HEADER_BYTES: usize = 12;
pub const ID_BYTES: usize = 20;
const ASSUME_VALID: u16 = 0x8000;
const EXTENDED: u16 = 0x4000;
const STAGE: u16 = 0x3000;
/// The bytes of an entry that tell whether two are the same: all but the device, which is another
/// one with each mount, and the flags.
const TIMES: std::ops::Range<usize> = 0..16;
const REST: std::ops::Range<usize> = 20..60;

/// One entry: its fixed part and its path.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub fixed: &'a [u8; FIXED_BYTES],
    /// Flags of version 3.
    more: u16,
    pub path: &'a [u8],
}

impl<'a> Row<'a> {
    /// Reads the entry at `start` in an index; returns it and where the next one begins.
    pub fn at(bytes: &'a [u8], start: usize) -> Result<(Self, usize)> {
        let rest = bytes.get(start..).ok_or_else(damaged)?;
        let (fixed, rest) = rest
            .split_first_chunk::<FIXED_BYTES>()
            .ok_or_else(damaged)?;
        let flags = u16::from_be_bytes([fixed[60], fixed[61]]);
        let (more, rest) = match rest.split_first_chunk::<2>() {
            Some((more, rest)) if flags & EXTENDED != 0 => (u16::from_be_bytes(*more), rest),
            _ => (0, rest),
        };
        let known = usize::from(flags & 0xfff);
        let length = match known {
            // Longer paths end where their first NUL is.
            0xfff => rest.iter().position(|b| *b == 0).ok_or_else(damaged)?,
            length => length,
        };
        let path = rest.get(..length).ok_or_else(damaged)?;
        let size = FIXED_BYTES + 2 * usize::from(flags & EXTENDED != 0) + length;
        Ok((Self { fixed, more, path }, start + (size + 8) / 8 * 8))
    }

    /// An entry of version 2 whose path lies elsewhere.
    pub fn new(fixed: &'a [u8; FIXED_BYTES], path: &'a [u8]) -> Self {
        let more = 0;
        Self { fixed, more, path }
    }

    /// Whether an entry of the same path vouches for the same file.
    pub fn is_same(&self, other: &Row<'_>) -> bool {
        self.fixed[TIMES] == other.fixed[TIMES] && self.fixed[REST] == other.fixed[REST]
    }

    /// Whether no flag makes the entry mean something else than a file with this content.
    pub fn is_plain(&self) -> bool {
        self.more == 0 && self.flags() & (ASSUME_VALID | STAGE) == 0
    }

    /// The fixed part with the length of a path.
    pub fn with_length(&self, length: usize) -> [u8; FIXED_BYTES] {
        let mut fixed = *self.fixed;
        let length = u16::try_from(length).unwrap_or(u16::MAX).min(0xfff);
        fixed[60..].copy_from_slice(&(self.flags() & !0xfff | length).to_be_bytes());
        fixed
    }

    pub fn mode(&self) -> u32 {
        self.word(6)
    }

    pub fn id(&self) -> ObjectId {
        ObjectId::from_bytes_or_panic(&self.fixed[40..40 + ID_BYTES])
    }

    pub fn stat(&self) -> Stat {
        let time = |first| Time {
            secs: self.word(first),
            nsecs: self.word(first + 1),
        };
        Stat {
            ctime: time(0),
            mtime: time(2),
            dev: self.word(4),
            ino: self.word(5),
            uid: self.word(7),
            gid: self.word(8),
            size: self.word(9),
        }
    }

    fn flags(&self) -> u16 {
        u16::from_be_bytes([self.fixed[60], self.fixed[61]])
    }

    fn word(&self, number: usize) -> u32 {
        word(self.fixed, 4 * number)
    }
}

/// The number of entries of an index of version 2 or 3; None for other versions.
pub fn count(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let known = header.starts_with(b"DIRC") && matches!(word(header, 4), 2 | 3);
    known.then(|| word(header, 8) as usize)
}

/// The extensions behind the entries, as pairs of name and content.
pub fn extensions(bytes: &[u8], mut start: usize) -> Result<Vec<([u8; 4], &[u8])>> {
    let end = bytes.len().checked_sub(ID_BYTES).ok_or_else(damaged)?;
    let mut found = Vec::new();
    while start + 8 <= end {
        let mut name = [0; 4];
        name.copy_from_slice(&bytes[start..start + 4]);
        let size = word(bytes, start + 4) as usize;
        let content = bytes.get(start + 8..start + 8 + size).ok_or_else(damaged)?;
        found.push((name, content));
        start += 8 + size;
    }
    Ok(found)
}

pub fn word(bytes: &[u8], start: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[start..start + 4]);
    u32::from_be_bytes(word)
}

pub fn damaged() -> Error {
    Error::Corrupt("an index is damaged; git reset rebuilds it".into())
}
