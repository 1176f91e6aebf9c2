//! An opened repository, readable from several threads.

use std::path::{Path, PathBuf};

use gix::hash::Kind;
use gix::odb::store::init::Slots;
use gix::{ObjectId, Repository, ThreadSafeRepository};

use crate::error::chain;
use crate::{Error, Result};

/// gix stops reading once more packs than it has slots appear while a repository is open, and the
/// hub adds a pack with every batch.
const PACK_SLOTS_MIN: usize = 512;
/// Enough for what `open_lightly` is for.
const LIGHT_SLOTS: u16 = 64;

/// A repository opened for reading objects, configuration, ignore rules and attributes.
pub struct Source {
    repository: ThreadSafeRepository,
}

impl Source {
    /// Opens the repository whose (common or worktree's) git directory is `git_dir`.
    pub fn open(git_dir: &Path) -> Result<Self> {
        Self::open_with(
            git_dir,
            Slots::AsNeededByDiskState {
                multiplier: 1.5,
                minimum: PACK_SLOTS_MIN,
            },
        )
    }

    /// As `open`, for a look at little more than settings: packs are counted only when an object is
    /// read, and of too many some are not found.
    pub fn open_lightly(git_dir: &Path) -> Result<Self> {
        Self::open_with(git_dir, Slots::Given(LIGHT_SLOTS))
    }

    fn open_with(git_dir: &Path, slots: Slots) -> Result<Self> {
        let options = gix::open::Options::default()
            .open_path_as_is(true)
            .object_store_slots(slots)
            .with(gix::sec::Trust::Full);
        let repository = options.open(git_dir).map_err(|error| match error {
            gix::open::Error::NotARepository { path, .. } => {
                Error::NotFound(format!("no git repository at {}", path.display()))
            }
            error => Error::git(format!("open the repository {}", git_dir.display()), &error),
        })?;
        let source = Self { repository };
        match source.local().object_hash() {
            Kind::Sha1 => Ok(source),
            other => Err(Error::Unsupported(format!(
                "the repository {} names its objects by {other}, not by SHA-1",
                git_dir.display()
            ))),
        }
    }

    /// A handle for the calling thread.
    pub fn local(&self) -> Repository {
        self.repository.to_thread_local()
    }

    /// Whether git may fetch missing objects when it needs them (a partial clone).
    pub fn is_partial(&self) -> bool {
        let repository = self.local();
        let config = repository.config_snapshot();
        let mut remotes = config
            .plumbing()
            .sections_by_name("remote")
            .into_iter()
            .flatten();
        config.string("extensions.partialClone").is_some()
            || remotes.any(|remote| remote.contains_value_name("promisor"))
    }

    /// The tree of a commit, or `id` itself when it already is a tree's.
    pub fn tree_of(&self, id: &str) -> Result<ObjectId> {
        let repository = self.local();
        let parsed = parse_id(id)?;
        let object = repository
            .find_object(parsed)
            .map_err(|e| object_error(&parsed, &e))?;
        let tree = object.peel_to_tree().map_err(|error| {
            Error::BadInput(format!("object {id} has no tree: {}", chain(&error)))
        })?;
        Ok(tree.id)
    }
}

/// Parses a full object id in lower-case hex.
pub fn parse_id(id: &str) -> Result<ObjectId> {
    match ObjectId::from_hex(id.as_bytes()) {
        Ok(parsed) if parsed.kind() == Kind::Sha1 => Ok(parsed),
        _ => Err(Error::BadInput(format!("{id:?} is not a full object id"))),
    }
}

/// Tells a missing object from a damaged one.
pub fn object_error(id: &ObjectId, error: &gix::object::find::existing::Error) -> Error {
    match error {
        gix::object::find::existing::Error::NotFound { .. } => {
            Error::NotFound(format!("object {id} is not in the repository"))
        }
        error => Error::Corrupt(format!("could not read object {id}: {}", chain(error))),
    }
}

/// Makes a path absolute with its existing part resolved, as git stores it.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .map_err(|error| Error::io(format!("find {}", path.display()), error))
}
