//! Commits by name, by ancestry, in order.

use futures::StreamExt as _;
use gix::ObjectId;
use jj_lib::backend::CommitId;
use jj_lib::object_id::{HexPrefix, ObjectId as _, PrefixResolution};
use jj_lib::ref_name::RefName;
use jj_lib::repo::Repo as _;
use jj_lib::revset::ResolvedRevsetExpression;
use pollster::FutureExt as _;

use crate::commit::{self, Commit};
use crate::error::{Code, Doing, Error, Result};
use crate::jj::{Core, commit_ids, not_found, to_git, to_jj};
use crate::objects::parse_id;

const PREFIX_CHARS_MIN: usize = 4;
const FULL_HEX: usize = 40;

impl Core {
    pub fn commit(&mut self, hex: &str) -> Result<Commit> {
        commit::read(&mut self.objects, parse_id(hex)?)
    }

    /// Ancestors of `heads` that are not ancestors of `exclude`, children before parents.
    pub fn log(
        &mut self,
        heads: &[String],
        exclude: &[String],
        limit: Option<usize>,
    ) -> Result<Vec<Commit>> {
        let (heads, exclude) = (commit_ids(heads)?, commit_ids(exclude)?);
        self.require_known(heads.iter().chain(&exclude))?;
        let ids = self.range(heads, exclude, limit)?;
        ids.iter()
            .map(|id| commit::read(&mut self.objects, *id))
            .collect()
    }

    /// The ids of such a range; jj's root commit, which git does not have, is left out.
    pub(super) fn range(
        &self,
        heads: Vec<CommitId>,
        exclude: Vec<CommitId>,
        limit: Option<usize>,
    ) -> Result<Vec<ObjectId>> {
        let root = self.repo.store().root_commit_id().clone();
        let wanted = ResolvedRevsetExpression::commits(exclude)
            .range(&ResolvedRevsetExpression::commits(heads));
        let evaluated = wanted
            .evaluate(self.repo.as_ref())
            .doing("walking the history")?;
        let mut stream = evaluated.stream();
        let mut found = Vec::new();
        while limit.is_none_or(|limit| found.len() < limit) {
            let Some(id) = stream.next().block_on() else {
                break;
            };
            let id = id.doing("walking the history")?;
            if id != root {
                found.push(to_git(&id));
            }
        }
        Ok(found)
    }

    /// Whether the operation log knows this commit, visible or hidden.
    pub fn knows(&self, hex: &str) -> Result<bool> {
        self.has(&to_jj(parse_id(hex)?))
    }

    fn has(&self, id: &CommitId) -> Result<bool> {
        self.repo
            .index()
            .has_id(id)
            .block_on()
            .doing("looking up a commit")
    }

    fn require_known<'a>(&self, ids: impl Iterator<Item = &'a CommitId>) -> Result<()> {
        for id in ids {
            if !self.has(id)? {
                let what = format!("the operation log does not know commit {}", id.hex());
                return Err(Error::new(Code::NotFound, what));
            }
        }
        Ok(())
    }

    pub fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool> {
        let ids = [to_jj(parse_id(ancestor)?), to_jj(parse_id(descendant)?)];
        self.require_known(ids.iter())?;
        let index = self.repo.index();
        index
            .is_ancestor(&ids[0], &ids[1])
            .block_on()
            .doing("comparing commits")
    }

    pub fn merge_bases(&self, a: &str, b: &str) -> Result<Vec<String>> {
        let ids = [to_jj(parse_id(a)?), to_jj(parse_id(b)?)];
        self.require_known(ids.iter())?;
        let common = self.repo.index().common_ancestors(&ids[..1], &ids[1..]);
        let common = common.block_on().doing("finding the common ancestors")?;
        let root = self.repo.store().root_commit_id();
        Ok(common
            .iter()
            .filter(|id| *id != root)
            .map(|id| id.hex())
            .collect())
    }

    /// The commit a bookmark, a full or shortened commit or change id, or a git ref names.
    pub fn resolve(&mut self, name: &str) -> Result<String> {
        let bookmark = self.repo.view().get_local_bookmark(RefName::new(name));
        if let Some(id) = bookmark.as_normal() {
            return Ok(id.hex());
        }
        if bookmark.has_conflict() {
            let what = format!("bookmark {name:?} was moved two ways");
            return Err(Error::new(Code::Conflicted, what));
        }
        if let Some(found) = self.resolve_git(name)? {
            return Ok(found);
        }
        // jj's root commit answers to a row of z; git has no such commit.
        let root = self.repo.store().root_commit_id().hex();
        if let Some(found) = self.resolve_prefix(name)?.filter(|found| *found != root) {
            return Ok(found);
        }
        Err(not_found(name))
    }

    fn resolve_git(&mut self, name: &str) -> Result<Option<String>> {
        if name.len() == FULL_HEX
            && let Ok(id) = parse_id(name)
        {
            let is_commit = matches!(self.objects.find(id)?, Some((gix::objs::Kind::Commit, _)));
            return if is_commit {
                Ok(Some(name.to_owned()))
            } else {
                Err(not_found(name))
            };
        }
        // What git would not accept as a ref's name is simply not a ref.
        let Ok(Some(mut found)) = self.objects.git().try_find_reference(name) else {
            return Ok(None);
        };
        let peeled = found
            .peel_to_id()
            .doing(&format!("following ref {name:?}"))?
            .detach();
        self.objects.commit(peeled)?;
        Ok(Some(peeled.to_string()))
    }

    fn resolve_prefix(&self, name: &str) -> Result<Option<String>> {
        if name.len() < PREFIX_CHARS_MIN {
            return Ok(None);
        }
        let ambiguous = || {
            let what = format!("several commits begin with {name:?}");
            Err(Error::new(Code::Ambiguous, what))
        };
        if let Some(prefix) = HexPrefix::try_from_hex(name) {
            let index = self.repo.index();
            return match index
                .resolve_commit_id_prefix(&prefix)
                .block_on()
                .doing("finding a commit")?
            {
                PrefixResolution::SingleMatch(id) => Ok(Some(id.hex())),
                PrefixResolution::NoMatch => Ok(None),
                PrefixResolution::AmbiguousMatch => ambiguous(),
            };
        }
        let Some(prefix) = HexPrefix::try_from_reverse_hex(name) else {
            return Ok(None);
        };
        let found = self.repo.resolve_change_id_prefix(&prefix).block_on();
        match found.doing("finding a change")? {
            PrefixResolution::NoMatch => Ok(None),
            PrefixResolution::AmbiguousMatch => ambiguous(),
            PrefixResolution::SingleMatch(targets) => {
                match targets.into_visible().unwrap_or_default().as_slice() {
                    [] => Ok(None),
                    [id] => Ok(Some(id.hex())),
                    _ => ambiguous(),
                }
            }
        }
    }
}
