//! What can go wrong: a code that Python maps one to one, and words that name the thing.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use jj_lib::backend::BackendError;
use jj_lib::op_store::OpStoreError;

/// The kind of a failure; each has its own Python code, so a new one has to be mapped there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    NotFound,
    Ambiguous,
    BadPath,
    BadInput,
    /// A file that no checkout can hold.
    BadContent,
    Stale,
    Busy,
    Conflicted,
    Git,
    Corrupt,
    Unsupported,
    NoSpace,
    Permission,
    Io,
    /// A sync failed: what was written may be gone, and only starting anew tells.
    SyncFailed,
}

/// A failure: its code and one line that says what was being done to what.
#[derive(Debug)]
pub struct Error {
    pub code: Code,
    pub message: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Wraps a library's error with what was being done; its whole chain of causes is kept.
    pub fn caused(doing: &str, cause: &(dyn StdError + 'static)) -> Self {
        let mut message = format!("{doing}: {cause}");
        let mut code = code_of(cause);
        let mut next = cause.source();
        while let Some(inner) = next {
            message.push_str(&format!(": {inner}"));
            code = code.or_else(|| code_of(inner));
            next = inner.source();
        }
        Self::new(code.unwrap_or(Code::Io), message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

/// Adds what was being done to a library's error.
pub trait Doing<T> {
    fn doing(self, what: &str) -> Result<T>;
}

impl<T, E: StdError + 'static> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|error| Error::caused(what, &error))
    }
}

fn code_of(error: &(dyn StdError + 'static)) -> Option<Code> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return code_of_io(error);
    }
    if let Some(error) = error.downcast_ref::<BackendError>() {
        return match error {
            BackendError::ObjectNotFound { .. } | BackendError::ReadObject { .. } => {
                Some(Code::Corrupt)
            }
            _ => None,
        };
    }
    match error.downcast_ref::<OpStoreError>() {
        Some(OpStoreError::ObjectNotFound { .. } | OpStoreError::ReadObject { .. }) => {
            Some(Code::Corrupt)
        }
        _ => None,
    }
}

fn code_of_io(error: &io::Error) -> Option<Code> {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Some(Code::NoSpace),
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => Some(Code::Permission),
        // An error made by a library wraps the real one; its cause decides.
        None if error.get_ref().is_some() => None,
        _ => Some(Code::Io),
    }
}
