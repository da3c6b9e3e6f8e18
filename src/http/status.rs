//! What `/api/v1/status` and the page show: the views once more, for people and scripts.
//!
//! `docs/status-page.md` names every field; a test compares it with what is serialized here. The
//! [`words`] for reasons and failures stand in a file of their own.

mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use self::words::{account_notes, account_trouble, user_reasons};
use crate::channel::{Channel, Role};
use crate::clock::Stamp;
use crate::metrics::{BuildInfo, LastReset, Outcome, ResetResult};
use crate::snapshot::{AccountView, FailingReason, Past, Slot, Totals, UserView};

/// What the process knows about itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    /// When it began to serve.
    pub(super) started: Stamp,
    /// As the metric `wazzup_exporter_config_hash`.
    pub(super) config_hash: u64,
}

/// Everything the exporter knows, as of one moment. Times are unix time in seconds.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) version: &'static str,
    pub(super) revision: &'static str,
    /// The moment.
    pub(super) time: f64,
    pub(super) started: f64,
    pub(super) uptime_seconds: f64,
    pub(super) config_hash: u64,
    pub(super) accounts: Vec<AccountStatus>,
}

/// One account. Sums are over users whose figures are known, and `null` where there is none: no sum
/// is not a sum of zero.
#[derive(Debug, Serialize)]
pub(super) struct AccountStatus {
    pub(super) name: String,
    pub(super) account_id: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) up: bool,
    /// Why no user can be read, while that holds.
    pub(super) failing: Option<&'static str>,
    /// Why it is not up, in words; `null` while it is, and before its first sweep has told.
    pub(super) trouble: Option<Trouble>,
    /// What else is to be known.
    pub(super) notes: Vec<Reason>,
    pub(super) red: Option<u64>,
    pub(super) red_of: RedOf,
    /// Users who count to `red`.
    pub(super) red_users: usize,
    /// Those of them whose red is not known.
    pub(super) red_users_missing: usize,
    /// Those of them whose red is known and may not count.
    pub(super) red_users_in_doubt: usize,
    pub(super) grey: Option<u64>,
    /// Users whose figures are not known.
    pub(super) users_missing: usize,
    pub(super) interval_seconds: f64,
    pub(super) stale_after_seconds: f64,
    /// Age of the newest good reading of any user.
    pub(super) age_seconds: Option<f64>,
    /// When reading ends unless a person acts.
    pub(super) token_expires: Option<f64>,
    pub(super) last_sweep: Option<SweepStatus>,
    /// The last reset of its counters, dry runs excluded, where it may be reset.
    pub(super) last_reset: Option<ResetStatus>,
    pub(super) requests: Requests,
    pub(super) channels: Vec<ChannelStatus>,
    pub(super) history: Option<HistoryStatus>,
    pub(super) users: Vec<UserStatus>,
}

/// Whose red counters a sum adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RedOf {
    /// Those of sales representatives, where roles are known.
    SalesReps,
    /// Those of everybody: a sum of counters, in which a customer may count for several.
    Counters,
}

/// How far a sum of red can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Soundness {
    /// It is of everybody who counts.
    Sound,
    /// Somebody is missing from it.
    AtLeast,
    /// It holds figures that may not count.
    InDoubt,
}

/// What keeps an account from being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Trouble {
    /// What is wrong.
    pub(super) text: String,
    /// What to do.
    pub(super) remedy: &'static str,
    /// What exactly went wrong at the last attempt.
    pub(super) detail: Option<Arc<str>>,
}

/// The last finished sweep.
#[derive(Debug, Serialize)]
pub(super) struct SweepStatus {
    pub(super) result: &'static str,
    pub(super) age_seconds: f64,
    pub(super) duration_seconds: f64,
}

/// The last reset of an account's counters.
#[derive(Debug, Serialize)]
pub(super) struct ResetStatus {
    pub(super) result: &'static str,
    /// When it was decided.
    pub(super) time: f64,
    /// Unanswered messages before it, of every type.
    pub(super) before: u64,
    /// The same after it; `null` where that was not read.
    pub(super) after: Option<u64>,
}

/// What the account asks of upstream, and what it may ask.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    /// Requests since the start by how they ended; only outcomes that occurred.
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    /// Requests that the credential may make in each window.
    pub(super) limit: u32,
    pub(super) limit_window_seconds: f64,
    /// Share of the limit that the account's sweeps need, 1 for all of it. Accounts of one
    /// credential share the limit.
    pub(super) limit_share: f64,
    /// Time for which requests were held back.
    pub(super) waited_seconds: f64,
}

