//! What a row of the tables is: a family's name, type, HELP, and the function that writes its lines.

use std::sync::Arc;
use std::time::Duration;

use super::super::text::{Format, Kind, Lines, Sample, push_label};
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

/// A metric family with samples per user or per account.
pub(in crate::exposition) struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    /// Whether `profile: minimal` keeps it.
    minimal: bool,
    ages: Ages,
    write: Write,
}

/// Writes the samples of one user or of one account.
pub(super) enum Write {
    PerUser(fn(&mut SampleWriter<'_>, &UserView, &Context<'_>)),
    PerAccount(fn(&mut SampleWriter<'_>, &Context<'_>)),
}

/// Where a family's samples of one user or of one account are written.
pub(super) struct SampleWriter<'a> {
    lines: &'a mut Lines,
    name: &'static str,
    labels: &'a str,
}

/// What makes lines change although nothing was published.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ages {
    /// Nothing.
    Never,
    /// That a reading of the users, or the newest of the account, turns stale.
    Readings,
    /// That one of the lists does.
    Lists,
    /// That a pause ends.
    Pause,
    /// The time of day, of which full minutes matter.
    TimeOfDay,
}

pub(super) const fn gauge(name: &'static str, help: &'static str, write: Write) -> Family {
    // Metrics of accounts are in every profile.
    let minimal = matches!(write, Write::PerAccount(_));
    Family { name, kind: Kind::Gauge, help, minimal, ages: Ages::Never, write }
}

pub(super) const fn counter(name: &'static str, help: &'static str, write: Write) -> Family {
    Family { kind: Kind::Counter, ..gauge(name, help, write) }
}

impl Family {
    /// Keeps a family of users in `profile: minimal`, too.
    pub(super) const fn minimal(self) -> Self {
        Self { minimal: true, ..self }
    }

    /// Notes what makes the lines change by themselves.
    pub(super) const fn aging(self, ages: Ages) -> Self {
        Self { ages, ..self }
    }

    /// Writes HELP and TYPE.
    pub(in crate::exposition) fn describe(&self, lines: &mut Lines, format: Format) {
        lines.describe(format, self.name, self.kind, self.help);
    }

    /// Writes the lines of these users of an account, or of the account itself, and returns when they have
    /// to be rendered again although nothing was published, as uptime. `labels` are those of each user, or
    /// of the account.
    pub(in crate::exposition) fn write(
        &self,
        lines: &mut Lines,
        users: &[Arc<Chunk>],
        labels: &[String],
        context: &Context<'_>,
    ) -> Option<Duration> {
        if !self.minimal && context.account.export.profile == Profile::Minimal {
            return None;
        }
        let users = users.iter().flat_map(|chunk| &**chunk);
        let mut samples = SampleWriter { lines, name: self.name, labels: "" };
        match self.write {
            Write::PerUser(write) => {
                for (user, labels) in users.clone().zip(labels) {
                    samples.labels = labels;
                    write(&mut samples, user, context);
                }
            }
            Write::PerAccount(write) => {
                for labels in labels {
                    samples.labels = labels;
                    write(&mut samples, context);
                }
            }
        }
        match (&self.write, self.ages) {
            (Write::PerUser(_), Ages::Readings) => {
                let stale_after = context.account.poll.stale_after;
                let live = users.filter(|user| user.live(stale_after, context.now).is_some());
                let readings = live.filter_map(|user| user.last_good);
                readings.map(|(_, at)| at.plus(stale_after).uptime).min()
            }
            (_, ages) => ages.expiry(context),
        }
    }
}

impl SampleWriter<'_> {
    /// Starts a sample that gets labels of its own.
    pub(super) fn sample(&mut self) -> Sample<'_> {
        self.lines.sample(self.name, self.labels)
    }

    /// Writes a sample without further labels, where there is a value.
    pub(super) fn integer(&mut self, value: impl Into<Option<u64>>) {
        if let Some(value) = value.into() {
            self.sample().integer(value);
        }
    }

    pub(super) fn flag(&mut self, value: impl Into<Option<bool>>) {
        self.integer(value.into().map(u64::from));
    }

    pub(super) fn float(&mut self, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.sample().float(value);
        }
    }

    pub(super) fn seconds(&mut self, value: impl Into<Option<Duration>>) {
        if let Some(value) = value.into() {
            self.sample().seconds(value);
        }
    }

    /// Writes a sample for each value of a label.
    pub(super) fn counts(
        &mut self,
        label: &str,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        for (value, count) in counts {
            self.sample().label(label, value).integer(count);
        }
    }
}

impl Ages {
    /// When the lines written now have to be rendered again, as uptime.
    fn expiry(self, context: &Context<'_>) -> Option<Duration> {
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
