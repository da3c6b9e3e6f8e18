//! The counters of every user of an account at one moment, for a reset.

use std::time::Duration;

use crate::account::UserId;
use crate::api::ListError;
use crate::auth::TokenError;
use crate::counter::{CounterType, Reading};
use crate::transport::{BuildError, Error};

/// A fresh counter of every user of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readings {
    /// Every user, in the order of their ids, with the counter.
    pub users: Vec<(UserId, Reading)>,
}

/// Why not every user could be read.
#[derive(Debug, thiserror::Error)]
pub enum FullReadError {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The list of users cannot be read.
    #[error("the list of users cannot be read: {0}")]
    List(#[source] ListError),
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

impl Readings {
    /// Unanswered messages of users' own customers.
    pub fn red(&self) -> u64 {
        self.sum(CounterType::Red)
    }

    /// Unanswered messages of customers that users only look on.
    pub fn grey(&self) -> u64 {
        self.sum(CounterType::Grey)
    }

    /// Unanswered messages of an unknown type.
    pub fn other(&self) -> u64 {
        self.sum(CounterType::Other)
    }

    /// All of them: an upper bound, because one message may count for several users.
    pub fn total(&self) -> u64 {
        let counts = self.users.iter().map(|(_, reading)| reading.count);
        counts.fold(0, u64::saturating_add)
    }

    fn sum(&self, kind: CounterType) -> u64 {
        let users = self.users.iter().filter(|(_, reading)| reading.kind == kind);
        users.fold(0, |sum: u64, (_, reading)| sum.saturating_add(reading.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_of_every_kind() {
        let user = |id: &str, count, kind| {
            let reading = Reading { count, kind, server_time: None, last_message: None };
            (UserId::parse(id).unwrap(), reading)
        };
        let users = vec![
            user("1", 5, CounterType::Red),
            user("2", 7, CounterType::Grey),
            user("3", 11, CounterType::Other),
            user("4", 2, CounterType::Red),
        ];
        let readings = Readings { users };
        assert_eq!((readings.red(), readings.grey(), readings.other()), (7, 7, 11));
        assert_eq!(readings.total(), 25);
    }
}
