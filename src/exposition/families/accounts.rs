//! The families with samples per account.

use super::family::Write::PerAccount;
use super::family::{Ages, Family, counter, gauge, lists};
use crate::account::{Account, Api, Auth};
use crate::metrics::{Endpoint, Outcome, RefusalCode, ResetResult, SweepResult};

/// The families per account.
pub(in crate::exposition) static ACCOUNT_FAMILIES: [Family; 31] = [
    gauge(
        "wazzup_up",
        "1 if the account has a reading younger than stale_after and nothing is known that fails all of its users, judged at scrape time; 0 if not.",
        PerAccount(|out, context| {
            out.flag(context.facts.up(context.account.poll.stale_after, context.now));
        }),
    )
    .aging(Ages::Readings),
    gauge(
        "wazzup_account_failing",
        "1 while no user of the account can be read, with the reason: unauthorized, forbidden, login_needed (the customer has to log in again), rate_limited, unreachable, server_error, malformed or storage (what must be stored cannot be).",
        PerAccount(|out, context| {
            if let Some(reason) = context.facts.failing {
                out.sample().label("reason", reason.label()).integer(1);
            }
        }),
    ),
    gauge(
        "wazzup_account_info",
        "Always 1; the labels tell the account's number at Wazzup, where configured, which API it is read by, and what the configuration says about it.",
        PerAccount(|out, context| {
            let (account, sample) = (context.account, out.sample());
            let id = account.account_id.as_ref().map_or("", |id| id.as_str());
            let api = if account.api == Api::V3 { "v3" } else { "v2" };
            let sample = sample.label("account_id", id).label("api", api);
            sample.labels(&account.labels).integer(1);
        }),
    ),
    gauge(
        "wazzup_account_users",
        "Users of the account that are polled, found ones included.",
        PerAccount(|out, context| out.integer(context.facts.users as u64)),
    ),
    gauge(
        "wazzup_poll_interval_seconds",
        "The configured time between two readings of a user.",
        PerAccount(|out, context| out.seconds(context.account.poll.interval)),
    ),
    gauge(
        "wazzup_sweep_duration_seconds",
        "How long the last finished sweep over all users of the account took.",
        PerAccount(|out, context| out.seconds(context.facts.sweep.map(|sweep| sweep.duration))),
    ),
    gauge(
        "wazzup_sweep_last_timestamp_seconds",
        "When the last sweep over all users of the account ended, however it ended, unix time.",
        PerAccount(|out, context| {
            let finished = context.facts.sweep.map(|sweep| sweep.finished);
            out.seconds(finished.map(|at| at.unix_at(context.now)));
        }),
    ),
    counter(
        "wazzup_sweeps_total",
        "Finished sweeps over all users of the account. result=ok: every user was read; partial: some; failed: none.",
        PerAccount(|out, context| {
            let results = SweepResult::ALL.iter().map(|result| result.label());
            out.counts("result", results.zip(context.facts.tally.sweeps));
        }),
    ),
    counter(
        "wazzup_sweep_overruns_total",
        "Sweeps that took longer than the poll interval; the next one followed at once.",
        PerAccount(|out, context| out.integer(context.facts.tally.overruns)),
    ),
    counter(
        "wazzup_api_requests_total",
        "Requests to the Wazzup24 API, by what was asked for and how it ended.",
        PerAccount(|out, context| {
            let counts = Endpoint::ALL.iter().zip(context.facts.tally.requests);
            for (endpoint, counts) in counts.filter(|(one, _)| uses(context.account, **one)) {
                for (outcome, count) in Outcome::ALL.iter().zip(counts) {
                    let sample = out.sample().label("endpoint", endpoint.label());
                    sample.label("outcome", outcome.label()).integer(count);
                }
            }
        }),
    ),
    gauge(
        "wazzup_api_rate_limit_requests",
        "Requests that the account's credential may make in each window of wazzup_api_rate_limit_window_seconds, as configured; accounts of one credential share them.",
        PerAccount(|out, context| out.integer(u64::from(context.account.rate_limit.requests))),
    ),
    gauge(
        "wazzup_api_rate_limit_window_seconds",
        "The window of wazzup_api_rate_limit_requests.",
        PerAccount(|out, context| out.seconds(context.account.rate_limit.per)),
    ),
    gauge(
        "wazzup_api_rate_limit_share_ratio",
        "Which part of wazzup_api_rate_limit_requests the exporter uses at most, as configured; the rest is for other programs with the same credential, as the customer's CRM.",
        PerAccount(|out, context| out.float(f64::from(context.account.rate_limit.share) / 100.0)),
    ),
    counter(
        "wazzup_api_rate_limit_wait_seconds_total",
        "Time for which requests of the account were held back to keep the limit of the API or because it asked for a pause.",
        PerAccount(|out, context| out.seconds(context.facts.tally.rate_limit_wait)),
    ),
    gauge(
        "wazzup_account_paused_until_timestamp_seconds",
        "When the pause ends that upstream has asked for with an answer 429, unix time. Absent while there is none.",
        PerAccount(|out, context| {
            let until = context.facts.pause(context.now);
            out.integer(until.map(|until| until.unix_at(context.now).as_secs()));
        }),
    )
    .aging(Ages::Pause),
    gauge(
        "wazzup_clock_skew_seconds",
        "The exporter's clock minus the clock of upstream at the newest reading. Upstream gives whole seconds, so less than 2 is nothing.",
        PerAccount(|out, context| out.float(context.facts.clock_skew_seconds)),
    ),
    gauge(
        "wazzup_working_time",
        "1 during the configured working hours of the account, 0 outside; judged at scrape time. Absent where none are configured.",
        PerAccount(|out, context| {
            let hours = context.account.working_hours.as_ref();
            out.flag(hours.map(|hours| hours.open_at(context.now.unix)));
        }),
    )
    .aging(Ages::TimeOfDay),
    gauge(
        "wazzup_token_expiry_timestamp_seconds",
        "When reading ends unless a person acts, unix time: a fixed token's own end, or that of a refresh token. Absent where it is not known, and where a new token can always be had.",
        PerAccount(|out, context| out.seconds(context.facts.token_expiry)),
    ),
    counter(
        "wazzup_token_refreshes_total",
        "Attempts to get a new token for the account. result=ok: there is one; failed: not.",
        PerAccount(|out, context| {
            if context.account.auth.renews() {
                out.counts("result", ["ok", "failed"].into_iter().zip(context.facts.tally.token_refreshes));
            }
        }),
    ),
    gauge(
        "wazzup_token_last_refresh_timestamp_seconds",
        "When the account last got a new token, unix time.",
        PerAccount(|out, context| out.seconds(context.facts.token_refreshed)),
    ),
    gauge(
        "wazzup_list_up",
        "1 if the last attempt to read the list succeeded and is younger than the longer of stale_after and three refresh intervals, judged at scrape time; 0 if not. list=users, channels or roles, each that is configured; a list that cannot be read leaves the last good one in force.",
        PerAccount(|out, context| {
            for (list, listing, good_for) in lists(context) {
                if let Some(up) = listing.up(good_for, context.now) {
                    out.sample().label("list", list).integer(u64::from(up));
                }
            }
        }),
    )
    .aging(Ages::Lists),
    gauge(
        "wazzup_list_last_success_timestamp_seconds",
        "When the list was last read with success, unix time. Absent before the first time.",
        PerAccount(|out, context| {
            for (list, listing, _) in lists(context) {
                if let Some(at) = listing.read.filter(|_| listing.wanted_since.is_some()) {
                    out.sample().label("list", list).seconds(at.unix_at(context.now));
                }
            }
        }),
    ),
    gauge(
        "wazzup_account_users_skipped",
        "Rows of the account's list of users that are not polled. reason=invalid_id: longer than 200 characters or with a control character; unreadable: nothing can be made of the row; over_max_users: more than discover_users.max_users; excluded: left out by discover_users. Absent where users are not found in the list, and before it was read.",
        PerAccount(|out, context| {
            if context.facts.discovery.read.is_some() {
                let skipped = context.facts.skipped.by_reason();
                out.counts("reason", skipped.map(|(reason, count)| (reason, count as u64)));
            }
        }),
    ),
    gauge(
        "wazzup_channel_active",
        "1 if messages come through the channel, 0 in every state but active. Absent once the list of channels has not been read for the longer of stale_after and three refresh intervals.",
        PerAccount(|out, context| {
            for channel in context.facts.channels_shown(context.account, context.now) {
                let sample = out.sample().label("channel", &channel.id);
                let sample = sample.label("transport", channel.transport.label());
                sample.integer(u64::from(channel.active));
            }
        }),
    )
    .aging(Ages::Lists),
    gauge(
        "wazzup_channel_state",
        "Always 1; the label gives the channel's state in the words of upstream.",
        PerAccount(|out, context| {
            for channel in context.facts.channels_shown(context.account, context.now) {
                let sample = out.sample().label("channel", &channel.id);
                sample.label("state", channel.state.label()).integer(1);
            }
        }),
    )
    .aging(Ages::Lists),
    gauge(
        "wazzup_channel_info",
        "Always 1; the labels tell the channel's messenger and, where configured, its name, which is mostly a phone number.",
        PerAccount(|out, context| {
            let names = context.account.export.channel_names;
            for channel in context.facts.channels_shown(context.account, context.now) {
                let name = channel.name.as_deref().filter(|_| names).unwrap_or_default();
                let sample = out.sample().label("channel", &channel.id);
                let sample = sample.label("transport", channel.transport.label());
                sample.label("name", name).integer(1);
            }
        }),
    )
    .aging(Ages::Lists),
    counter(
        "wazzup_resets_total",
        "Resets of the account's counters. result=cleared: upstream says so; dry_run: everything was done but that; failed: nothing was cleared, or another account was named; unknown: no answer says which. Absent where no reset is enabled.",
        PerAccount(|out, context| {
            if context.account.reset.is_some() {
                let results = ResetResult::ALL.iter().map(|result| result.label());
                out.counts("result", results.zip(context.facts.tally.resets.results));
            }
        }),
    ),
    counter(
        "wazzup_reset_refusals_total",
        "Requests for a reset that had a valid token and were refused, by the guard that refused them. Absent where no reset is enabled.",
        PerAccount(|out, context| {
            if context.account.reset.is_some() {
                let codes = RefusalCode::ALL.iter().map(|code| code.label());
                out.counts("code", codes.zip(context.facts.tally.resets.refusals));
            }
        }),
    ),
    gauge(
        "wazzup_reset_last_success_timestamp_seconds",
        "When the account's counters were last cleared by a reset, unix time; survives restarts. Absent before the first and where no reset is enabled.",
        PerAccount(|out, context| {
            let at = context.facts.tally.resets.marks.last_success;
            out.seconds(at.filter(|_| context.account.reset.is_some()));
        }),
    ),
    gauge(
        "wazzup_reset_unresolved",
        "1 while it is unknown whether the last reset cleared the account's counters: no answer came, or the exporter ended before one was written down. The next reset with a known end makes it 0. Absent where no reset is enabled.",
        PerAccount(|out, context| {
            let unresolved = context.facts.tally.resets.marks.unresolved;
            out.flag(context.account.reset.is_some().then_some(unresolved));
        }),
    ),
    counter(
        "wazzup_exporter_poller_restarts_total",
        "Restarts of the account's poller after it died or got stuck.",
        PerAccount(|out, context| out.integer(context.facts.tally.restarts)),
    ),
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
