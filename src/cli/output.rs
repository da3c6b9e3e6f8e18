//! What a command leaves: lines on standard output or standard error, and why it failed.

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

/// Prints a line; there is no place left to report a failure to.
pub(crate) fn print_line(mut stream: impl std::io::Write, line: &str) {
    let _ = writeln!(stream, "{line}");
}
