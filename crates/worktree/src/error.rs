//! What can go wrong, each with a message that names the thing and what was being done.

use std::fmt::Display;
use std::io;

use rustix::io::Errno;

/// An error; the message is complete on its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A repository, object, file or ref that is not there.
    #[error("{0}")]
    NotFound(String),
    /// A path that the policy of [`crate::path`] refuses.
    #[error("{0}")]
    BadPath(String),
    /// An argument or a state of the repository that the caller has to change first.
    #[error("{0}")]
    BadInput(String),
    /// A file, or all files together, over a limit of one commit.
    #[error("{0}")]
    TooLarge(String),
    /// More files than one commit takes.
    #[error("{0}")]
    TooMany(String),
    /// Somebody else holds a lock or is writing; trying again can help.
    #[error("{0}")]
    Busy(String),
    /// An object or an index that contradicts itself.
    #[error("{0}")]
    Corrupt(String),
    /// A feature of git that is not supported here.
    #[error("{0}")]
    Unsupported(String),
    /// The file system or the quota is full.
    #[error("{0}")]
    NoSpace(String),
    /// The file system does not permit it.
    #[error("{0}")]
    Permission(String),
    /// Any other failure of the file system.
    #[error("{0}")]
    Io(String),
    /// Any other failure inside the git library.
    #[error("{0}")]
    Git(String),
}

impl Error {
    /// Classifies a failed system call; `doing` completes "could not ...".
    pub fn io(doing: impl Display, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let message = format!("could not {doing}: {error}");
        match Errno::from_io_error(&error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace(message),
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Self::Permission(message),
            Some(Errno::NOENT) => Self::NotFound(message),
            Some(_) => Self::Io(message),
            None => match error.kind() {
                io::ErrorKind::NotFound => Self::NotFound(message),
                io::ErrorKind::PermissionDenied => Self::Permission(message),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(message),
                _ => Self::Io(message),
            },
        }
    }

    /// Wraps an error of the git library with its whole chain of causes.
    pub fn git(doing: impl Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Git(format!("could not {doing}: {}", chain(error)))
    }
}

/// An error's message followed by those of its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
