//! Git objects: what is on disk (through an own handle), and what was written a moment ago.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::objs::Kind;
use gix::{ObjectId, hash};

use crate::error::{Code, Doing, Error, Result};

/// An object's bytes without header.
pub type Data = Arc<[u8]>;

/// Recently written and read objects kept in memory, in bytes. Looking up what was just packed
/// would make git's object index be read again for every batch.
const CACHE_BYTES_MAX: usize = 24 << 20;
/// Larger objects are read from disk each time.
const CACHED_OBJECT_BYTES_MAX: usize = 1 << 20;
/// Packs the handle can know at once. gix's default of 32 makes every read fail at the 33rd.
const PACK_SLOTS: u16 = 8192;

/// The object store of one repository.
pub struct Objects {
    repo: gix::Repository,
    cache: Cache,
}

impl Objects {
    pub fn open(git_dir: &Path) -> Result<Self> {
        let options = gix::open::Options::isolated()
            .with(gix::sec::Trust::Full)
            .object_store_slots(gix::odb::store::init::Slots::Given(PACK_SLOTS));
        let repo = gix::open_opts(git_dir, options).doing(&format!(
            "opening the object store of {}",
            git_dir.display()
        ))?;
        Ok(Self {
            repo,
            cache: Cache::default(),
        })
    }

    pub fn git(&self) -> &gix::Repository {
        &self.repo
    }

    /// The directory packs lie in.
    pub fn pack_dir(&self) -> PathBuf {
        self.repo.objects.store_ref().path().join("pack")
    }

    /// Reads an object; a missing one is an error, because whoever asks has its name from a
    /// commit or a tree.
    pub fn read(&mut self, id: ObjectId) -> Result<(Kind, Data)> {
        match self.find(id)? {
            Some(found) => Ok(found),
            None => Err(Error::new(Code::Corrupt, format!("object {id} is missing"))),
        }
    }

    pub fn find(&mut self, id: ObjectId) -> Result<Option<(Kind, Data)>> {
        if let Some(found) = self.cache.get(&id) {
            return Ok(Some(found));
        }
        let Some(object) = self
            .repo
            .try_find_object(id)
            .doing(&format!("reading object {id}"))?
        else {
            return Ok(None);
        };
        let kind = object.kind;
        let data: Data = object.detach().data.into();
        if kind != Kind::Blob {
            self.cache.put(id, kind, &data);
        }
        Ok(Some((kind, data)))
    }

    pub fn tree(&mut self, id: ObjectId) -> Result<Data> {
        self.typed(id, Kind::Tree)
    }

    pub fn blob(&mut self, id: ObjectId) -> Result<Data> {
        self.typed(id, Kind::Blob)
    }

    pub fn commit(&mut self, id: ObjectId) -> Result<Data> {
        self.typed(id, Kind::Commit)
    }

    fn typed(&mut self, id: ObjectId, wanted: Kind) -> Result<Data> {
        if wanted == Kind::Tree && id.is_empty_tree() {
            return Ok(Arc::from(&[][..]));
        }
        let (kind, data) = self.read(id)?;
        if kind != wanted {
            return Err(Error::new(
                Code::NotFound,
                format!("{id} is a {kind}, not a {wanted}"),
            ));
        }
        Ok(data)
    }

    /// Remembers an object that is on its way to disk.
    pub fn remember(&mut self, id: ObjectId, kind: Kind, data: &Data) {
        self.cache.put(id, kind, data);
    }

    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes
    }
}

/// Parses a full object id.
pub fn parse_id(hex: &str) -> Result<ObjectId> {
    ObjectId::from_hex(hex.as_bytes())
        .ok()
        .filter(|id| id.kind() == hash::Kind::Sha1)
        .ok_or_else(|| Error::new(Code::BadInput, format!("{hex:?} is not an object id")))
}

/// First in, first out, bounded by bytes: what is hot is written again and again anyway.
#[derive(Default)]
struct Cache {
    objects: HashMap<ObjectId, (Kind, Data)>,
    order: VecDeque<ObjectId>,
    bytes: usize,
}

impl Cache {
    fn get(&self, id: &ObjectId) -> Option<(Kind, Data)> {
        self.objects.get(id).cloned()
    }

    fn put(&mut self, id: ObjectId, kind: Kind, data: &Data) {
        if data.len() > CACHED_OBJECT_BYTES_MAX || self.objects.contains_key(&id) {
            return;
        }
        self.bytes += data.len();
        self.objects.insert(id, (kind, data.clone()));
        self.order.push_back(id);
        while self.bytes > CACHE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some((_, data)) = self.objects.remove(&oldest) {
                self.bytes -= data.len();
            }
        }
    }
}
