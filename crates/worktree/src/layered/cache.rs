//! git's cache of tree ids (the extension TREE) for an index that differs from a lower tree's.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::rows::{ID_BYTES, damaged};
use crate::Result;

/// Writes the cache for an index with `changed` paths, from the `whole` one of the lower tree:
/// a directory with a change below has no id. `short` leaves out what is below directories that
/// are unchanged, which git then finds in their trees.
pub fn write<V>(whole: &[u8], changed: &BTreeMap<Vec<u8>, V>, short: bool) -> Result<Vec<u8>> {
    let mut writer = Writer {
        rest: whole,
        changed,
        short,
        out: Vec::new(),
    };
    writer.node(&mut Vec::new(), true)?;
    Ok(writer.out)
}

struct Writer<'a, V> {
    rest: &'a [u8],
    changed: &'a BTreeMap<Vec<u8>, V>,
    short: bool,
    out: Vec<u8>,
}

impl<'a, V> Writer<'a, V> {
    /// Copies or changes the next node, whose parent has the path `path` (with a slash).
    fn node(&mut self, path: &mut Vec<u8>, wanted: bool) -> Result<()> {
        let start = self.rest;
        let name = self.until(0)?;
        let entries = self.until(b' ')?;
        let children = number(self.until(b'\n')?)?;
        let valid = !entries.starts_with(b"-");
        let id_bytes = if valid { ID_BYTES } else { 0 };
        self.rest = self.rest.get(id_bytes..).ok_or_else(damaged)?;
        let own = start.len() - self.rest.len();
        let length = path.len();
        path.extend_from_slice(name);
        if !name.is_empty() {
            path.push(b'/');
        }
        let touched = self.is_touched(path);
        let descends = wanted && (touched || !self.short);
        if wanted && touched {
            self.head(name, b"-1", children);
        } else if wanted && self.short {
            self.head(name, entries, 0);
            self.out.extend_from_slice(&start[own - id_bytes..own]);
        } else if wanted {
            self.out.extend_from_slice(&start[..own]);
        }
        for _ in 0..children {
            self.node(path, descends)?;
        }
        path.truncate(length);
        Ok(())
    }

    fn head(&mut self, name: &[u8], entries: &[u8], children: usize) {
        self.out.extend_from_slice(name);
        self.out.push(0);
        self.out.extend_from_slice(entries);
        self.out
            .extend_from_slice(format!(" {children}\n").as_bytes());
    }

    fn is_touched(&self, directory: &[u8]) -> bool {
        let from = Bound::Included(directory.to_vec());
        let mut below = self.changed.range((from, Bound::Unbounded));
        below
            .next()
            .is_some_and(|(path, _)| path.starts_with(directory))
    }

    /// The bytes up to the next `end`, which is passed over.
    fn until(&mut self, end: u8) -> Result<&'a [u8]> {
        let at = self
            .rest
            .iter()
            .position(|b| *b == end)
            .ok_or_else(damaged)?;
        let (found, rest) = (&self.rest[..at], &self.rest[at + 1..]);
        self.rest = rest;
        Ok(found)
    }
}

fn number(text: &[u8]) -> Result<usize> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(damaged)
}
