//! What the core is asked to build: plain values, as Python hands them in.

use std::collections::BTreeMap;

/// Name, e-mail, seconds since the epoch, minutes east of UTC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    pub name: String,
    pub email: String,
    pub seconds: i64,
    pub offset_minutes: i32,
}

/// New content of a path.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Bytes(&'a [u8]),
    /// The id of an object that git has already.
    Object(&'a str),
    Deleted,
}

/// One changed path of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub path: &'a str,
    pub mode: u32,
    pub content: Content<'a>,
}

/// A commit to build. A parent is a commit id, or "@N": the N-th commit of the same call.
#[derive(Clone, Debug)]
pub struct CommitSpec<'a> {
    pub parents: Vec<String>,
    pub changes: Vec<Change<'a>>,
    pub message: &'a str,
    pub author: Signature,
    pub committer: Signature,
    /// The commit or tree that `changes` apply to; the first parent when absent.
    pub base: Option<String>,
    /// A change id to keep; a fresh one when absent.
    pub change: Option<String>,
    pub predecessors: Vec<String>,
}

/// What one operation does to the view besides adding its batch's commits.
#[derive(Clone, Debug, Default)]
pub struct OpSpec {
    pub description: String,
    pub attributes: BTreeMap<String, String>,
    pub bookmarks: BTreeMap<String, Option<String>>,
    pub drop_heads: Vec<String>,
    /// Commits written by plain git that become known with this operation.
    pub foreign: Vec<String>,
    pub git_refs: BTreeMap<String, Option<String>>,
}
