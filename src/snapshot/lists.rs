//! How reading an account's lists went, and which of their rows are not polled.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stamp;

/// One of the account's lists, and how reading it went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListStatus {
    /// Since when it is wanted; `None` if it is not.
    pub wanted_since: Option<Stamp>,
    /// When it was last read with success.
    pub read: Option<Stamp>,
    /// What went wrong at the last attempt, in words; `None` if it succeeded.
    pub problem: Option<Arc<str>>,
    /// Which rows of the last good list could not be read, in words; `None` if all could.
    pub unreadable: Option<Arc<str>>,
}

/// How many rows of an account's list of users are not polled, by the label `reason` of
/// `wazzup_account_users_skipped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SkippedUsers {
    /// Their id cannot be one: too long, or with a control character in it.
    pub invalid_id: usize,
    /// Nothing can be made of the row.
    pub unreadable: usize,
    /// They are more than `discover_users.max_users`.
    pub over_max_users: usize,
    /// `discover_users` leaves them out.
    pub excluded: usize,
}

impl ListStatus {
    /// A list that is wanted from `now` on, or not at all.
    pub fn new(wanted: bool, now: Stamp) -> Self {
        Self { wanted_since: wanted.then_some(now), ..Self::default() }
    }

    /// Whether the list is wanted and not known: the first attempt failed, or none has succeeded for
    /// `good_for`.
    pub fn is_not_known(&self, good_for: Duration, now: Stamp) -> bool {
        let Some(wanted_since) = self.wanted_since else { return false };
        let first_failed = self.read.is_none() && self.problem.is_some();
        first_failed || self.read.unwrap_or(wanted_since).age(now) >= good_for
    }

    /// Whether the last attempt succeeded and is younger than `good_for`; `None` if the list is not
    /// wanted.
    pub fn up(&self, good_for: Duration, now: Stamp) -> Option<bool> {
        let wanted = self.wanted_since.is_some();
        let fresh = self.read.is_some_and(|at| at.age(now) < good_for);
        wanted.then_some(fresh && self.problem.is_none())
    }
}

impl SkippedUsers {
    /// The values of the label `reason`, each with its number.
    pub fn by_reason(self) -> [(&'static str, usize); 4] {
        [
            ("invalid_id", self.invalid_id),
            ("unreadable", self.unreadable),
            ("over_max_users", self.over_max_users),
            ("excluded", self.excluded),
        ]
    }
}
