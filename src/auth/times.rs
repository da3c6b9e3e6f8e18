//! When a token was renewed, and when a person has to act.

use std::time::Duration;

/// What is known of an account's token, apart from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenTimes {
    /// When reading ends unless a person acts, in unix time; `None` where that is unknown, or where
    /// a new token can always be had.
    pub expiry: Option<Duration>,
    /// When the token was last renewed, in unix time.
    pub last_refresh: Option<Duration>,
}
