//! The one place that knows jj-lib's types: opening, publishing, reading history.

mod barrier;
mod history;
mod index;
mod init;
mod operations;
mod publish;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;
use jj_lib::backend::CommitId;
use jj_lib::config::{ConfigLayer, ConfigSource, StackedConfig};
use jj_lib::default_backend_factories::default_backend_factories;
use jj_lib::object_id::ObjectId as _;
use jj_lib::op_heads_store;
use jj_lib::op_store::RefTarget;
use jj_lib::operation::Operation as JjOperation;
use jj_lib::repo::{ReadonlyRepo, RepoLoader, RepoLoaderError};
use jj_lib::settings::UserSettings;
use jj_lib::stacked_table::TableStore;
use pollster::FutureExt as _;

pub use operations::Operation;
pub use publish::OpResult;
pub use verify::{Problem, Verified};

use crate::error::{Code, Doing, Error, Result};
use crate::jj::index::Anchor;
use crate::keep;
use crate::objects::Objects;
use crate::pack;
use crate::pack::Compressor;
use crate::prepare::{self, Batch};
use crate::spec::CommitSpec;

const COMMIT_ID_BYTES: usize = 20;

/// Where a repository lies: jj's folder (`.jj/repo`) and the git directory all worktrees share.
#[derive(Clone, Debug)]
pub struct Paths {
    pub jj_repo: PathBuf,
    pub git_dir: PathBuf,
}

/// Who operations are by, as `jj op log` shows it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user: String,
    pub host: String,
}

/// An opened repository: git's objects and jj's operation log over them.
pub struct Core {
    paths: Paths,
    settings: UserSettings,
    repo: Arc<ReadonlyRepo>,
    anchor: Anchor,
    extras: TableStore,
    pub objects: Objects,
    compressor: Compressor,
    writes: bool,
    /// Files that other programs wrote, and may not have made durable, are built upon.
    foreign: bool,
    /// A sync failed; nothing is written through this handle any more.
    broken: bool,
}

/// What `refresh` found.
#[derive(Clone, Debug)]
pub struct Refreshed {
    pub op: String,
    pub changed: bool,
    pub merged: bool,
}

/// The view of one operation; a bookmark that was moved two ways has no commit.
#[derive(Clone, Debug)]
pub struct ViewOf {
    pub heads: Vec<String>,
    pub bookmarks: Vec<(String, Option<String>)>,
    pub git_refs: Vec<(String, Option<String>)>,
}

