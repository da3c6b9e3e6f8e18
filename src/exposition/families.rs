//! The metric families of accounts and users: their names, their HELP and what fills them.
//!
//! Each family is one row of a table. The order of the tables is the order of the blocks in
//! [`snapshot`](crate::snapshot) and of the families in the exposition.

use std::time::Duration;

use super::text::{Kind, Lines, push_label};
use crate::account::{Account, Api, Auth, Profile, User};
use crate::clock::Stamp;
use crate::counter::CounterType::{Grey, Other, Red};
use crate::metrics::{Endpoint, Outcome, SweepResult};
use crate::snapshot::{Facts, UserView};

/// What a family's lines are rendered from, beside the user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) account: &'a Account,
    pub(super) facts: &'a Facts,
    pub(super) now: Stamp,
}

/// A family with samples per user.
#[derive(Debug)]
pub(super) struct UserFamily {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Whether `profile: minimal` keeps it.
    pub(super) minimal: bool,
    /// Whether the lines change when a reading turns stale.
    pub(super) ages: bool,
    pub(super) write: fn(&mut Lines, &str, &str, &UserView, &Context<'_>),
}

/// A family with samples per account.
#[derive(Debug)]
pub(super) struct AccountFamily {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Whether the lines change when the newest reading turns stale.
    pub(super) ages: bool,
    pub(super) write: fn(&mut Lines, &str, &str, &Context<'_>),
}

/// The families per user.
pub(super) static USER_FAMILIES: [UserFamily; 8] = [
    UserFamily {
        name: "wazzup_unanswered_messages",
        kind: Kind::Gauge,
        help: "Messages that wait for a reply of the user, cached from polling. type=red: of customers the user is responsible for; type=grey: of customers the user only looks on; a user has one of them at a time and the other is 0. Never add grey to red. The sum over users is a sum of counters: a customer without a responsible user counts for several. type=other, alone: upstream reports a type that is neither. Absent without a reading younger than stale_after.",
        minimal: true,
        ages: true,
        write: |lines, name, labels, user, context| {
            let shown = user.shown(context.account.poll.stale_after, context.now);
            for (kind, count) in [(Red, shown.red), (Grey, shown.grey), (Other, shown.other)] {
                if let Some(count) = count {
                    lines.sample(name, labels).label("type", kind.label()).integer(count);
                }
            }
        },
    },
    UserFamily {
        name: "wazzup_unanswered_red_since_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Since when the user's red counter has been above 0 without a break, as observed, unix time. Absent while it is 0 or unknown. Gaps in the readings of up to stale_after do not break it.",
        minimal: false,
        ages: true,
        write: |lines, name, labels, user, context| {
            let stale_after = context.account.poll.stale_after;
            if let Some(since) = user.red_since(stale_after, context.now) {
                lines.sample(name, labels).seconds(since);
            }
        },
    },
    UserFamily {
        name: "wazzup_unanswered_increase_total",
        kind: Kind::Counter,
        help: "Red messages that came between two readings of the user. What comes and is answered between the same two readings is not seen; a counter that turns to grey or back does not count.",
        minimal: false,
        ages: false,
        write: |lines, name, labels, user, _| {
            lines.sample(name, labels).integer(user.trend.increase);
        },
    },
    UserFamily {
        name: "wazzup_unanswered_decrease_total",
        kind: Kind::Counter,
        help: "Red messages that were answered between two readings of the user; see wazzup_unanswered_increase_total.",
        minimal: false,
        ages: false,
        write: |lines, name, labels, user, _| {
            lines.sample(name, labels).integer(user.trend.decrease);
        },
    },
    UserFamily {
        name: "wazzup_user_up",
        kind: Kind::Gauge,
        help: "1 if the last attempt to read the user succeeded and is younger than stale_after, judged at scrape time; 0 if not. Absent before the first attempt.",
        minimal: true,
        ages: true,
        write: |lines, name, labels, user, context| {
            if let Some(up) = user.up(context.account.poll.stale_after, context.now) {
                lines.sample(name, labels).integer(u64::from(up));
            }
        },
    },
    UserFamily {
        name: "wazzup_user_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the user was last read with success, unix time of the exporter's clock.",
        minimal: false,
        ages: false,
        write: |lines, name, labels, user, _| {
            if let Some((_, at)) = user.last_good {
                lines.sample(name, labels).seconds(at.unix);
            }
        },
    },
    UserFamily {
        name: "wazzup_user_untrusted",
        kind: Kind::Gauge,
        help: "1 while a reason holds why the user's counter may not count. reason=unknown_user: upstream does not know the id; reason=unknown_type: upstream reports a type that is neither red nor grey.",
        minimal: false,
        ages: true,
        write: |lines, name, labels, user, context| {
            if let Some(reason) = user.untrusted(context.account.poll.stale_after, context.now) {
                lines.sample(name, labels).label("reason", reason.label()).integer(1);
            }
        },
    },
    UserFamily {
        name: "wazzup_user_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels tell the user's display name and what the configuration says about the user. Exists for every polled user, read or not.",
        minimal: true,
        ages: false,
        write: |lines, name, labels, user, context| {
            let labels = user_info(labels, context.account, &user.user);
            lines.sample(name, &labels).integer(1);
        },
    },
];

/// The families per account.
pub(super) static ACCOUNT_FAMILIES: [AccountFamily; 15] = [
    AccountFamily {
        name: "wazzup_up",
        kind: Kind::Gauge,
        help: "1 if the account has a reading younger than stale_after and nothing is known that fails all of its users, judged at scrape time; 0 if not.",
        ages: true,
        write: |lines, name, labels, context| {
            let up = context.facts.up(context.account.poll.stale_after, context.now);
            lines.sample(name, labels).integer(u64::from(up));
        },
    },
    AccountFamily {
        name: "wazzup_account_failing",
        kind: Kind::Gauge,
        help: "1 while no user of the account can be read, with the reason: unauthorized, forbidden, rate_limited, unreachable, server_error or malformed.",
        ages: false,
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
        ages: false,
        write: |lines, name, labels, context| {
            let labels = account_info(labels, context.account);
            lines.sample(name, &labels).integer(1);
        },
    },
    AccountFamily {
        name: "wazzup_account_users",
        kind: Kind::Gauge,
        help: "Users of the account that are polled.",
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.account.users.len() as u64);
        },
    },
    AccountFamily {
        name: "wazzup_poll_interval_seconds",
        kind: Kind::Gauge,
        help: "The configured time between two readings of a user.",
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).seconds(context.account.poll.interval);
        },
    },
    AccountFamily {
        name: "wazzup_sweep_duration_seconds",
        kind: Kind::Gauge,
        help: "How long the last finished sweep over all users of the account took.",
        ages: false,
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
        ages: false,
        write: |lines, name, labels, context| {
            if let Some(sweep) = context.facts.sweep {
                lines.sample(name, labels).seconds(sweep.finished.unix);
            }
        },
    },
    AccountFamily {
        name: "wazzup_sweeps_total",
        kind: Kind::Counter,
        help: "Finished sweeps over all users of the account. result=ok: every user was read; partial: some; failed: none.",
        ages: false,
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
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.facts.tally.overruns);
        },
    },
    AccountFamily {
        name: "wazzup_api_requests_total",
        kind: Kind::Counter,
        help: "Requests to the Wazzup24 API, by what was asked for and how it ended.",
        ages: false,
        write: |lines, name, labels, context| {
            let counts = Endpoint::ALL.into_iter().zip(context.facts.tally.requests);
            for (endpoint, counts) in counts.filter(|(one, _)| asks(context.account, *one)) {
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
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.account.rate_limit.requests.into());
        },
    },
    AccountFamily {
        name: "wazzup_api_rate_limit_window_seconds",
        kind: Kind::Gauge,
        help: "The window of wazzup_api_rate_limit_requests.",
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).seconds(context.account.rate_limit.per);
        },
    },
    AccountFamily {
        name: "wazzup_api_rate_limit_wait_seconds_total",
        kind: Kind::Counter,
        help: "Time for which requests of the account were held back to keep the limit of the API or because it asked for a pause.",
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).seconds(context.facts.tally.rate_limit_wait);
        },
    },
    AccountFamily {
        name: "wazzup_clock_skew_seconds",
        kind: Kind::Gauge,
        help: "The exporter's clock minus the clock of upstream at the newest reading. Upstream tells whole seconds, so less than 2 is nothing.",
        ages: false,
        write: |lines, name, labels, context| {
            if let Some(skew) = context.facts.clock_skew_seconds {
                lines.sample(name, labels).float(skew);
            }
        },
    },
    AccountFamily {
        name: "wazzup_exporter_poller_restarts_total",
        kind: Kind::Counter,
        help: "Restarts of the account's poller after it died or got stuck.",
        ages: false,
        write: |lines, name, labels, context| {
            lines.sample(name, labels).integer(context.facts.tally.restarts);
        },
    },
];

