//! Plain values handed to Python.

use pyo3::prelude::*;
use std::collections::BTreeMap;

use tatami_core::diff::{self, Side};
use tatami_core::{commit, jj, prepare, spec};

type Signed = (String, String, i64, i32);
type Changed = (String, u32, Option<String>);

fn signed(signature: spec::Signature) -> Signed {
    (
        signature.name,
        signature.email,
        signature.seconds,
        signature.offset_minutes,
    )
}

fn side(side: Side) -> (u32, String) {
    side.map_or((0, String::new()), |(mode, id)| (mode, id.to_string()))
}

macro_rules! value {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[pyclass(frozen, get_all, module = "tatami._core")]
        pub struct $name { $(pub $field: $kind),* }
    };
}

value!(Prepared {
    commit: String,
    change: String,
    tree: String
});
value!(Refreshed {
    op: String,
    changed: bool,
    merged: bool
});
value!(TreeEntry {
    path: String,
    mode: u32,
    id: String
});
value!(Problem {
    invariant: String,
    place: String,
    what: String
});
value!(TreeMerge { changes: Vec<Changed>, conflicts: Vec<Py<PathConflict>> });
value!(FileDiff {
    path: String,
    old_mode: u32,
    old_id: String,
    new_mode: u32,
    new_id: String,
});
value!(PathConflict {
    path: String,
    base_mode: u32,
    base_id: String,
    ours_mode: u32,
    ours_id: String,
    theirs_mode: u32,
    theirs_id: String,
});
value!(OpResult {
    op: String,
    write_us: u64,
    barrier1_us: u64,
    swap_us: u64,
    barrier2_us: u64,
});
value!(Commit {
    id: String,
    change: String,
    parents: Vec<String>,
    tree: String,
    message: String,
    author: Signed,
    committer: Signed,
    conflict: bool,
});
value!(Operation {
    id: String,
    parents: Vec<String>,
    description: String,
    attributes: BTreeMap<String, String>,
    start_ms: i64,
    end_ms: i64,
    user: String,
    hostname: String,
    snapshot: bool,
});
value!(ViewOf {
    heads: Vec<String>,
    bookmarks: BTreeMap<String, Option<String>>,
    git_refs: BTreeMap<String, Option<String>>,
});
value!(Verified {
    operations: usize,
    views: usize,
    commits: usize,
    trees: usize,
    blobs: usize,
    problems: Vec<Py<Problem>>,
});

impl From<&prepare::Prepared> for Prepared {
    fn from(one: &prepare::Prepared) -> Self {
        Self {
            commit: one.commit.to_string(),
            change: one.change_text(),
            tree: one.tree.to_string(),
        }
    }
}

impl From<jj::Refreshed> for Refreshed {
    fn from(found: jj::Refreshed) -> Self {
        Self {
            op: found.op,
            changed: found.changed,
            merged: found.merged,
        }
    }
}

impl From<diff::TreeEntry> for TreeEntry {
    fn from(entry: diff::TreeEntry) -> Self {
        Self {
            path: entry.path,
            mode: entry.mode,
            id: entry.id.to_string(),
        }
    }
}

impl From<diff::FileDiff> for FileDiff {
    fn from(one: diff::FileDiff) -> Self {
        let ((old_mode, old_id), (new_mode, new_id)) = (side(one.old), side(one.new));
        Self {
            path: one.path,
            old_mode,
            old_id,
            new_mode,
            new_id,
        }
    }
}

impl From<diff::PathConflict> for PathConflict {
    fn from(one: diff::PathConflict) -> Self {
        let (base_mode, base_id) = side(one.base);
        let (ours_mode, ours_id) = side(one.ours);
        let (theirs_mode, theirs_id) = side(one.theirs);
        let path = one.path;
        Self {
            path,
            base_mode,
            base_id,
            ours_mode,
            ours_id,
            theirs_mode,
            theirs_id,
        }
    }
}

impl TreeMerge {
    pub fn new(py: Python<'_>, merged: diff::TreeMerge) -> PyResult<Self> {
        let change = |(path, new): (String, Side)| match new {
            Some((mode, id)) => (path, mode, Some(id.to_string())),
            None => (path, 0, None),
        };
        let conflicts = merged
            .conflicts
            .into_iter()
            .map(|one| Py::new(py, PathConflict::from(one)));
        Ok(Self {
            changes: merged.changes.into_iter().map(change).collect(),
            conflicts: conflicts.collect::<PyResult<_>>()?,
        })
    }
}

impl From<jj::OpResult> for OpResult {
    fn from(result: jj::OpResult) -> Self {
        Self {
            op: result.op,
            write_us: result.write_us,
            barrier1_us: result.barrier1_us,
            swap_us: result.swap_us,
            barrier2_us: result.barrier2_us,
        }
    }
}

impl From<commit::Commit> for Commit {
    fn from(one: commit::Commit) -> Self {
        Self {
            id: one.id.to_string(),
            change: one.change,
            parents: one.parents.iter().map(ToString::to_string).collect(),
            tree: one.tree.to_string(),
            message: one.message,
            author: signed(one.author),
            committer: signed(one.committer),
            conflict: one.conflict,
        }
    }
}

impl From<jj::Operation> for Operation {
    fn from(op: jj::Operation) -> Self {
        Self {
            id: op.id,
            parents: op.parents,
            description: op.description,
            attributes: op.attributes,
            start_ms: op.start_ms,
            end_ms: op.end_ms,
            user: op.user,
            hostname: op.hostname,
            snapshot: op.snapshot,
        }
    }
}

impl From<jj::ViewOf> for ViewOf {
    fn from(view: jj::ViewOf) -> Self {
        Self {
            heads: view.heads,
            bookmarks: view.bookmarks.into_iter().collect(),
            git_refs: view.git_refs.into_iter().collect(),
        }
    }
}

impl Verified {
    pub fn new(py: Python<'_>, found: jj::Verified) -> PyResult<Self> {
        let problem = |one: jj::Problem| {
            let invariant = one.invariant.to_owned();
            Py::new(
                py,
                Problem {
                    invariant,
                    place: one.place,
                    what: one.what,
                },
            )
        };
        Ok(Self {
            operations: found.operations,
            views: found.views,
            commits: found.commits,
            trees: found.trees,
            blobs: found.blobs,
            problems: found
                .problems
                .into_iter()
                .map(problem)
                .collect::<PyResult<_>>()?,
        })
    }
}
