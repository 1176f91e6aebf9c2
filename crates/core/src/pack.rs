//! Pack files of ours: whole objects, no deltas, each guarded by a `.keep` file.
//!
//! Git leaves a pack with a `.keep` file alone, so `git gc` at any moment cannot take objects away
//! that only the operation log knows. The `.keep` file also says that the pack is ours and how
//! often its objects have been moved together: `tatami TIER`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use gix::ObjectId;
use gix::objs::Kind;

use crate::error::{Code, Doing, Error, Result};
use crate::objects::Data;
use crate::pack_index::{self, Row};

const KEEP: &str = "tatami ";
const HEADER_BYTES: u64 = 12;
const TRAILER_BYTES: u64 = 20;
/// Packs of one commit batch that are moved together into one.
const FAN_FIRST: usize = 12;
/// Packs of a higher tier that are moved together.
const FAN: usize = 6;
/// Packs past this size are left as they are: commits wait while packs are copied.
const MERGED_BYTES_MAX: u64 = 32 << 20;

/// A new object, compressed for a pack. Small ones keep their bytes for the object cache.
#[derive(Clone)]
pub struct Packed {
    pub id: ObjectId,
    pub kind: Kind,
    entry: Vec<u8>,
    pub data: Option<Data>,
}

/// Compresses objects one after another with one deflate state: making one anew for every object
/// costs more than compressing a small tree, and scatters the heap.
pub struct Compressor(Compress);

impl Default for Compressor {
    /// Level 1: agents wait for this, and git compresses packs better one day.
    fn default() -> Self {
        Self(Compress::new(Compression::new(1), true))
    }
}

impl Compressor {
    /// Packs an object; `id` is its name.
    pub fn pack(&mut self, id: ObjectId, kind: Kind, data: &[u8], kept: Option<Data>) -> Packed {
        let mut entry = entry_header(kind, data.len() as u64);
        entry.reserve(data.len() / 2 + 64);
        self.0.reset();
        loop {
            let at = &data[self.0.total_in() as usize..];
            let status = self.0.compress_vec(at, &mut entry, FlushCompress::Finish);
            if status.expect("deflating cannot fail") == Status::StreamEnd {
                entry.shrink_to_fit();
                return Packed {
                    id,
                    kind,
                    entry,
                    data: kept,
                };
            }
            entry.reserve(entry.capacity().max(4096));
        }
    }
}

impl Packed {
    /// Bytes this object takes in a pack.
    pub fn bytes(&self) -> usize {
        self.entry.len()
    }

    /// The object's own bytes, inflated again where they were not kept.
    pub fn content(&self) -> Data {
        if let Some(data) = &self.data {
            return data.clone();
        }
        let header = self
            .entry
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .map_or(0, |at| at + 1);
        let mut data = Vec::new();
        ZlibDecoder::new(&self.entry[header..])
            .read_to_end(&mut data)
            .expect("we deflated it");
        data.into()
    }
}

