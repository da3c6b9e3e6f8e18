//! The counters of every user of an account at one moment, for a reset.

use std::time::Duration;

use crate::account::UserId;
use crate::auth::TokenError;
use crate::counter::Reading;
use crate::transport::{BuildError, Error};

/// A fresh counter of every user of an account, in the order of their ids.
pub type Readings = Vec<(UserId, Reading)>;

/// Why not every user could be read.
#[derive(Debug, thiserror::Error)]
pub enum FullReadError {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The list of users cannot be read.
    #[error("the list of users cannot be read: {0}")]
    List(#[source] Error),
    /// The list of users is empty, so it does not say which counters exist.
    #[error("the list of users is empty, so it is unknown which counters would be cleared")]
    Empty,
    /// The list of users has rows that cannot be read, so it does not say which counters exist.
    #[error("the list of users has rows that cannot be read: {0}")]
    Rows(String),
    /// A user on the list has an invalid id.
    #[error("the list has a user with an invalid id")]
    Id,
    /// A user could not be read.
    #[error("user {user}: {error}")]
    User {
        /// The user.
        user: UserId,
        /// The error.
        error: Error,
    },
    /// It takes too long to be a reading of one moment.
    #[error("not every user could be read within {0:?}")]
    Slow(Duration),
    /// The request could not be prepared.
    #[error(transparent)]
    Client(BuildError),
    /// The poller is to stop.
    #[error("the poller is to stop")]
    Stopped,
}