/// A channel of an account. One that is not active receives nothing, so counters stand still.
#[derive(Debug, Serialize)]
pub(super) struct ChannelStatus {
    /// Its id.
    pub(super) channel: Arc<str>,
    pub(super) transport: &'static str,
    pub(super) state: &'static str,
    pub(super) active: bool,
    /// Its name, usually a phone number, where it may be shown.
    pub(super) name: Option<Arc<str>>,
    /// What it does, to be read behind its name.
    pub(super) text: &'static str,
    /// What to do, or nothing.
    pub(super) remedy: &'static str,
}

/// The account's red sum over the last hours.
#[derive(Debug, Serialize)]
pub(super) struct HistoryStatus {
    pub(super) period_seconds: f64,
    /// Age of the last point.
    pub(super) age_seconds: f64,
    /// Oldest first; `null` where nothing was known.
    pub(super) red: Vec<Option<u64>>,
    /// Where the sum lacks users, or holds figures that may not count.
    pub(super) partial: Vec<bool>,
}

/// One user. Figures are `null` without a live reading.
#[derive(Debug, Serialize)]
pub(super) struct UserStatus {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// `null` where roles are not known.
    pub(super) role: Option<&'static str>,
    /// Whether the user is not configured but was found in the account's list.
    pub(super) found: bool,
    /// `null` before the first attempt.
    pub(super) up: Option<bool>,
    pub(super) red: Option<u64>,
    pub(super) grey: Option<u64>,
    pub(super) other: Option<u64>,
    /// Whether the figures may not count.
    pub(super) in_doubt: bool,
    /// Since when red has been above 0.
    pub(super) red_since: Option<f64>,
    /// When the last message came, where upstream tells.
    pub(super) last_message: Option<f64>,
    /// Age of the last good reading, however old.
    pub(super) age_seconds: Option<f64>,
    /// Why a figure is missing or not to be trusted.
    pub(super) reasons: Vec<Reason>,
}

/// Why a figure is missing or not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    pub(super) code: &'static str,
    pub(super) text: String,
}

impl Status {
    pub(super) fn new(slots: &[Arc<Slot>], about: About, now: Stamp) -> Self {
        let account = |slot: &Arc<Slot>| AccountStatus::new(&slot.view(), slot.history.past(), now);
        Self {
            version: BuildInfo::THIS.version,
            revision: BuildInfo::THIS.revision,
            time: now.unix.as_secs_f64(),
            started: about.started.unix.as_secs_f64(),
            uptime_seconds: about.started.age(now).as_secs_f64(),
            config_hash: about.config_hash,
            accounts: slots.iter().map(account).collect(),
        }
    }
}

impl AccountStatus {
    fn new(view: &AccountView, past: Option<Past>, now: Stamp) -> Self {
        let (account, facts) = (&view.account, &view.facts);
        let totals = view.totals(now);
        Self {
            name: account.name.to_string(),
            account_id: account.account_id.as_ref().map(ToString::to_string),
            labels: texts(&account.labels),
            up: view.up(now),
            failing: facts.failing.map(FailingReason::label),
            trouble: account_trouble(view, now),
            notes: account_notes(view, now),
            red: totals.red,
            red_of: RedOf::new(&totals),
            red_users: totals.counted,
            red_users_missing: totals.lacking,
            red_users_in_doubt: totals.in_doubt,
            grey: totals.grey,
            users_missing: totals.missing,
            interval_seconds: account.poll.interval.as_secs_f64(),
            stale_after_seconds: account.poll.stale_after.as_secs_f64(),
            age_seconds: facts.newest_reading.map(|at| at.age(now).as_secs_f64()),
            token_expires: facts.token_expiry.map(|at| at.as_secs_f64()),
            last_sweep: facts.sweep.map(|sweep| SweepStatus {
                result: sweep.result.label(),
                age_seconds: sweep.finished.age(now).as_secs_f64(),
                duration_seconds: sweep.duration.as_secs_f64(),
            }),
            last_reset: facts
                .tally
                .resets
                .marks
                .last
                .filter(|_| account.reset.is_some())
                .map(ResetStatus::new),
            requests: Requests::new(view),
            channels: facts
                .channels_shown(account, now)
                .iter()
                .map(|channel| ChannelStatus::new(channel, account.export.channel_names))
                .collect(),
            history: past.map(|past| HistoryStatus::new(&past, now)),
            users: view.users().map(|user| UserStatus::new(user, view, now)).collect(),
        }
    }
}