fn entry_header(kind: Kind, size: u64) -> Vec<u8> {
    let code = match kind {
        Kind::Commit => 1u8,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut header = vec![code << 4 | (size & 0x0f) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *header.last_mut().expect("not empty") |= 0x80;
        header.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    header
}

/// A pack that is in place, with durable content; its name is durable once the directory is synced.
pub struct Written {
    dir: PathBuf,
    name: String,
}

impl Written {
    /// Takes the pack away again; for one that nothing refers to.
    pub fn discard(self) {
        remove_pack(&self.dir, &self.name);
    }
}

/// Writes a pack of these objects with its index and `.keep` file.
pub fn write(dir: &Path, objects: &[Packed], tier: u32) -> Result<Written> {
    let total = objects.len() as u32;
    let mut writer = PackWriter::create(dir, total)?;
    for object in objects {
        writer.add(object.id, &object.entry)?;
    }
    writer.finish(tier)
}

struct PackWriter {
    dir: PathBuf,
    out: BufWriter<File>,
    unnamed: Temporary,
    hasher: gix::hash::Hasher,
    at: u64,
    index: Vec<(ObjectId, u32, u64)>,
}

impl PackWriter {
    fn create(dir: &Path, total: u32) -> Result<Self> {
        fs::create_dir_all(dir).doing(&format!("making {}", dir.display()))?;
        let unnamed = Temporary::create(dir, "pack")?;
        let file = unnamed.file.try_clone().doing("opening a pack")?;
        let mut writer = Self {
            dir: dir.to_owned(),
            out: BufWriter::with_capacity(1 << 18, file),
            unnamed,
            hasher: gix::hash::hasher(gix::hash::Kind::Sha1),
            at: 0,
            index: Vec::with_capacity(total as usize),
        };
        let mut header = b"PACK\0\0\0\x02".to_vec();
        header.extend(total.to_be_bytes());
        writer.put(&header)?;
        Ok(writer)
    }

    fn add(&mut self, id: ObjectId, entry: &[u8]) -> Result<()> {
        self.index.push((id, crc32fast::hash(entry), self.at));
        self.put(entry)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).doing("writing a pack")
    }

    /// `.keep` first: git never sees the pack without it.
    fn finish(mut self, tier: u32) -> Result<Written> {
        let hash = self.hasher.clone().try_finalize().doing("hashing a pack")?;
        self.out
            .write_all(hash.as_slice())
            .and_then(|()| self.out.flush())
            .doing("writing a pack")?;
        let index = Temporary::create(&self.dir, "idx")?;
        (&index.file)
            .write_all(&pack_index::encode(self.index, &hash)?)
            .doing("writing a pack index")?;
        let keep = Temporary::create(&self.dir, "keep")?;
        (&keep.file)
            .write_all(format!("{KEEP}{tier}\n").as_bytes())
            .doing("writing a keep file")?;
        let name = format!("pack-{hash}");
        let place = |suffix: &str| self.dir.join(format!("{name}.{suffix}"));
        keep.name(&place("keep"))?;
        self.unnamed.name(&place("pack"))?;
        index.name(&place("idx"))?;
        Ok(Written {
            dir: self.dir.clone(),
            name,
        })
    }
}

/// A file that gets its name once it is whole and durable: a power cut must not leave a name over
/// missing content. Without a name it goes when it is dropped, so that a full disk is not filled
/// further.
struct Temporary {
    path: PathBuf,
    file: File,
    named: bool,
}

impl Temporary {
    fn create(dir: &Path, kind: &str) -> Result<Self> {
        let path = temporary(dir, kind);
        let file = OpenOptions::new()
            .write(true)
            .read(true)
            .create_new(true)
            .open(&path)
            .doing(&format!("making {}", path.display()))?;
        Ok(Self {
            path,
            file,
            named: false,
        })
    }

    fn name(mut self, to: &Path) -> Result<()> {
        let doing = || format!("writing {}", to.display());
        self.file.sync_data().doing(&doing())?;
        fs::rename(&self.path, to).doing(&doing())?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.named {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Begins names not yet renamed; git's own `tmp_` would be pruned from under whoever writes them.
const TEMPORARY: &str = ".tatami-";

/// Removes what a writer that crashed left behind; the one writer calls it before it writes.
pub fn clear_leftovers(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        }
        // A pack is whole once its index is there.
        let path = entry.path();
        let unfinished = path.extension().is_some_and(|suffix| suffix == "keep")
            && tier_of(&path).is_some()
            && !path.with_extension("idx").exists();
        if unfinished {
            let _ = fs::remove_file(path.with_extension("pack"));
            let _ = fs::remove_file(&path);
        }
    }
}

/// The tier a `.keep` file of ours names.
fn tier_of(keep: &Path) -> Option<u32> {
    let text = fs::read_to_string(keep).ok()?;
    text.trim_end().strip_prefix(KEEP)?.parse().ok()
}

fn temporary(dir: &Path, kind: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_nanos());
    dir.join(format!(
        "{TEMPORARY}{kind}-{}-{number}-{now:x}",
        std::process::id()
    ))
}

/// A pack of ours on disk.
#[derive(Debug)]
pub struct Own {
    pub name: String,
    pub tier: u32,
    pub bytes: u64,
}

/// Every pack of ours, known by its `.keep` file.
pub fn own_packs(dir: &Path) -> Result<Vec<Own>> {
    let mut found = Vec::new();
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        listed => listed.doing(&format!("listing {}", dir.display()))?,
    };
    for entry in listed {
        let path = entry.doing("listing packs")?.path();
        if path.extension().is_none_or(|suffix| suffix != "keep") {
            continue;
        }
        let tier = tier_of(&path);
        let (Some(tier), Ok(pack)) = (tier, path.with_extension("pack").metadata()) else {
            continue;
        };
        let name = path
            .file_stem()
            .expect("has an extension")
            .to_string_lossy()
            .into_owned();
        found.push(Own {
            name,
            tier,
            bytes: pack.len(),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Moves the objects of many small packs into few larger ones, by byte copy; returns how many
/// packs went away. New packs are durable before an old one is removed.
pub fn consolidate(dir: &Path) -> Result<usize> {
    let mut removed = 0;
    loop {
        let mut own = own_packs(dir)?;
        own.retain(|pack| pack.bytes < MERGED_BYTES_MAX);
        let tiers = own.iter().map(|pack| pack.tier).max().unwrap_or(0);
        let full = (0..=tiers).find(|&tier| {
            let count = own.iter().filter(|pack| pack.tier == tier).count();
            count >= if tier == 0 { FAN_FIRST } else { FAN }
        });
        let Some(tier) = full else { return Ok(removed) };
        own.retain(|pack| pack.tier == tier);
        merge(dir, &own, tier + 1)?;
        forget_multi_pack_index(dir)?;
        own.iter().for_each(|pack| remove_pack(dir, &pack.name));
        removed += own.len() - 1;
    }
}

fn merge(dir: &Path, packs: &[Own], tier: u32) -> Result<()> {
    let mut sources = Vec::new();
    for pack in packs {
        // A foreign `git gc --keep-pack` or a person may have taken it; its objects are elsewhere.
        if let Some(source) = Source::open(dir, &pack.name)? {
            sources.push(source);
        }
    }
    let mut seen = std::collections::HashSet::new();
    for source in &mut sources {
        source.rows.retain(|row| seen.insert(row.id));
    }
    let total = sources
        .iter()
        .map(|source| source.rows.len())
        .sum::<usize>();
    let total = u32::try_from(total)
        .map_err(|_| Error::new(Code::Unsupported, "a pack of 2^32 objects"))?;
    let mut writer = PackWriter::create(dir, total)?;
    for source in &sources {
        for row in &source.rows {
            writer.add(row.id, &source.entry(row)?)?;
        }
    }
    writer.finish(tier)?;
    sync_dir(dir).doing("syncing the pack directory")
}

/// A pack of ours opened for copying: its rows in the order of their offsets.
struct Source {
    file: File,
    path: PathBuf,
    rows: Vec<Row>,
}

impl Source {
    fn open(dir: &Path, name: &str) -> Result<Option<Self>> {
        let path = dir.join(format!("{name}.pack"));
        let opened = File::open(&path);
        let index = fs::read(path.with_extension("idx"));
        let (file, index) = match (opened, index) {
            (Ok(file), Ok(index)) => (file, index),
            (Err(error), _) | (_, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            (Err(error), _) | (_, Err(error)) => {
                return Err(Error::caused(
                    &format!("opening {}", path.display()),
                    &error,
                ));
            }
        };
        let size = file.metadata().doing("reading a pack's size")?.len();
        let end = size.saturating_sub(TRAILER_BYTES);
        let damaged = || Error::new(Code::Corrupt, format!("{} is damaged", path.display()));
        let mut rows = pack_index::parse(&index).ok_or_else(damaged)?;
        rows.sort_unstable_by_key(|row| row.offset);
        let ends: Vec<u64> = rows
            .iter()
            .skip(1)
            .map(|row| row.offset)
            .chain([end])
            .collect();
        for (row, end) in rows.iter_mut().zip(ends) {
            row.end = end;
            if row.offset < HEADER_BYTES || row.offset >= end {
                return Err(damaged());
            }
        }
        Ok(Some(Self { file, path, rows }))
    }

    fn entry(&self, row: &Row) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (row.end - row.offset) as usize];
        self.file
            .read_exact_at(&mut bytes, row.offset)
            .doing(&format!("reading {}", self.path.display()))?;
        if crc32fast::hash(&bytes) != row.crc {
            let what = format!("object {} in {} is damaged", row.id, self.path.display());
            return Err(Error::new(Code::Corrupt, what));
        }
        Ok(bytes)
    }
}

/// Git's index over packs is a cache that would name those that go, and hide their objects.
fn forget_multi_pack_index(dir: &Path) -> Result<()> {
    for name in [
        "multi-pack-index",
        "multi-pack-index.d/multi-pack-index-chain",
    ] {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::caused("removing git's multi-pack-index", &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The index goes first: a reader that still sees it must find its pack.
fn remove_pack(dir: &Path, name: &str) {
    for suffix in ["idx", "pack", "keep"] {
        let _ = fs::remove_file(dir.join(format!("{name}.{suffix}")));
    }
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}
