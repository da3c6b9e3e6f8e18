//! The families with samples per account.

use super::super::text::{Kind, push_label};
use super::family::{AccountFamily, Ages, lists};
use crate::account::{Account, Api, Auth};
use crate::metrics::{Endpoint, Outcome, RefusalCode, ResetResult, SweepResult};

/// The families per account.
pub(in crate::exposition) static ACCOUNT_FAMILIES: [AccountFamily; 31] = [
    AccountFamily {
        name: "wazzup_up",
        kind: Kind::Gauge,
        help: "1 if the account has a reading younger than stale_after and nothing is known that fails all of its users, judged at scrape time; 0 if not.",
        ages: Ages::Readings,
        write: |lines, name, labels, context| {
            let up = context.facts.up(context.account.poll.stale_after, context.now);
            lines.sample(name, labels).integer(u64::from(up));
        },
    },
    AccountFamily {
        name: "wazzup_account_failing",
        kind: Kind::Gauge,
        help: "1 while no user of the account can be read, with the reason: unauthorized, forbidden, login_needed (the customer has to log in again), rate_limited, unreachable, server_error, malformed or storage (what must be stored cannot be).",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if let Some(reason) = context.facts.failing {
                lines.sample(name, labels).label("reason", reason.label()).integer(1);
            }
        },
    },
    AccountFamily {
        name: "wazzup_account_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels tell the account's number at Wazzup, where configured, which API it is read by, and what the configuration says about it.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            let labels = account_info(labels, context.account);
            lines.sample(name, &labels).integer(1);
        },
    },
    AccountFamily {
        name: "wazzup_account_users",
        kind: Kind::Gauge,
        help: "Users of the account that are polled, found ones included.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.facts.users as u64);
        },
    },
    AccountFamily {
        name: "wazzup_poll_interval_seconds",
        kind: Kind::Gauge,
        help: "The configured time between two readings of a user.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).seconds(context.account.poll.interval);
        },
    },
    AccountFamily {
        name: "wazzup_sweep_duration_seconds",
        kind: Kind::Gauge,
        help: "How long the last finished sweep over all users of the account took.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if let Some(sweep) = context.facts.sweep {
                lines.sample(name, labels).seconds(sweep.duration);
            }
        },
    },
    AccountFamily {
        name: "wazzup_sweep_last_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the last sweep over all users of the account ended, however it ended, unix time.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if let Some(sweep) = context.facts.sweep {
                lines.sample(name, labels).seconds(sweep.finished.unix_at(context.now));
            }
        },
    },
    AccountFamily {
        name: "wazzup_sweeps_total",
        kind: Kind::Counter,
        help: "Finished sweeps over all users of the account. result=ok: every user was read; partial: some; failed: none.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            for (result, count) in SweepResult::ALL.iter().zip(context.facts.tally.sweeps) {
                lines.sample(name, labels).label("result", result.label()).integer(count);
            }
        },
    },
    AccountFamily {
        name: "wazzup_sweep_overruns_total",
        kind: Kind::Counter,
        help: "Sweeps that took longer than the poll interval; the next one followed at once.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.facts.tally.overruns);
        },
    },
    AccountFamily {
        name: "wazzup_api_requests_total",
        kind: Kind::Counter,
        help: "Requests to the Wazzup24 API, by what was asked for and how it ended.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            let counts = Endpoint::ALL.iter().zip(context.facts.tally.requests);
            for (endpoint, counts) in counts.filter(|(one, _)| uses(context.account, **one)) {
                for (outcome, count) in Outcome::ALL.iter().zip(counts) {
                    let sample = lines.sample(name, labels).label("endpoint", endpoint.label());
                    sample.label("outcome", outcome.label()).integer(count);
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_api_rate_limit_requests",
        kind: Kind::Gauge,
        help: "Requests that the account's credential may make in each window of wazzup_api_rate_limit_window_seconds, as configured; accounts of one credential share them.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.account.rate_limit.requests.into());
        },
    },
    AccountFamily {
        name: "wazzup_api_rate_limit_window_seconds",
        kind: Kind::Gauge,
        help: "The window of wazzup_api_rate_limit_requests.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).seconds(context.account.rate_limit.per);
        },
    },
    AccountFamily {
        name: "wazzup_api_rate_limit_share_ratio",
        kind: Kind::Gauge,
        help: "Which part of wazzup_api_rate_limit_requests the exporter uses at most, as configured; the rest is for other programs with the same credential, as the customer's CRM.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            let share = f64::from(context.account.rate_limit.share) / 100.0;
            lines.sample(name, labels).float(share);
        },
    },
    AccountFamily {
        name: "wazzup_api_rate_limit_wait_seconds_total",
        kind: Kind::Counter,
        help: "Time for which requests of the account were held back to keep the limit of the API or because it asked for a pause.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).seconds(context.facts.tally.rate_limit_wait);
        },
    },
    AccountFamily {
        name: "wazzup_account_paused_until_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the pause ends that upstream has asked for with an answer 429, unix time. Absent while there is none.",
        ages: Ages::Pause,
        write: |lines, name, labels, context| {
            if let Some(until) = context.facts.pause(context.now) {
                let until = until.unix_at(context.now).as_secs();
                lines.sample(name, labels).integer(until);
            }
        },
    },
    AccountFamily {
        name: "wazzup_clock_skew_seconds",
        kind: Kind::Gauge,
        help: "The exporter's clock minus the clock of upstream at the newest reading. Upstream tells whole seconds, so less than 2 is nothing.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if let Some(skew) = context.facts.clock_skew_seconds {
                lines.sample(name, labels).float(skew);
            }
        },
    },
    AccountFamily {
        name: "wazzup_working_time",
        kind: Kind::Gauge,
        help: "1 during the configured working hours of the account, 0 outside; judged at scrape time. Absent where none are configured.",
        ages: Ages::TimeOfDay,
        write: |lines, name, labels, context| {
            if let Some(hours) = &context.account.working_hours {
                let open = hours.open_at(context.now.unix);
                lines.sample(name, labels).integer(u64::from(open));
            }
        },
    },
    AccountFamily {
        name: "wazzup_token_expiry_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When reading ends unless a person acts, unix time: a fixed token's own end, or that of a refresh token. Absent where it is not known, and where a new token can always be had.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if let Some(end) = context.facts.token_expiry {
                lines.sample(name, labels).seconds(end);
            }
        },
    },
    AccountFamily {
        name: "wazzup_token_refreshes_total",
        kind: Kind::Counter,
        help: "Attempts to get a new token for the account. result=ok: there is one; failed: not.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if context.account.auth.renews() {
                for (result, count) in
                    ["ok", "failed"].iter().zip(context.facts.tally.token_refreshes)
                {
                    lines.sample(name, labels).label("result", result).integer(count);
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_token_last_refresh_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the account last got a new token, unix time.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if let Some(at) = context.facts.token_refreshed {
                lines.sample(name, labels).seconds(at);
            }
        },
    },
    AccountFamily {
        name: "wazzup_list_up",
        kind: Kind::Gauge,
        help: "1 if the last attempt to read the list succeeded and is younger than the longer of stale_after and three refresh intervals, judged at scrape time; 0 if not. list=users, channels or roles, each that is configured; a list that cannot be read leaves the last good one in force.",
        ages: Ages::Lists,
        write: |lines, name, labels, context| {
            for (list, listing, good_for) in lists(context) {
                if let Some(up) = listing.up(good_for, context.now) {
                    lines.sample(name, labels).label("list", list).integer(u64::from(up));
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_list_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the list was last read with success, unix time. Absent before the first time.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            for (list, listing, _) in lists(context) {
                if let Some(at) = listing.read.filter(|_| listing.wanted_since.is_some()) {
                    lines.sample(name, labels).label("list", list).seconds(at.unix);
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_account_users_skipped",
        kind: Kind::Gauge,
        help: "Rows of the account's list of users that are not polled. reason=invalid_id: longer than 200 characters or with a control character; unreadable: nothing can be made of the row; over_max_users: more than discover_users.max_users; excluded: left out by discover_users. Absent where users are not found in the list, and before it was read.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if context.facts.discovery.read.is_some() {
                for (reason, count) in context.facts.skipped.by_reason() {
                    lines.sample(name, labels).label("reason", reason).integer(count as u64);
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_channel_active",
        kind: Kind::Gauge,
        help: "1 if messages come through the channel, 0 in every state but active. Absent once the list of channels has not been read for the longer of stale_after and three refresh intervals.",
        ages: Ages::Lists,
        write: |lines, name, labels, context| {
            for channel in context.facts.channels_shown(context.account, context.now) {
                let sample = lines.sample(name, labels).label("channel", &channel.id);
                sample
                    .label("transport", channel.transport.label())
                    .integer(u64::from(channel.active));
            }
        },
    },
    AccountFamily {
        name: "wazzup_channel_state",
        kind: Kind::Gauge,
        help: "Always 1; the label tells the channel's state in the words of upstream.",
        ages: Ages::Lists,
        write: |lines, name, labels, context| {
            for channel in context.facts.channels_shown(context.account, context.now) {
                let sample = lines.sample(name, labels).label("channel", &channel.id);
                sample.label("state", channel.state.label()).integer(1);
            }
        },
    },
    AccountFamily {
        name: "wazzup_channel_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels tell the channel's messenger and, where configured, its name, which is mostly a phone number.",
        ages: Ages::Lists,
        write: |lines, name, labels, context| {
            for channel in context.facts.channels_shown(context.account, context.now) {
                let shown = channel.name.as_deref();
                let shown = shown.filter(|_| context.account.export.channel_names);
                let sample = lines.sample(name, labels).label("channel", &channel.id);
                let sample = sample.label("transport", channel.transport.label());
                sample.label("name", shown.unwrap_or_default()).integer(1);
            }
        },
    },
    AccountFamily {
        name: "wazzup_resets_total",
        kind: Kind::Counter,
        help: "Resets of the account's counters. result=cleared: upstream says so; dry_run: everything was done but that; failed: nothing was cleared, or another account was named; unknown: no answer tells. Absent where no reset is enabled.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if context.account.reset.is_some() {
                let counts = ResetResult::ALL.iter().zip(context.facts.tally.resets.results);
                for (result, count) in counts {
                    lines.sample(name, labels).label("result", result.label()).integer(count);
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_reset_refusals_total",
        kind: Kind::Counter,
        help: "Requests for a reset that had a valid token and were refused, by the guard that refused them. Absent where no reset is enabled.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if context.account.reset.is_some() {
                let counts = RefusalCode::ALL.iter().zip(context.facts.tally.resets.refusals);
                for (code, count) in counts {
                    lines.sample(name, labels).label("code", code.label()).integer(count);
                }
            }
        },
    },
    AccountFamily {
        name: "wazzup_reset_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the account's counters were last cleared by a reset, unix time; survives restarts. Absent before the first and where no reset is enabled.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            let at = context.facts.tally.resets.marks.last_success;
            if let Some(at) = at.filter(|_| context.account.reset.is_some()) {
                lines.sample(name, labels).seconds(at);
            }
        },
    },
    AccountFamily {
        name: "wazzup_reset_unresolved",
        kind: Kind::Gauge,
        help: "1 while nobody knows whether the last reset cleared the account's counters: no answer came, or the exporter ended before one was written down. The next reset with a known end makes it 0. Absent where no reset is enabled.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            if context.account.reset.is_some() {
                let unresolved = context.facts.tally.resets.marks.unresolved;
                lines.sample(name, labels).integer(u64::from(unresolved));
            }
        },
    },
    AccountFamily {
        name: "wazzup_exporter_poller_restarts_total",
        kind: Kind::Counter,
        help: "Restarts of the account's poller after it died or got stuck.",
        ages: Ages::Never,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.facts.tally.restarts);
        },
    },
];

/// Whether the daemon ever uses this endpoint for the account.
fn uses(account: &Account, endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Counter => true,
        Endpoint::Users => account.discovery.is_some(),
        Endpoint::Channels => account.channels.is_some(),
        Endpoint::Settings => account.channels.is_some() && account.api == Api::V2,
        Endpoint::Reset => account.reset.is_some(),
        Endpoint::Token => matches!(account.auth, Auth::Partner(_) | Auth::OAuth { .. }),
        Endpoint::Webhooks => false,
    }
}

fn account_info(labels: &str, account: &Account) -> String {
    let mut text = labels.to_owned();
    let id = account.account_id.as_ref().map_or("", |id| id.as_str());
    push_label(&mut text, "account_id", id);
    push_label(&mut text, "api", if account.api == Api::V3 { "v3" } else { "v2" });
    for (name, value) in &account.labels {
        push_label(&mut text, name.as_str(), value);
    }
    text
}
