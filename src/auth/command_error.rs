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
#[error("token_command {program} {problem}")]
pub struct TokenCommandError {
    /// The first word.
    pub program: String,
    /// What went wrong.
    pub problem: CommandProblem,
}

/// What went wrong with a command.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandProblem {
    /// The operating system does not run it.
    #[error("cannot be run: {0}")]
    NotRun(Arc<io::Error>),
    /// It was stopped because it took too long.
    #[error("took longer than {} s and was killed", TIME_LIMIT.as_secs())]
    TimedOut,
    /// It was stopped because it printed too much.
    #[error("printed more than {} KiB and was killed", OUTPUT_MAX >> 10)]
    TooLong,
    /// It was not run, because a process of the last attempt is still there: this one, where it is known.
    #[error(
        "is not run again while {} that it has started is still there; end it, and let the program wait for \
         its children",
        .0.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"))
    )]
    StillRunning(Option<u32>),
    /// It says that it failed. The line is the first that it printed to standard error, cut and cleaned; it
    /// may be empty.
    #[error("failed, {0}{separator}{1}", separator = if .1.is_empty() { "" } else { ": " })]
    Failed(ExitStatus, String),
    /// It printed something else.
    #[error(
        "printed no {{\"access_token\": \"…\", \"expires_in\": 3600}} on standard output; expires_in may be \
         missing"
    )]
    Malformed,
}

impl From<io::Error> for CommandProblem {
    fn from(error: io::Error) -> Self {
        Self::NotRun(Arc::new(error))
    }
}
