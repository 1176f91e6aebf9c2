//! The operation log.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use jj_lib::object_id::{HexPrefix, ObjectId as _, PrefixResolution};
use jj_lib::op_store::OperationId;
use jj_lib::op_walk;
use jj_lib::operation::Operation as JjOperation;
use jj_lib::repo::Repo as _;
use pollster::FutureExt as _;

use crate::error::{Code, Doing, Error, Result};
use crate::jj::Core;

/// An operation as Python sees it.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub parents: Vec<String>,
    pub description: String,
    pub attributes: BTreeMap<String, String>,
    pub start_ms: i64,
    pub end_ms: i64,
    pub user: String,
    pub hostname: String,
    pub snapshot: bool,
}

impl Operation {
    fn read(op: &JjOperation) -> Self {
        let metadata = op.metadata();
        Self {
            id: op.id().hex(),
            parents: op.parent_ids().iter().map(|id| id.hex()).collect(),
            description: metadata.description.clone(),
            attributes: metadata.attributes.clone(),
            start_ms: metadata.time.start.timestamp.0,
            end_ms: metadata.time.end.timestamp.0,
            user: metadata.username.clone(),
            hostname: metadata.hostname.clone(),
            snapshot: metadata.is_snapshot,
        }
    }
}

impl Core {
    /// Operations from `starts` (the current one when there are none) backwards, newest first.
    pub fn operations(&self, limit: Option<usize>, starts: &[String]) -> Result<Vec<Operation>> {
        let mut from = Vec::with_capacity(starts.len());
        for op in starts {
            from.push(self.operation(op)?);
        }
        if from.is_empty() {
            from.push(self.repo.operation().clone());
        }
        let mut walk = std::pin::pin!(op_walk::walk_ancestors(&from));
        let mut found = Vec::new();
        while limit.is_none_or(|limit| found.len() < limit) {
            match walk
                .try_next()
                .block_on()
                .doing("reading the operation log")?
            {
                Some(op) => found.push(Operation::read(&op)),
                None => break,
            }
        }
        Ok(found)
    }

    /// The operation a hex id, or a unique beginning of one, names.
    pub(super) fn operation(&self, name: &str) -> Result<JjOperation> {
        let bad = || Error::new(Code::BadInput, format!("{name:?} is not an operation id"));
        let prefix = HexPrefix::try_from_hex(name).ok_or_else(bad)?;
        let store = self.repo.op_store();
        let id: OperationId = match store
            .resolve_operation_id_prefix(&prefix)
            .block_on()
            .doing("finding an operation")?
        {
            PrefixResolution::SingleMatch(id) => id,
            PrefixResolution::NoMatch => {
                let what = format!("no operation begins with {name:?}");
                return Err(Error::new(Code::NotFound, what));
            }
            PrefixResolution::AmbiguousMatch => {
                let what = format!("several operations begin with {name:?}");
                return Err(Error::new(Code::Ambiguous, what));
            }
        };
        self.repo
            .loader()
            .load_operation(&id)
            .block_on()
            .doing("reading an operation")
    }
}
