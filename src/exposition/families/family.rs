//! What a row of the tables is: a family's name, type, HELP, and the function that writes its lines.

use std::sync::Arc;
use std::time::Duration;

use super::super::text::{Format, Kind, Lines, push_label};

use crate::account::{Account, Profile, User};
use crate::clock::Stamp;
use crate::snapshot::{Chunk, Facts, ListStatus, UserView};

/// What a family's lines are rendered from, beside the user.
#[derive(Debug, Clone, Copy)]
pub(in crate::exposition) struct Context<'a> {
    pub(in crate::exposition) account: &'a Account,
    pub(in crate::exposition) facts: &'a Facts,
    pub(in crate::exposition) now: Stamp,
}

/// A family with samples per user.
#[derive(Debug)]
pub(in crate::exposition) struct UserFamily {
    pub(in crate::exposition) name: &'static str,
    pub(in crate::exposition) kind: Kind,
    pub(in crate::exposition) help: &'static str,
    /// Whether `profile: minimal` keeps it.
    pub(in crate::exposition) minimal: bool,
    /// Whether the lines change when a reading turns stale.
    pub(in crate::exposition) ages: bool,
    pub(in crate::exposition) write: fn(&mut Lines, &str, &str, &UserView, &Context<'_>),
}

/// A family with samples per account.
#[derive(Debug)]
pub(in crate::exposition) struct AccountFamily {
    pub(in crate::exposition) name: &'static str,
    pub(in crate::exposition) kind: Kind,
    pub(in crate::exposition) help: &'static str,
    /// When the lines change by themselves.
    pub(in crate::exposition) ages: Ages,
    pub(in crate::exposition) write: fn(&mut Lines, &str, &str, &Context<'_>),
}

/// What makes lines change although nothing was published.
#[derive(Debug, Clone, Copy)]
pub(in crate::exposition) enum Ages {
    /// Nothing.
    Never,
    /// That the newest reading turns stale.
    Readings,
    /// That one of the lists does.
    Lists,
    /// That a pause ends.
    Pause,
    /// The time of day, of which full minutes matter.
    TimeOfDay,
}

/// A row of either table.
#[derive(Debug, Clone, Copy)]
pub(in crate::exposition) enum Family {
    User(&'static UserFamily),
    Account(&'static AccountFamily),
}

impl UserFamily {
    /// Whether the account's profile includes the family.
    pub(in crate::exposition) fn wanted(&self, account: &Account) -> bool {
        self.minimal || account.export.profile == Profile::Full
    }
}

impl Family {
    /// Writes HELP and TYPE.
    pub(in crate::exposition) fn describe(self, lines: &mut Lines, format: Format) {
        let (name, kind, help) = match self {
            Self::User(family) => (family.name, family.kind, family.help),
            Self::Account(family) => (family.name, family.kind, family.help),
        };
        lines.describe(format, name, kind, help);
    }

    /// Writes the lines of these users of an account, or of the account itself, and tells when they have
    /// to be rendered again although nothing was published, as uptime. `labels` are those of each user, or
    /// of the account.
    pub(in crate::exposition) fn write(
        self,
        lines: &mut Lines,
        users: &[Arc<Chunk>],
        labels: &[String],
        context: &Context<'_>,
    ) -> Option<Duration> {
        match self {
            Self::User(family) if !family.wanted(context.account) => None,
            Self::User(family) => {
                let users = users.iter().flat_map(|chunk| &**chunk);
                for (user, labels) in users.clone().zip(labels) {
                    (family.write)(lines, family.name, labels, user, context);
                }
                if family.ages { first_expiry(users, context) } else { None }
            }
            Self::Account(family) => {
                for labels in labels {
                    (family.write)(lines, family.name, labels, context);
                }
                family.ages.expiry(context)
            }
        }
    }
}

impl Ages {
    /// When the lines written now have to be rendered again, as uptime.
    pub(in crate::exposition) fn expiry(self, context: &Context<'_>) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Pause => context.facts.pause(context.now).map(|until| until.uptime),
            Self::TimeOfDay => {
                let second = Duration::from_nanos(context.now.unix.subsec_nanos().into());
                let second = second + Duration::from_secs(context.now.unix.as_secs() % 60);
                let minute = Duration::from_mins(1).saturating_sub(second);
                let hours = context.account.working_hours.as_ref();
                hours.map(|_| context.now.plus(minute).uptime)
            }
            Self::Readings => {
                let stale_after = context.account.poll.stale_after;
                let newest = context.facts.newest_reading;
                let live = newest.filter(|at| at.age(context.now) < stale_after);
                live.map(|at| at.plus(stale_after).uptime)
            }
            Self::Lists => {
                let expiry = |(_, list, good_for): (_, &ListStatus, Duration)| {
                    let live = list.read.filter(|at| at.age(context.now) < good_for);
                    live.map(|at| at.plus(good_for).uptime)
                };
                lists(context).into_iter().filter_map(expiry).min()
            }
        }
    }
}

/// The account's lists by the label `list`, each with how long it counts as known.
pub(super) fn lists<'a>(context: &Context<'a>) -> [(&'static str, &'a ListStatus, Duration); 3] {
    let (facts, good_for) = (context.facts, context.account.lists_good_for());
    [
        ("users", &facts.discovery, good_for.users),
        ("channels", &facts.channels, good_for.channels_and_roles),
        ("roles", &facts.roles, good_for.channels_and_roles),
    ]
}

/// The labels of every series of an account.
pub(in crate::exposition) fn account_labels(account: &Account) -> String {
    let mut labels = String::new();
    push_label(&mut labels, "account", account.name.as_str());
    labels
}

/// The labels of every series of a user.
pub(in crate::exposition) fn user_labels(account_labels: &str, user: &User) -> String {
    let mut labels = String::with_capacity(account_labels.len() + 16);
    labels.push_str(account_labels);
    push_label(&mut labels, "user", user.id.as_str());
    labels
}

/// When the first live reading among `users` turns stale.
fn first_expiry<'a>(
    users: impl Iterator<Item = &'a UserView>,
    context: &Context<'_>,
) -> Option<Duration> {
    let stale_after = context.account.poll.stale_after;
    let live = users.filter(|user| user.live(stale_after, context.now).is_some());
    let readings = live.filter_map(|user| user.last_good);
    readings.map(|(_, at)| at.plus(stale_after).uptime).min()
}
