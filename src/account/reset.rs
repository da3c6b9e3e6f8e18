//! Whether an account's counters may be cleared, and within which bounds.

use std::path::PathBuf;
use std::time::Duration;

use super::shown;

/// Fewest characters of a reset token.
pub const RESET_TOKEN_MIN: usize = 32;

/// The bounds within which a holder of the token may clear an account's counters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reset {
    /// Time between two resets.
    #[serde(serialize_with = "shown::duration")]
    pub cooldown: Duration,
    /// Unanswered messages above which the caller has to name their number.
    pub max_unanswered: u64,
    /// A file holding only the token; read again when it changes.
    #[serde(serialize_with = "shown::path")]
    pub token_file: PathBuf,
}
