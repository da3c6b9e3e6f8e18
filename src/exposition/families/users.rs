//! The families with samples per user.

use super::super::text::{Kind, push_label};
use super::family::UserFamily;
use crate::account::Account;
use crate::channel::Role;
use crate::counter::CounterType::{Grey, Other, Red};
use crate::snapshot::UserView;

/// The families per user.
pub(in crate::exposition) static USER_FAMILIES: [UserFamily; 9] = [
    UserFamily {
        name: "wazzup_unanswered_messages",
        kind: Kind::Gauge,
        help: "Messages that wait for a reply of the user, cached from polling. type=red: of customers the user is responsible for; type=grey: of customers the user only looks on; a user has one of them at a time and the other is 0. Never add grey to red. The sum over users is a sum of counters: a customer without a responsible user counts for several, and a setting can turn all of a manager's counters red; add up only users whose role is sales_rep where roles are known. API v3 counts the messages of the last seven days only. type=other, alone: upstream reports a type that is neither. Absent without a reading younger than stale_after.",
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
        write: |lines, name, labels, user, context| {
            if let Some((_, at)) = user.last_good {
                lines.sample(name, labels).seconds(at.unix_at(context.now));
            }
        },
    },
    UserFamily {
        name: "wazzup_last_message_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the last message of the user's customers came, unix time, as API v3 tells it. Absent with v2 and without a reading younger than stale_after.",
        minimal: false,
        ages: true,
        write: |lines, name, labels, user, context| {
            let live = user.live(context.account.poll.stale_after, context.now);
            if let Some(at) = live.and_then(|reading| reading.last_message) {
                lines.sample(name, labels).seconds(at);
            }
        },
    },
    UserFamily {
        name: "wazzup_user_untrusted",
        kind: Kind::Gauge,
        help: "1 while a reason holds why the user's counter may not count. reason=no_role: the user has no role on any channel, so the counter is always 0; no_active_channel: no message reaches the user, because none of the channels is active; unknown_user: upstream does not know the id; unknown_type: upstream reports a type that is neither red nor grey; not_known: channels or roles are configured to be read and are not known. Of these unknown_user and unknown_type withdraw the counter, the others mark it.",
        minimal: true,
        ages: true,
        write: |lines, name, labels, user, context| {
            for reason in user.untrusted(context.account.poll.stale_after, context.now) {
                lines.sample(name, labels).label("reason", reason.label()).integer(1);
            }
        },
    },
    UserFamily {
        name: "wazzup_user_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels tell the user's display name, the role that weighs most (sales_rep, manager, quality_control, other, none; empty where roles are not known) and what the configuration says about the user. Exists for every polled user, read or not.",
        minimal: true,
        ages: false,
        write: |lines, name, labels, user, context| {
            let labels = user_info(labels, context.account, user);
            lines.sample(name, &labels).integer(1);
        },
    },
];

fn user_info(labels: &str, account: &Account, view: &UserView) -> String {
    let (mut text, user) = (labels.to_owned(), &view.user);
    let name = user.name.as_deref().filter(|_| account.export.user_names);
    push_label(&mut text, "name", name.unwrap_or_default());
    push_label(&mut text, "role", view.trust.role.map_or("", Role::label));
    // A user's own label wins over the account's of the same name.
    let inherited = account.labels.iter().filter(|(name, _)| !user.labels.contains_key(*name));
    for (name, value) in inherited.chain(&user.labels) {
        push_label(&mut text, name.as_str(), value);
    }
    text
}