impl UserFamily {
    /// Whether the account's profile includes the family.
    pub(super) fn wanted(&self, account: &Account) -> bool {
        self.minimal || account.export.profile == Profile::Full
    }
}

/// The labels of every series of an account.
pub(super) fn account_labels(account: &Account) -> String {
    let mut labels = String::new();
    push_label(&mut labels, "account", account.name.as_str());
    labels
}

/// The labels of every series of a user.
pub(super) fn user_labels(account_labels: &str, user: &User) -> String {
    let mut labels = String::with_capacity(account_labels.len() + 16);
    labels.push_str(account_labels);
    push_label(&mut labels, "user", user.id.as_str());
    labels
}

/// Whether the daemon ever asks for this on behalf of the account.
fn asks(account: &Account, endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Counter => true,
        Endpoint::Users => account.discovery.is_some(),
        Endpoint::Channels => account.channels.is_some(),
        Endpoint::Settings => account.channels.is_some() && account.api == Api::V2,
        Endpoint::Token => matches!(account.auth, Auth::Partner(_) | Auth::OAuth { .. }),
        Endpoint::Webhooks => false,
    }
}

fn user_info(labels: &str, account: &Account, user: &User) -> String {
    let mut text = labels.to_owned();
    let name = user.name.as_deref().filter(|_| account.export.user_names);
    push_label(&mut text, "name", name.unwrap_or_default());
    // A user's own label wins over the account's of the same name.
    let inherited = account.labels.iter().filter(|(name, _)| !user.labels.contains_key(*name));
    for (name, value) in inherited.chain(&user.labels) {
        push_label(&mut text, name.as_str(), value);
    }
    text
}

fn account_info(labels: &str, account: &Account) -> String {
    let mut text = labels.to_owned();
    let id = account.account_id.as_ref().map_or("", |id| id.as_str());
    push_label(&mut text, "account_id", id);
    push_label(&mut text, "api", "v2");
    for (name, value) in &account.labels {
        push_label(&mut text, name.as_str(), value);
    }
    text
}

/// When the first live reading among `users` turns stale.
pub(super) fn first_expiry(users: &[UserView], context: &Context<'_>) -> Option<Duration> {
    let stale_after = context.account.poll.stale_after;
    let live = users.iter().filter(|user| user.live(stale_after, context.now).is_some());
    let readings = live.filter_map(|user| user.last_good);
    readings.map(|(_, at)| at.plus(stale_after).uptime).min()
}
