//! Why a command did not do all of it: one line, and whose fault it is.

use std::fmt::Display;
use std::path::Path;

use thiserror::Error;

/// What the exit code says of a failure.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The command line or a file that it names can't be used: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// What was to be proved, isn't; what was to be fetched, didn't come: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// What was asked for didn't come about.
    pub(crate) fn failed(reason: impl Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// A file that the caller named can't be used.
    pub(crate) fn file(path: &Path, reason: impl Display) -> Self {
        Self::Usage(format!("{}: {reason}", path.display()))
    }

    /// See the module of the command.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}
