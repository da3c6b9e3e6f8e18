//! The families with samples per user.

use super::family::Write::PerUser;
use super::family::{Ages, Family, counter, gauge};
use crate::account::LabelName;
use crate::channel::Role;
use crate::counter::CounterType::{Grey, Other, Red};

/// The families per user.
pub(in crate::exposition) static USER_FAMILIES: [Family; 9] = [
    gauge(
        "wazzup_unanswered_messages",
        "Messages that wait for a reply of the user, cached from polling. type=red: of customers the user is responsible for; type=grey: of customers the user only looks on; a user has one of them at a time and the other is 0. Never add grey to red. The sum over users is a sum of counters: a customer without a responsible user counts for several, and a setting can turn all of a manager's counters red; add up only users whose role is sales_rep where roles are known. API v3 counts the messages of the last seven days only. type=other, alone: upstream reports a type that is neither. Absent without a reading younger than stale_after.",
        PerUser(|out, user, context| {
            let shown = user.shown(context.account.poll.stale_after, context.now);
            for (kind, count) in [(Red, shown.red), (Grey, shown.grey), (Other, shown.other)] {
                if let Some(count) = count {
                    out.sample().label("type", kind.label()).integer(count);
                }
            }
        }),
    )
    .minimal()
    .aging(Ages::Readings),
    gauge(
        "wazzup_unanswered_red_since_timestamp_seconds",
        "Since when the user's red counter has been above 0 without a break, as observed, unix time. Absent while it is 0 or unknown. Gaps in the readings of up to stale_after do not break it.",
        PerUser(|out, user, context| {
            out.seconds(user.red_since(context.account.poll.stale_after, context.now));
        }),
    )
    .aging(Ages::Readings),
    counter(
        "wazzup_unanswered_increase_total",
        "Red messages that came between two readings of the user. What comes and is answered between the same two readings is not seen; a counter that turns to grey or back does not count.",
        PerUser(|out, user, _| out.integer(user.trend.increase)),
    ),
    counter(
        "wazzup_unanswered_decrease_total",
        "Red messages that were answered between two readings of the user; see wazzup_unanswered_increase_total.",
        PerUser(|out, user, _| out.integer(user.trend.decrease)),
    ),
    gauge(
        "wazzup_user_up",
        "1 if the last attempt to read the user succeeded and is younger than stale_after, judged at scrape time; 0 if not. Absent before the first attempt.",
        PerUser(|out, user, context| {
            out.flag(user.up(context.account.poll.stale_after, context.now));
        }),
    )
    .minimal()
    .aging(Ages::Readings),
    gauge(
        "wazzup_user_last_success_timestamp_seconds",
        "When the user was last read with success, unix time of the exporter's clock.",
        PerUser(|out, user, context| {
            out.seconds(user.last_good.map(|(_, at)| at.unix_at(context.now)));
        }),
    ),
    gauge(
        "wazzup_last_message_timestamp_seconds",
        "When the last message of the user's customers came, unix time, as API v3 gives it. Absent with v2 and without a reading younger than stale_after.",
        PerUser(|out, user, context| {
            let live = user.live(context.account.poll.stale_after, context.now);
            out.seconds(live.and_then(|reading| reading.last_message));
        }),
    )
    .aging(Ages::Readings),
    gauge(
        "wazzup_user_untrusted",
        "1 while a reason holds why the user's counter may not count. reason=no_role: the user has no role on any channel, so the counter is always 0; no_active_channel: no message reaches the user, because none of the channels is active; unknown_user: upstream does not know the id; unknown_type: upstream reports a type that is neither red nor grey; not_known: channels or roles are configured to be read and are not known. Of these unknown_user and unknown_type withdraw the counter, the others mark it.",
        PerUser(|out, user, context| {
            for reason in user.untrusted(context.account.poll.stale_after, context.now) {
                out.sample().label("reason", reason.label()).integer(1);
            }
        }),
    )
    .minimal()
    .aging(Ages::Readings),
    gauge(
        "wazzup_user_info",
        "Always 1; the labels tell the user's display name, the role that weighs most (sales_rep, manager, quality_control, other, none; empty where roles are not known) and what the configuration says about the user. Exists for every polled user, read or not.",
        PerUser(|out, view, context| {
            let (account, user) = (context.account, &view.user);
            let name = user.name.as_deref().filter(|_| account.export.user_names);
            let sample = out.sample().label("name", name.unwrap_or_default());
            let sample = sample.label("role", view.trust.role.map_or("", Role::label));
            // A user's own label wins over the account's of the same name.
            let own = |name: &LabelName| user.labels.contains_key(name);
            let inherited = account.labels.iter().filter(|(name, _)| !own(name));
            sample.labels(inherited).labels(&user.labels).integer(1);
        }),
    )
    .minimal(),
];
