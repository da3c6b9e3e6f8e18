//! The status as it is serialized; `docs/status-page.md` names every field.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::metrics::{LastReset, ShardInfo};
use crate::reload::BrokenFile;
use crate::snapshot::Totals;

/// The status of the exporter at one moment. Times are unix time in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) version: &'static str,
    pub(crate) revision: &'static str,
    /// The moment.
    pub(crate) time: f64,
    pub(crate) started: f64,
    pub(crate) uptime_seconds: f64,
    pub(crate) config_hash: u64,
    /// `null` where one process polls all accounts.
    pub(crate) shard: Option<ShardInfo>,
    pub(crate) broken_files: Vec<BrokenFile>,
    pub(crate) accounts: Vec<AccountStatus>,
}

/// One account. Sums are over users whose figures are known, and `null` where there is none: no sum
/// is not a sum of zero.
#[derive(Debug, Serialize)]
pub(crate) struct AccountStatus {
    pub(crate) name: String,
    pub(crate) account_id: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) up: bool,
    /// The reason why no user can be read, as in `wazzup_account_failing`.
    pub(crate) failing: Option<&'static str>,
    /// Why the account is not up; `null` while it is, and before the end of its first sweep.
    pub(crate) trouble: Option<AccountProblem>,
    /// Remarks about the account.
    pub(crate) notes: Vec<Reason>,
    #[serde(flatten)]
    pub(crate) totals: Totals,
    pub(crate) interval_seconds: f64,
    pub(crate) stale_after_seconds: f64,
    /// Age of the newest good reading of any user.
    pub(crate) age_seconds: Option<f64>,
    /// When reading ends unless a person acts.
    pub(crate) token_expires: Option<f64>,
    pub(crate) last_sweep: Option<SweepStatus>,
    /// The last reset of its counters, dry runs excluded, where it may be reset.
    pub(crate) last_reset: Option<LastReset>,
    pub(crate) requests: RequestsStatus,
    pub(crate) channels: Vec<ChannelStatus>,
    pub(crate) history: Option<HistoryStatus>,
    pub(crate) users: Vec<UserStatus>,
}

/// How complete a sum of red is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// Every user is included.
    Complete,
    /// A user is missing from it.
    AtLeast,
    /// It includes figures that are in doubt.
    InDoubt,
}

/// Why an account cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AccountProblem {
    /// What is wrong.
    pub(crate) text: String,
    /// What to do.
    pub(crate) remedy: String,
    /// The error of the last attempt.
    pub(crate) detail: Option<Arc<str>>,
}

/// The last finished sweep.
#[derive(Debug, Serialize)]
pub(crate) struct SweepStatus {
    pub(crate) result: &'static str,
    pub(crate) age_seconds: f64,
    pub(crate) duration_seconds: f64,
}

/// The account's requests to upstream, and their limit.
#[derive(Debug, Serialize)]
pub(crate) struct RequestsStatus {
    /// Requests since the start by outcome; only outcomes that occurred.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    /// Requests that the credential's limit allows in each window.
    pub(crate) limit: u32,
    pub(crate) limit_window_seconds: f64,
    /// Share of the limit that the account's sweeps need, 1 for all of it. Accounts of one
    /// credential share the limit.
    pub(crate) limit_share: f64,
    /// Time for which requests waited for the limit.
    pub(crate) waited_seconds: f64,
}

/// A channel of an account. One that is not active receives nothing, so counters do not change.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelStatus {
    /// Its id.
    pub(crate) channel: Arc<str>,
    pub(crate) transport: &'static str,
    pub(crate) state: &'static str,
    pub(crate) active: bool,
    /// Its name, usually a phone number, where it may be shown.
    pub(crate) name: Option<Arc<str>>,
    /// The state as a phrase that follows the name.
    pub(crate) text: &'static str,
    /// What to do; may be empty.
    pub(crate) remedy: &'static str,
}

/// The account's red sum over the last hours.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryStatus {
    pub(crate) period_seconds: f64,
    /// Age of the last point.
    pub(crate) age_seconds: f64,
    /// Oldest first; `null` where the sum was not known.
    pub(crate) red: Vec<Option<u64>>,
    /// Whether a sum lacks users or includes figures that are in doubt.
    pub(crate) partial: Vec<bool>,
}

/// One user. Figures are `null` without a live reading.
#[derive(Debug, Serialize)]
pub(crate) struct UserStatus {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// `null` where roles are not known.
    pub(crate) role: Option<&'static str>,
    /// Whether the user was discovered in the account's list rather than configured.
    pub(crate) found: bool,
    /// `null` before the first attempt.
    pub(crate) up: Option<bool>,
    pub(crate) red: Option<u64>,
    pub(crate) grey: Option<u64>,
    pub(crate) other: Option<u64>,
    /// Whether the figures are in doubt.
    pub(crate) in_doubt: bool,
    /// Since when red has been above 0.
    pub(crate) red_since: Option<f64>,
    /// When the last message arrived, where upstream reports it.
    pub(crate) last_message: Option<f64>,
    /// Age of the last good reading, however old.
    pub(crate) age_seconds: Option<f64>,
    /// Why a figure is missing or in doubt.
    pub(crate) reasons: Vec<Reason>,
}

/// Why a figure is missing or in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

impl Completeness {
    /// Of an account's sum.
    pub(crate) fn of(totals: &Totals) -> Self {
        Self::new(totals.red_users_missing, totals.red_users_in_doubt)
    }

    /// Of a sum that lacks some figures and holds some that may not count.
    pub(crate) fn new(missing: usize, in_doubt: usize) -> Self {
        match (missing, in_doubt) {
            (0, 0) => Self::Complete,
            (_, 0) => Self::AtLeast,
            _ => Self::InDoubt,
        }
    }
}

impl AccountStatus {
    /// Whether none of its channels is active, so that no counter changes.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.channels.is_empty() && self.channels.iter().all(|channel| !channel.active)
    }
}
