//! Why a command failed.

use std::fmt::Display;

use crate::transport::BuildError;

/// Why a command failed, in words; `main` turns it into an exit code.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub enum CommandError {
    /// Bad usage or bad configuration; nothing was started.
    Usage(String),
    /// Anything that went wrong at run time.
    Runtime(String),
}

impl CommandError {
    /// Bad usage or bad configuration.
    pub fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// Anything that went wrong at run time.
    pub fn runtime(error: impl Display) -> Self {
        Self::Runtime(error.to_string())
    }
}

impl From<BuildError> for CommandError {
    fn from(error: BuildError) -> Self {
        Self::runtime(error)
    }
}
