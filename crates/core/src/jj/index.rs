//! jj's commit index: a cache that any jj may throw away and make anew, under our feet.
//!
//! An index is a chain of segment files, and what is in memory is written as the next of a chain
//! it takes to be there. After `jj debug reindex` it is not: every jj command that meets such a
//! loose end indexes the whole history again. So a writer looks, before and after it publishes,
//! whether somebody began the index anew, and if so writes a whole one itself.
//!
//! jj fails when a file goes that it is about to remove. So none is made, renamed or removed
//! where jj looks: files are made in a folder of ours, and moved in when they are complete.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jj_lib::default_index::DefaultIndexStore;
use jj_lib::hex_util::encode_hex;
use jj_lib::index::{IndexStore as _, MutableIndex, ReadonlyIndex};
use jj_lib::object_id::ObjectId as _;
use jj_lib::operation::Operation as JjOperation;
use jj_lib::repo::ReadonlyRepo;
use pollster::FutureExt as _;

use crate::error::{Doing, Result};
use crate::jj::{Core, load};

const LINKS: &str = "op_links";
/// What an index consists of; links come last, since they name segments.
const FOLDERS: [&str; 3] = ["segments", "changed_paths", LINKS];
/// The bytes before the 64 of a segment's name in a link: its first field.
const LINK_HEAD: [u8; 2] = [0x0a, 0x40];

/// An operation's link and the segment it names, as they looked when the index was read. Whoever
/// makes an index anew removes all links, then all segments: these are gone then, or other files.
pub(super) struct Anchor {
    files: Option<[(PathBuf, Stamp); 2]>,
}

/// Inode and time of change; two files may have the same inode one after the other.
type Stamp = (u64, i64, i64);

impl Anchor {
    pub(super) fn of(repo: &ReadonlyRepo, jj_repo: &Path) -> Self {
        let index = jj_repo.join("index");
        let link = index.join(LINKS).join(repo.op_id().hex());
        let segment = || {
            let bytes = fs::read(&link).ok()?;
            let name = bytes.strip_prefix(&LINK_HEAD)?.get(..64)?;
            Some(index.join("segments").join(encode_hex(name)))
        };
        let files = segment().and_then(|segment| {
            let (of_link, of_segment) = (stamp(&link)?, stamp(&segment)?);
            Some([(link, of_link), (segment, of_segment)])
        });
        Self { files }
    }

    fn holds(&self) -> bool {
        self.files
            .as_ref()
            .is_some_and(|files| files.iter().all(|(path, seen)| stamp(path) == Some(*seen)))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = path.metadata().ok()?;
    Some((found.ino(), found.ctime(), found.ctime_nsec()))
}

impl Core {
    /// Makes the index anew if another program did since this handle read it.
    pub(super) fn renew_index(&mut self) -> Result<()> {
        if self.anchor.holds() {
            return Ok(());
        }
        let doing = "making jj's commit index anew";
        let loader = load(&self.settings, &self.paths)?;
        let operation = self.repo.operation().clone();
        self.incoming()
            .build_index_at_operation(&operation, loader.store())
            .block_on()
            .doing(doing)?;
        self.take_in()?;
        let repo = loader.load_at(&operation).block_on().doing(doing)?;
        self.go_on_from(repo);
        Ok(())
    }

    /// Works on what was just loaded: files, index files among them, that others may have written.
    pub(super) fn go_on_from(&mut self, repo: Arc<ReadonlyRepo>) {
        self.anchor = Anchor::of(&repo, &self.paths.jj_repo);
        self.repo = repo;
        self.foreign = true;
    }

    /// Writes an operation's index; its link may be gone, or its chain loose, when this returns.
    pub(super) fn write_index(
        &self,
        index: Box<dyn MutableIndex>,
        operation: &JjOperation,
    ) -> Result<Box<dyn ReadonlyIndex>> {
        let index = self
            .incoming()
            .write_index(index, operation)
            .doing("writing the commit index")?;
        self.take_in()?;
        Ok(index)
    }

    /// An index store of our own, for files that are not complete.
    fn incoming(&self) -> DefaultIndexStore {
        DefaultIndexStore::load(&incoming(&self.paths.jj_repo))
    }

    /// Moves what was written to where jj looks.
    fn take_in(&self) -> Result<()> {
        let jj_repo = &self.paths.jj_repo;
        let (from, to) = (incoming(jj_repo), jj_repo.join("index"));
        for name in FOLDERS {
            let folder = to.join(name);
            let doing = || format!("moving an index into {}", folder.display());
            for file in fs::read_dir(from.join(name)).doing(&doing())? {
                let file = file.doing(&doing())?;
                fs::rename(file.path(), folder.join(file.file_name())).doing(&doing())?;
            }
        }
        Ok(())
    }
}

fn incoming(jj_repo: &Path) -> PathBuf {
    jj_repo.join("index/incoming")
}

/// Makes our folder, without what a crash left in it: an index would be built upon that.
pub(super) fn make_incoming(jj_repo: &Path) -> Result<()> {
    let folder = incoming(jj_repo);
    let doing = || format!("making {}", folder.display());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).doing(&doing()),
        _ => fs::create_dir_all(&folder).doing(&doing()),
    }
}
