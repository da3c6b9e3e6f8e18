//! Why a `token_command` gave no token, and the limits that it was held to.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

/// How long a command may take.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How much it may print; a JWT has about a thousand bytes.
pub(super) const OUTPUT_MAX: u64 = 64 * 1024;

/// Why a command gave no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// It cannot be run.
    #[error("cannot run token_command {program}: {source}")]
    NotRun {
        /// The first word.
        program: String,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// It was stopped because it took too long.
    #[error("token_command {program} took longer than {} s and was killed", TIME_LIMIT.as_secs())]
    TimedOut {
        /// The first word.
        program: String,
    },
    /// It was stopped because it printed too much.
    #[error("token_command {program} printed more than {} KiB and was killed", OUTPUT_MAX >> 10)]
    TooLong {
        /// The first word.
        program: String,
    },
    /// It was not run, because a process of the last attempt is still there.
    #[error(
        "token_command {program} is not run again while {} that it has started is still there; end it, and \
         let the program wait for its children",
        pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"))
    )]
    StillRunning {
        /// The first word.
        program: String,
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// It says that it failed.
    #[error("token_command {program} failed, {status}{}{error_line}", if error_line.is_empty() { "" } else { ": " })]
    Failed {
        /// The first word.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The first line that it printed to standard error, cut and cleaned; may be empty.
        error_line: String,
    },
    /// It printed something else.
    #[error(
        "token_command {program} printed no {{\"access_token\": \"…\", \"expires_in\": 3600}} \
         on standard output; expires_in may be missing"
    )]
    Malformed {
        /// The first word.
        program: String,
    },
}
