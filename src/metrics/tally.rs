//! The counters of one account, and the closed lists of their label values.

use std::sync::Mutex;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use super::labels::{closed_lists, count};
use super::resets::ResetValues;
use crate::blocking::lock;

/// A place of the upstream API: the label `endpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Endpoint {
    /// A user's counter of unanswered messages.
    Counter,
    /// The list of users.
    Users,
    /// The list of channels.
    Channels,
    /// The settings, which hold the users' roles.
    Settings,
    /// The token endpoint.
    Token,
    /// Clearing the counters of all chats.
    Reset,
    /// The list of webhooks; only `doctor` looks at it.
    Webhooks,
}

/// How a request to upstream ended: the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// A well-formed response.
    Ok,
    /// 401: no token, or one that is wrong, expired or revoked.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden,
    /// 404: no such user.
    NotFound,
    /// 429: too many requests.
    RateLimited,
    /// Any other status that says the request was at fault, redirects included.
    ClientError,
    /// 5xx.
    ServerError,
    /// No complete response within the time limit.
    Timeout,
    /// No connection, or one that broke before the response began.
    Connect,
    /// A response that is cut off, too large or not what the API documents.
    Malformed,
}

/// How a sweep over all users of an account ended: the label `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SweepResult {
    /// Every user was read.
    Ok,
    /// Some users were read.
    Partial,
    /// No user was read.
    Failed,
}

/// The counters of one account, since its start. Every label combination exists from 0, so that a
/// first increase is seen by `increase()`.
#[derive(Debug, Default)]
pub struct Tally(Mutex<TallyValues>);

/// The values of a [`Tally`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TallyValues {
    /// Requests by what was asked for and how it ended, in the order of [`Endpoint::ALL`] and
    /// [`Outcome::ALL`].
    pub requests: [[u64; Outcome::ALL.len()]; Endpoint::ALL.len()],
    /// New tokens, and attempts to get one that failed.
    pub token_refreshes: [u64; 2],
    /// Sweeps, in the order of [`SweepResult::ALL`].
    pub sweeps: [u64; SweepResult::ALL.len()],
    /// Sweeps that outlasted their interval.
    pub overruns: u64,
    /// Restarts of the account's poller after it died or got stuck.
    pub restarts: u64,
    /// Time for which requests were held back by the limit.
    pub rate_limit_wait: Duration,
    /// Of the account's resets.
    pub resets: ResetValues,
}

closed_lists!(Endpoint, Outcome, SweepResult);

impl Tally {
    /// Counts one request.
    pub fn request(&self, endpoint: Endpoint, outcome: Outcome) {
        if let Some(outcomes) = lock(&self.0).requests.get_mut(endpoint as usize) {
            count(outcomes, outcome as usize);
        }
    }

    /// Counts one attempt to get a new token.
    pub fn token_refresh(&self, ok: bool) {
        count(&mut lock(&self.0).token_refreshes, usize::from(!ok));
    }

    /// Counts one sweep.
    pub fn sweep(&self, result: SweepResult) {
        count(&mut lock(&self.0).sweeps, result as usize);
    }

    /// Changes the other values.
    pub fn change(&self, change: impl FnOnce(&mut TallyValues)) {
        change(&mut lock(&self.0));
    }

    /// The values now.
    pub fn values(&self) -> TallyValues {
        *lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_and_result_has_its_own_count() {
        let tally = Tally::default();
        for (times, outcome) in Outcome::ALL.iter().enumerate() {
            for _ in 0..times {
                tally.request(Endpoint::Counter, *outcome);
            }
        }
        tally.request(Endpoint::Webhooks, Outcome::Malformed);
        tally.token_refresh(true);
        tally.token_refresh(false);
        tally.token_refresh(false);
        for (times, result) in SweepResult::ALL.iter().enumerate() {
            for _ in 0..times {
                tally.sweep(*result);
            }
        }
        tally.change(|tally| tally.overruns += 1);
        let expected = TallyValues {
            requests: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
                [0; 10],
                [0; 10],
                [0; 10],
                [0; 10],
                [0; 10],
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ],
            token_refreshes: [1, 2],
            sweeps: [0, 1, 2],
            overruns: 1,
            restarts: 0,
            rate_limit_wait: Duration::ZERO,
            resets: ResetValues::default(),
        };
        assert_eq!(tally.values(), expected);
    }
}
