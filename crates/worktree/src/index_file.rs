//! The bytes of a git index (version 2 or 3) for a tree just checked out.

use gix::index::entry::Stat as Stamp;
use gix::index::entry::stat::Time;
use gix::objs::tree::EntryKind;
use sha1::{Digest, Sha1};

use crate::listing::{Listing, Node};

/// Says in an entry's flags that two more bytes of flags follow (version 3).
const EXTENDED: u16 = 0x4000;
/// Says in those that the entry has no file on purpose.
const SKIP_WORKTREE: u16 = 0x4000;
/// The longest path whose length fits into an entry's flags.
const NAME_MASK: u16 = 0xfff;

/// What an index entry remembers of a file's status, each field cut to 32 bits as git does.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "git's format"
)]
pub fn stamp(stat: &rustix::fs::Stat) -> Stamp {
    Stamp {
        ctime: Time {
            secs: stat.st_ctime as u32,
            nsecs: stat.st_ctime_nsec as u32,
        },
        mtime: Time {
            secs: stat.st_mtime as u32,
            nsecs: stat.st_mtime_nsec as u32,
        },
        dev: stat.st_dev as u32,
        ino: stat.st_ino as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size as u32,
    }
}

/// Serializes the index of `listing`, with the stamps of what was `written` of it (all of it where
/// that is None): the rest is left out of the working copy on purpose. A stamp of zeros makes git
/// look at the file.
pub fn serialize(
    listing: &Listing,
    written: Option<&Listing>,
    stamps: impl Iterator<Item = Stamp>,
    cache: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(listing.entries.len() * 128 + cache.len() + 64);
    let version = if written.is_some() { 3 } else { 2 };
    out.extend_from_slice(b"DIRC");
    out.extend_from_slice(&word(version));
    out.extend_from_slice(&word(listing.entries.len()));
    let mut stamps = written
        .unwrap_or(listing)
        .entries
        .iter()
        .zip(stamps)
        .peekable();
    for entry in &listing.entries {
        let (path, start) = (listing.path(entry), out.len());
        let mode = mode(entry.kind);
        let found = stamps.next_if(|(next, _)| next.is_same_place(entry));
        let skipped = found.is_none();
        let stamp = found.map(|(_, stamp)| stamp).unwrap_or_default();
        let Stamp {
            ctime,
            mtime,
            dev,
            ino,
            uid,
            gid,
            size,
        } = stamp;
        let times = [ctime.secs, ctime.nsecs, mtime.secs, mtime.nsecs];
        for field in times.into_iter().chain([dev, ino, mode, uid, gid, size]) {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(entry.id.as_slice());
        let length = u16::try_from(path.len()).unwrap_or(u16::MAX).min(NAME_MASK);
        let flags = if skipped { length | EXTENDED } else { length };
        out.extend_from_slice(&flags.to_be_bytes());
        if skipped {
            out.extend_from_slice(&SKIP_WORKTREE.to_be_bytes());
        }
        out.extend_from_slice(path);
        let padded = start + (out.len() - start + 8) / 8 * 8;
        out.resize(padded, 0);
    }
    out.extend_from_slice(cache);
    let digest = Sha1::digest(&out);
    out.extend_from_slice(&digest);
    out
}

/// Serializes the cache-tree extension, from which `git status` sees that the index equals HEAD.
pub fn cache_tree(root: &Node) -> Vec<u8> {
    let mut body = Vec::new();
    append_node(root, &mut body);
    [b"TREE", &word(body.len())[..], &body].concat()
}

fn append_node(node: &Node, body: &mut Vec<u8>) {
    body.extend_from_slice(&node.name);
    body.push(0);
    body.extend_from_slice(format!("{} {}\n", node.entries, node.children.len()).as_bytes());
    body.extend_from_slice(node.id.as_slice());
    let mut children: Vec<_> = node.children.iter().collect();
    // git keeps subtrees by the length of their names first.
    children.sort_by_key(|child| (child.name.len(), &child.name));
    children
        .into_iter()
        .for_each(|child| append_node(child, body));
}

/// The mode an index records.
pub fn mode(kind: EntryKind) -> u32 {
    u32::from(kind as u16)
}

#[expect(clippy::cast_possible_truncation, reason = "a listing is below 4 GiB")]
fn word(value: usize) -> [u8; 4] {
    (value as u32).to_be_bytes()
}