impl Core {
    /// Opens a repository. Only one process may open it to write: the hub.
    pub fn open(paths: Paths, identity: &Identity, writes: bool) -> Result<Self> {
        let settings = settings(identity)?;
        let loader = load(&settings, &paths)?;
        let (repo, merged) = load_head(&loader, writes)?;
        let anchor = Anchor::of(&repo, &paths.jj_repo);
        let objects = Objects::open(&paths.git_dir)?;
        if writes {
            pack::clear_leftovers(&objects.pack_dir());
            keep::clear_locks(&paths.git_dir);
            index::make_incoming(&paths.jj_repo)?;
        }
        let extras = TableStore::load(paths.jj_repo.join("store/extra"), COMMIT_ID_BYTES);
        let compressor = Compressor::default();
        // What a crashed or foreign program left is as good as durable only after a barrier.
        let (foreign, broken) = (true, false);
        let mut core = Self {
            paths,
            settings,
            repo,
            anchor,
            extras,
            objects,
            compressor,
            writes,
            foreign,
            broken,
        };
        // A writer that died may have swapped the head it found, and not have synced it.
        if merged || writes {
            core.sync_heads()?;
        }
        Ok(core)
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The id of the operation this handle works on.
    pub fn op(&self) -> String {
        self.repo.op_id().hex()
    }

    /// Loads the op head if somebody else moved it. A writer merges several into one; a reader
    /// leaves that to the writer and goes on with what it has.
    pub fn refresh(&mut self) -> Result<Refreshed> {
        let unchanged = self.heads()? == [self.repo.op_id().clone()];
        let mut merged = false;
        if !unchanged {
            let loader = load(&self.settings, &self.paths)?;
            let found = load_head(&loader, self.writes)?;
            merged = found.1;
            self.go_on_from(found.0);
            self.extras = TableStore::load(self.paths.jj_repo.join("store/extra"), COMMIT_ID_BYTES);
            if merged {
                self.sync_heads()?;
            }
        }
        Ok(Refreshed {
            op: self.op(),
            changed: !unchanged,
            merged,
        })
    }

    fn heads(&self) -> Result<Vec<jj_lib::op_store::OperationId>> {
        self.repo
            .op_heads_store()
            .get_op_heads()
            .block_on()
            .doing("reading the op heads")
    }

    /// The view of an operation, of the current one when `op` is absent.
    pub fn view(&self, op: Option<&str>) -> Result<ViewOf> {
        let view = match op {
            None => self.repo.view().clone(),
            Some(op) => self
                .operation(op)?
                .view()
                .block_on()
                .doing("reading a view")?,
        };
        let mut heads: Vec<String> = view.heads().iter().map(|id| id.hex()).collect();
        heads.sort();
        let target = |target: &RefTarget| target.as_normal().map(|id| id.hex());
        Ok(ViewOf {
            heads,
            bookmarks: view
                .local_bookmarks()
                .map(|(name, to)| (name.as_str().to_owned(), target(to)))
                .collect(),
            git_refs: view
                .git_refs()
                .iter()
                .map(|(name, to)| (name.as_str().to_owned(), target(to)))
                .collect(),
        })
    }

    /// Builds commits in memory; nothing touches the disk.
    pub fn prepare(&mut self, specs: &[CommitSpec<'_>]) -> Result<Batch> {
        let random = self.settings.get_rng();
        prepare::prepare(&mut self.objects, &mut self.compressor, specs, || {
            let change = random.new_change_id(16);
            change
                .as_bytes()
                .try_into()
                .expect("16 bytes were asked for")
        })
    }
}

fn settings(identity: &Identity) -> Result<UserSettings> {
    let quoted = |text: &str| {
        let plain: String = text.chars().filter(|c| !c.is_control()).collect();
        format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let text = format!(
        "user.name = \"tatami\"\nuser.email = \"tatami@localhost\"\n\
         operation.username = {}\noperation.hostname = {}\n",
        quoted(&identity.user),
        quoted(&identity.host),
    );
    let mut config = StackedConfig::with_defaults();
    config.add_layer(ConfigLayer::parse(ConfigSource::User, &text).doing("making jj's settings")?);
    UserSettings::from_config(config).doing("making jj's settings")
}

/// A fresh loader: jj's own handle on git's packs fails at the 33rd that appears after it was made,
/// so it is made anew whenever jj-lib itself has to read what others wrote.
fn load(settings: &UserSettings, paths: &Paths) -> Result<RepoLoader> {
    RepoLoader::init_from_file_system(settings, &paths.jj_repo, &default_backend_factories())
        .doing(&format!("opening {}", paths.jj_repo.display()))
}

/// Loads the op head. A writer merges several into one (then the flag is set); a reader takes the
/// newest and writes nothing.
fn load_head(loader: &RepoLoader, writes: bool) -> Result<(Arc<ReadonlyRepo>, bool)> {
    let mut merged = false;
    let op = if writes {
        op_heads_store::resolve_op_heads(
            loader.op_heads_store().as_ref(),
            loader.op_store(),
            async |ops: Vec<JjOperation>| -> Result<JjOperation, RepoLoaderError> {
                merged = true;
                let words = Some("merge operations of other programs");
                let (repo, _) = loader.merge_operations(ops, None, words, []).await?;
                Ok(repo.operation().clone())
            },
        )
        .block_on()
        .doing("loading the op head")?
    } else {
        newest_head(loader)?
    };
    let repo = loader
        .load_at(&op)
        .block_on()
        .doing("loading the newest operation")?;
    Ok((repo, merged))
}

fn newest_head(loader: &RepoLoader) -> Result<JjOperation> {
    let ids = loader
        .op_heads_store()
        .get_op_heads()
        .block_on()
        .doing("reading the op heads")?;
    let mut ops = Vec::with_capacity(ids.len());
    for id in &ids {
        ops.push(
            loader
                .load_operation(id)
                .block_on()
                .doing("reading an operation")?,
        );
    }
    let newest = ops
        .into_iter()
        .max_by_key(|op| op.metadata().time.end.timestamp);
    newest.ok_or_else(|| Error::new(Code::Corrupt, "there is no op head"))
}

fn to_jj(id: ObjectId) -> CommitId {
    CommitId::from_bytes(id.as_bytes())
}

fn to_git(id: &CommitId) -> ObjectId {
    ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// The commits of an iterator of hex ids.
fn commit_ids(hex: &[String]) -> Result<Vec<CommitId>> {
    hex.iter()
        .map(|id| crate::objects::parse_id(id).map(to_jj))
        .collect()
}

fn not_found(what: &str) -> Error {
    Error::new(Code::NotFound, format!("nothing is called {what:?}"))
}

/// Opening a folder that is not a jj repository is a caller's mistake, told as such.
pub fn is_repository(jj_repo: &Path) -> bool {
    jj_repo.join("op_heads").is_dir() && jj_repo.join("store").is_dir()
}
