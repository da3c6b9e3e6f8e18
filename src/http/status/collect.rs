//! Fills in the status from the snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{
    AccountStatus, ChannelStatus, HistoryStatus, RequestsStatus, Status, SweepStatus, UserStatus,
};
use super::messages::{account_notes, account_problem, user_reasons};
use crate::channel::{Channel, Role};
use crate::clock::Stamp;
use crate::metrics::{BuildInfo, Outcome, ProcessMetrics};
use crate::reload::BrokenFile;
use crate::snapshot::{AccountView, FailingReason, HistorySamples, Slot, UserView};

impl Status {
    pub(crate) fn new(
        slots: &[Arc<Slot>],
        process: &ProcessMetrics,
        broken_files: Vec<BrokenFile>,
        started: Stamp,
        now: Stamp,
    ) -> Self {
        let account = |slot: &Arc<Slot>| AccountStatus::new(&slot.view(), slot.history.past(), now);
        Self {
            version: BuildInfo::THIS.version,
            revision: BuildInfo::THIS.revision,
            time: now.unix.as_secs_f64(),
            started: started.unix.as_secs_f64(),
            uptime_seconds: started.age(now).as_secs_f64(),
            config_hash: process.config_hash(),
            shard: process.shard(),
            broken_files,
            accounts: slots.iter().map(account).collect(),
        }
    }
}

impl AccountStatus {
    fn new(view: &AccountView, past: Option<HistorySamples>, now: Stamp) -> Self {
        let (account, facts) = (&view.account, &view.facts);
        Self {
            name: account.name.to_string(),
            account_id: account.account_id.as_ref().map(ToString::to_string),
            labels: texts(&account.labels),
            up: view.up(now),
            failing: facts.failing.map(FailingReason::label),
            trouble: account_problem(view, now),
            notes: account_notes(view, now),
            totals: view.totals(now),
            interval_seconds: account.poll.interval.as_secs_f64(),
            stale_after_seconds: account.poll.stale_after.as_secs_f64(),
            age_seconds: facts.newest_reading.map(|at| at.age(now).as_secs_f64()),
            token_expires: facts.token_expiry.map(|at| at.as_secs_f64()),
            last_sweep: facts.sweep.map(|sweep| SweepStatus {
                result: sweep.result.label(),
                age_seconds: sweep.finished.age(now).as_secs_f64(),
                duration_seconds: sweep.duration.as_secs_f64(),
            }),
            last_reset: facts.tally.resets.marks.last.filter(|_| account.reset.is_some()),
            requests: RequestsStatus::new(view),
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

impl ChannelStatus {
    fn new(channel: &Channel, names: bool) -> Self {
        let (text, remedy) = channel.messages();
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

impl RequestsStatus {
    fn new(view: &AccountView) -> Self {
        let (account, tally) = (&view.account, &view.facts.tally);
        let mut outcomes = BTreeMap::new();
        for counts in tally.requests {
            for (outcome, count) in Outcome::ALL.iter().zip(counts) {
                *outcomes.entry(outcome.label()).or_default() += count;
            }
        }
        outcomes.retain(|_, count| *count > 0);
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
    fn new(past: &HistorySamples, now: Stamp) -> Self {
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
            role: view.trust.role.map(Role::label),
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
