//! Why a command failed, and its exit code.

use std::fmt::Display;

/// Why a command failed.
pub(crate) enum CommandError {
    /// Bad usage or bad configuration; nothing was started.
    Usage(String),
    /// Anything that went wrong at run time.
    Runtime(String),
}

impl CommandError {
    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }

    pub(crate) fn runtime(error: impl Display) -> Self {
        Self::Runtime(error.to_string())
    }
}