impl ResetStatus {
    fn new(last: LastReset) -> Self {
        let LastReset { at, result, before, after } = last;
        Self { result: result.label(), time: at.as_secs_f64(), before, after }
    }

    /// What came of it, in words.
    pub(super) fn text(&self) -> &'static str {
        if self.result == ResetResult::Cleared.label() {
            "cleared"
        } else if self.result == ResetResult::Unknown.label() {
            "nobody knows whether it was carried out"
        } else {
            "failed"
        }
    }
}

impl RedOf {
    fn new(totals: &Totals) -> Self {
        if totals.sales_reps_only { Self::SalesReps } else { Self::Counters }
    }
}

impl Soundness {
    /// Of the account's sum.
    pub(super) fn of(account: &AccountStatus) -> Self {
        Self::new(account.red_users_missing, account.red_users_in_doubt)
    }

    /// Of a sum that lacks some figures and holds some that may not count.
    pub(super) fn new(missing: usize, in_doubt: usize) -> Self {
        match (missing, in_doubt) {
            (0, 0) => Self::Sound,
            (_, 0) => Self::AtLeast,
            _ => Self::InDoubt,
        }
    }
}

impl ChannelStatus {
    fn new(channel: &Channel, names: bool) -> Self {
        let (text, remedy) = channel.words();
        Self {
            channel: Arc::clone(&channel.id),
            transport: channel.transport.label(),
            state: channel.state.label(),
            active: channel.active,
            name: channel.name.clone().filter(|_| names),
            text,
            remedy,
        }
    }
}

impl AccountStatus {
    /// Whether none of its channels is active, so that all its counters stand still.
    pub(super) fn is_cut_off(&self) -> bool {
        !self.channels.is_empty() && self.channels.iter().all(|channel| !channel.active)
    }
}

impl Requests {
    fn new(view: &AccountView) -> Self {
        let (account, tally) = (&view.account, &view.facts.tally);
        let mut outcomes = BTreeMap::new();
        for counts in tally.requests {
            for (outcome, count) in Outcome::ALL.iter().zip(counts).filter(|(_, count)| *count > 0)
            {
                *outcomes.entry(outcome.label()).or_default() += count;
            }
        }
        let needed = view.users().count() as f64 / account.poll.interval.as_secs_f64();
        let allowed = f64::from(account.rate_limit.requests) / account.rate_limit.per.as_secs_f64();
        Self {
            outcomes,
            limit: account.rate_limit.requests,
            limit_window_seconds: account.rate_limit.per.as_secs_f64(),
            limit_share: needed / allowed,
            waited_seconds: tally.rate_limit_wait.as_secs_f64(),
        }
    }
}

impl HistoryStatus {
    fn new(past: &Past, now: Stamp) -> Self {
        Self {
            period_seconds: past.period.as_secs_f64(),
            age_seconds: past.newest.age(now).as_secs_f64(),
            red: past.points.iter().map(|point| point.red()).collect(),
            partial: past.points.iter().map(|point| point.partial()).collect(),
        }
    }
}

impl UserStatus {
    fn new(view: &UserView, account: &AccountView, now: Stamp) -> Self {
        let settings = &account.account;
        let stale_after = settings.poll.stale_after;
        let shown = view.shown(stale_after, now);
        let last_message = view.live(stale_after, now).and_then(|reading| reading.last_message);
        Self {
            id: view.user.id.to_string(),
            name: view.user.name.clone().filter(|_| settings.export.user_names),
            labels: texts(&view.user.labels),
            role: view.standing.role.map(Role::label),
            found: view.found,
            up: view.up(stale_after, now),
            red: shown.red,
            grey: shown.grey,
            other: shown.other,
            in_doubt: view.in_doubt(now, account),
            red_since: view.red_since(stale_after, now).map(|since| since.as_secs_f64()),
            last_message: last_message.map(|at| at.as_secs_f64()),
            age_seconds: view.last_good.map(|(_, at)| at.age(now).as_secs_f64()),
            reasons: user_reasons(view, account, now),
        }
    }
}

/// Labels by name.
fn texts<N: ToString>(labels: &BTreeMap<N, String>) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

#[cfg(test)]
pub(super) mod tests;
