//! Python's specifications, owned for the time of one call, so that the GIL can be released.

use std::collections::BTreeMap;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use tatami_core::spec;

type Signed = (String, String, i64, i32);

/// A commit specification whose contents still belong to Python.
pub struct Commit {
    parents: Vec<String>,
    changes: Vec<(PyBackedStr, u32, Content)>,
    message: PyBackedStr,
    author: Signed,
    committer: Signed,
    base: Option<String>,
    change: Option<String>,
    predecessors: Vec<String>,
}

enum Content {
    Bytes(PyBackedBytes),
    Object(PyBackedStr),
    Deleted,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Content {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            Ok(Self::Deleted)
        } else if let Ok(bytes) = value.extract() {
            Ok(Self::Bytes(bytes))
        } else if let Ok(id) = value.extract() {
            Ok(Self::Object(id))
        } else {
            Err(PyTypeError::new_err(
                "content is bytes, an object id, or None",
            ))
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Commit {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self {
            parents: value.getattr("parents")?.extract()?,
            changes: value.getattr("changes")?.extract()?,
            message: value.getattr("message")?.extract()?,
            author: value.getattr("author")?.extract()?,
            committer: value.getattr("committer")?.extract()?,
            base: value.getattr("base")?.extract()?,
            change: value.getattr("change")?.extract()?,
            predecessors: value.getattr("predecessors")?.extract()?,
        })
    }
}

impl Commit {
    /// The specification as the core takes it.
    pub fn borrow(&self) -> spec::CommitSpec<'_> {
        let changes = self
            .changes
            .iter()
            .map(|(path, mode, content)| spec::Change {
                path,
                mode: *mode,
                content: match content {
                    Content::Bytes(bytes) => spec::Content::Bytes(bytes),
                    Content::Object(id) => spec::Content::Object(id),
                    Content::Deleted => spec::Content::Deleted,
                },
            });
        spec::CommitSpec {
            parents: self.parents.clone(),
            changes: changes.collect(),
            message: &self.message,
            author: signature(&self.author),
            committer: signature(&self.committer),
            base: self.base.clone(),
            change: self.change.clone(),
            predecessors: self.predecessors.clone(),
        }
    }
}

fn signature((name, email, seconds, offset_minutes): &Signed) -> spec::Signature {
    spec::Signature {
        name: name.clone(),
        email: email.clone(),
        seconds: *seconds,
        offset_minutes: *offset_minutes,
    }
}

/// An operation specification.
pub struct Op(pub spec::OpSpec);

impl<'a, 'py> FromPyObject<'a, 'py> for Op {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let map = |name: &str| value.getattr(name)?.extract::<BTreeMap<_, _>>();
        Ok(Self(spec::OpSpec {
            description: value.getattr("description")?.extract()?,
            attributes: value.getattr("attributes")?.extract()?,
            bookmarks: map("bookmarks")?,
            drop_heads: value.getattr("drop_heads")?.extract()?,
            foreign: value.getattr("foreign")?.extract()?,
            git_refs: map("git_refs")?,
        }))
    }
}
