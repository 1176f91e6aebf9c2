//! Makes jj's repository beside an existing git repository, or takes over one that is there.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use jj_lib::git::{self, GitImportOptions, GitRefKind};
use jj_lib::object_id::ObjectId as _;
use jj_lib::op_store::RefTarget;
use jj_lib::ref_name::RefName;
use jj_lib::repo::{MutableRepo, Repo as _};
use jj_lib::workspace::Workspace;
use pollster::FutureExt as _;

use crate::error::{Code, Doing, Error, Result};
use crate::jj::{Core, Identity, Paths, commit_ids, is_repository, settings};
use crate::keep;
use crate::objects::parse_id;

/// From `<git dir>/tatami/jj/.jj/repo/store` to the git directory: relative, so that the
/// repository can be moved.
const GIT_TARGET: &str = "../../../../..";

impl Core {
    /// Makes `<state>/jj` over `git_dir`, imports the trunk's branch and `head`, durably.
    pub fn init(
        state: &Path,
        git_dir: &Path,
        trunk: &str,
        head: Option<&str>,
        identity: &Identity,
    ) -> Result<Self> {
        let root = state.join("jj");
        fs::create_dir(&root).doing(&format!("making {}", root.display()))?;
        let settings = settings(identity)?;
        let (workspace, repo) = Workspace::init_external_git(&settings, &root, git_dir)
            .block_on()
            .doing(&format!("making a jj repository in {}", root.display()))?;
        let jj_repo = workspace.repo_path().to_owned();
        fs::write(jj_repo.join("store/git_target"), GIT_TARGET)
            .doing("pointing the jj repository to git")?;
        // jj's own first working-copy commit would be a head nobody asked for.
        let mut tx = repo.start_transaction();
        let name = workspace.workspace_name();
        tx.repo_mut()
            .remove_workspace(name)
            .block_on()
            .doing("removing jj's first workspace")?;
        tx.repo_mut()
            .rebase_descendants()
            .block_on()
            .doing("removing jj's first workspace")?;
        tx.commit("begin")
            .block_on()
            .doing("writing the first operation")?;
        let paths = Paths {
            jj_repo,
            git_dir: git_dir.to_owned(),
        };
        let mut core = Self::open(paths, identity, true)?;
        core.import(trunk, head)?;
        Ok(core)
    }

    /// Takes over a jj repository that is there: the trunk must be a bookmark of it.
    pub fn adopt(
        paths: Paths,
        trunk: &str,
        head: Option<&str>,
        identity: &Identity,
    ) -> Result<Self> {
        if !is_repository(&paths.jj_repo) {
            let what = format!("{} is not a jj repository", paths.jj_repo.display());
            return Err(Error::new(Code::BadInput, what));
        }
        let mut core = Self::open(paths, identity, true)?;
        core.import(trunk, head)?;
        Ok(core)
    }

    /// Imports the trunk's git branch as a bookmark, and the commit of HEAD.
    fn import(&mut self, trunk: &str, head: Option<&str>) -> Result<()> {
        let mut tx = self.repo.start_transaction();
        let only_trunk = |kind: GitRefKind, symbol: jj_lib::ref_name::RemoteRefSymbol<'_>| {
            matches!(kind, GitRefKind::Bookmark)
                && symbol.remote.as_str() == "git"
                && symbol.name.as_str() == trunk
        };
        git::import_some_refs(tx.repo_mut(), &import_options(), only_trunk)
            .block_on()
            .doing("importing the trunk from git")?;
        let target = tx
            .repo_mut()
            .get_local_bookmark(RefName::new(trunk))
            .clone();
        let Some(trunk_commit) = target.as_normal().map(|id| id.hex()) else {
            let what = format!("the trunk {trunk:?} has no single commit");
            return Err(Error::new(Code::Conflicted, what));
        };
        let mut foreign = vec![trunk_commit];
        foreign.extend(head.map(str::to_owned));
        import_commits(tx.repo_mut(), &foreign)?;
        let held = foreign
            .iter()
            .map(|hex| parse_id(hex))
            .collect::<Result<Vec<_>>>()?;
        keep::hold(&mut self.objects, &self.paths.git_dir, &held)?;
        if tx.repo().has_changes() {
            self.repo = tx
                .commit("import from git")
                .block_on()
                .doing("importing from git")?;
        }
        self.sync_heads()
    }
}

fn import_options() -> GitImportOptions {
    GitImportOptions {
        abandon_unreachable_commits: false,
        record_synthetic_predecessors: false,
        remote_auto_track_bookmarks: HashMap::new(),
    }
}

/// Makes commits that plain git wrote known to jj, as visible heads.
pub(super) fn import_commits(mutable: &mut MutableRepo, foreign: &[String]) -> Result<()> {
    let ids = commit_ids(foreign)?;
    let store = mutable.store().clone();
    git::get_git_backend(&store)
        .doing("reaching git's objects")?
        .import_head_commits(&ids)
        .doing("importing commits from git")?;
    let mut commits = Vec::with_capacity(ids.len());
    for id in &ids {
        commits.push(
            store
                .get_commit(id)
                .doing(&format!("reading commit {}", id.hex()))?,
        );
    }
    mutable
        .add_heads(&commits)
        .block_on()
        .doing("indexing commits from git")
}

/// Sets a bookmark, or deletes it.
pub(super) fn set_bookmark(
    mutable: &mut MutableRepo,
    name: &str,
    to: &Option<String>,
) -> Result<()> {
    mutable.set_local_bookmark_target(RefName::new(name), target(to)?);
    Ok(())
}

pub(super) fn target(to: &Option<String>) -> Result<RefTarget> {
    Ok(match to {
        Some(hex) => RefTarget::normal(super::to_jj(parse_id(hex)?)),
        None => RefTarget::absent(),
    })
}
