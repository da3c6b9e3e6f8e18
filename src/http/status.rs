//! What `/api/v1/status` and the page show: the views once more, for people and scripts.

use std::sync::Arc;

use serde::Serialize;

use crate::clock::Stamp;
use crate::metrics::BuildInfo;
use crate::snapshot::{AccountView, FailingReason, UntrustedReason, UserView};

/// Everything the exporter knows, as of one moment.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) version: &'static str,
    /// Unix time of the answer in seconds.
    pub(super) time: f64,
    pub(super) accounts: Vec<AccountStatus>,
}

/// One account. Sums are over users with a live reading only, and `null` where there is none: no
/// sum is not a sum of zero.
#[derive(Debug, Serialize)]
pub(super) struct AccountStatus {
    pub(super) name: String,
    pub(super) account_id: Option<String>,
    pub(super) up: bool,
    /// Why no user can be read, while that holds.
    pub(super) failing: Option<&'static str>,
    /// Sum of the red counters.
    pub(super) red: Option<u64>,
    /// Sum of the grey counters.
    pub(super) grey: Option<u64>,
    /// Users whose figures are missing.
    pub(super) users_without_reading: usize,
    pub(super) interval_seconds: f64,
    pub(super) last_sweep: Option<SweepStatus>,
    pub(super) users: Vec<UserStatus>,
}

/// The last finished sweep.
#[derive(Debug, Serialize)]
pub(super) struct SweepStatus {
    pub(super) result: &'static str,
    pub(super) age_seconds: f64,
    pub(super) duration_seconds: f64,
}

/// One user. Figures are `null` without a live reading.
#[derive(Debug, Serialize)]
pub(super) struct UserStatus {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// `null` before the first attempt.
    pub(super) up: Option<bool>,
    pub(super) red: Option<u64>,
    pub(super) grey: Option<u64>,
    pub(super) other: Option<u64>,
    /// Age of the last good reading, however old.
    pub(super) age_seconds: Option<f64>,
    /// Why the figures may not count.
    pub(super) untrusted: Vec<&'static str>,
    /// What went wrong at the last attempt.
    pub(super) problem: Option<Arc<str>>,
}

impl Status {
    pub(super) fn new(views: &[Arc<AccountView>], now: Stamp) -> Self {
        Self {
            version: BuildInfo::THIS.version,
            time: now.unix.as_secs_f64(),
            accounts: views.iter().map(|view| AccountStatus::new(view, now)).collect(),
        }
    }
}

impl AccountStatus {
    fn new(view: &AccountView, now: Stamp) -> Self {
        let account = &view.account;
        let users: Vec<UserStatus> =
            view.users().map(|user| UserStatus::new(user, view, now)).collect();
        Self {
            name: account.name.to_string(),
            account_id: account.account_id.as_ref().map(ToString::to_string),
            up: view.up(now),
            failing: view.facts.failing.map(FailingReason::label),
            red: sum(users.iter().map(|user| user.red)),
            grey: sum(users.iter().map(|user| user.grey)),
            users_without_reading: users
                .iter()
                .filter(|user| user.red.is_none() && user.other.is_none())
                .count(),
            interval_seconds: account.poll.interval.as_secs_f64(),
            last_sweep: view.facts.sweep.map(|sweep| SweepStatus {
                result: sweep.result.label(),
                age_seconds: sweep.finished.age(now).as_secs_f64(),
                duration_seconds: sweep.duration.as_secs_f64(),
            }),
            users,
        }
    }
}

impl UserStatus {
    fn new(view: &UserView, account: &AccountView, now: Stamp) -> Self {
        let account = &account.account;
        let stale_after = account.poll.stale_after;
        let shown = view.shown(stale_after, now);
        let name = view.user.name.clone().filter(|_| account.export.user_names);
        Self {
            id: view.user.id.to_string(),
            name,
            up: view.up(stale_after, now),
            red: shown.red,
            grey: shown.grey,
            other: shown.other,
            age_seconds: view.last_good.map(|(_, at)| at.age(now).as_secs_f64()),
            untrusted: view.untrusted(stale_after, now).map(UntrustedReason::label).collect(),
            problem: view.last_attempt.as_ref().and_then(|attempt| attempt.problem.clone()),
        }
    }
}

/// The sum of what is known; `None` if nothing is.
fn sum(figures: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    figures.flatten().fold(None, |sum, figure| Some(sum.unwrap_or(0) + figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_nothing_known_is_not_zero() {
        assert_eq!(sum([None, None].into_iter()), None);
        assert_eq!(sum([None, Some(0), Some(3)].into_iter()), Some(3));
    }
}
