//! One place where every failure becomes a Python exception.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use tatami_core::error::{Code, Error as CoreFailure};
use tatami_worktree::Error as WorktreeFailure;

create_exception!(tatami._core, CoreError, PyException);

/// A failure of any crate below, ready to be raised.
pub struct Failure {
    code: &'static str,
    message: String,
}

impl From<CoreFailure> for Failure {
    fn from(error: CoreFailure) -> Self {
        let code = match error.code {
            Code::NotFound => "not_found",
            Code::Ambiguous => "ambiguous",
            Code::BadPath => "bad_path",
            Code::BadInput => "bad_input",
            Code::BadContent => "bad_content",
            Code::Stale => "stale",
            Code::Busy => "busy",
            Code::Conflicted => "conflicted",
            Code::Git => "git",
            Code::Corrupt => "corrupt",
            Code::Unsupported => "unsupported",
            Code::NoSpace => "no_space",
            Code::Permission => "permission",
            Code::Io => "io",
            Code::SyncFailed => "sync_failed",
        };
        Self {
            code,
            message: error.message,
        }
    }
}

impl From<WorktreeFailure> for Failure {
    fn from(error: WorktreeFailure) -> Self {
        let code = match error {
            WorktreeFailure::NotFound(_) => "not_found",
            WorktreeFailure::BadPath(_) => "bad_path",
            WorktreeFailure::BadInput(_) => "bad_input",
            WorktreeFailure::TooLarge(_) => "file_too_large",
            WorktreeFailure::TooMany(_) => "too_many_paths",
            WorktreeFailure::Busy(_) => "busy",
            WorktreeFailure::Corrupt(_) => "corrupt",
            WorktreeFailure::Unsupported(_) => "unsupported",
            WorktreeFailure::NoSpace(_) => "no_space",
            WorktreeFailure::Permission(_) => "permission",
            WorktreeFailure::Io(_) => "io",
            WorktreeFailure::Git(_) => "git",
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

/// Trying again can help: somebody else was at it, or a resource was short.
fn is_retryable(code: &str) -> bool {
    matches!(code, "stale" | "busy" | "no_space")
}

/// Runs a call without the GIL; a panic becomes an error like any other.
pub fn run<T: Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, Failure> + Send,
) -> PyResult<T> {
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(call)));
    let failure = match done {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(failure)) => failure,
        Err(panic) => Failure {
            code: "panic",
            message: panic_message(panic.as_ref()),
        },
    };
    let error = CoreError::new_err(failure.message);
    let value = error.value(py);
    value.setattr("code", failure.code)?;
    value.setattr("retryable", is_retryable(failure.code))?;
    Err(error)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the core panicked: {}", text.unwrap_or_default())
}
