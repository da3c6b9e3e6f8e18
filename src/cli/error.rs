//! Why a command ends without having done what it was asked, and the exit code that stands for it.

use std::fmt::Display;

/// Why the program ends without having done what it was asked.
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
