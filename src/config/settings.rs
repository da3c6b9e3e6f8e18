//! The settings that have defaults: `poll` and `export`.
//!
//! The top of the main file sets them for every account; an account may override single keys of
//! `poll`. [`PollKeys::resolve`] puts both together.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{Export, Partner, Poll, Profile};
use crate::schedule::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT, default_stale_after, least_stale_after};

use super::value::{count, duration, flag, profile};
use crate::text;
use crate::yaml::node::{MappingSection, Node};
use crate::yaml::report::Report;

/// Requests of an account in flight at the same time, unless configured.
const DEFAULT_CONCURRENCY: usize = 8;
/// Requests in flight over all accounts, unless configured.
pub(super) const DEFAULT_MAX_IN_FLIGHT: usize = 256;
/// What is shown, unless configured.
const DEFAULT_EXPORT: Export =
    Export { user_names: true, channel_names: false, profile: Profile::Full };

const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(10);
const CONCURRENCY: RangeInclusive<usize> = 1..=1024;
/// Longest request timeout and most requests in flight that an account file may set, unless the main
/// file sets more for every account: one account must not take the requests of all.
const FILE_TIMEOUT_MAX: Duration = Duration::from_mins(1);
const FILE_CONCURRENCY_MAX: usize = 16;
/// Above three times the longest interval; below what would overflow a sum of times.
const STALE_AFTER: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_hours(168);

/// What a configuration says beside its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalSettings {
    /// The rhythm of accounts that set none of their own.
    pub poll: Poll,
    /// Requests in flight at the same time over all accounts.
    pub max_in_flight: usize,
    /// What of the accounts is shown.
    pub export: Export,
    /// Below which directory files lie that account files name.
    pub secrets_dir: Option<PathBuf>,
    /// The logins that accounts may name, in the order of their names.
    pub partners: Vec<Arc<Partner>>,
}

impl Default for GlobalSettings {
    fn default() -> Self {
        let poll = Poll {
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
            concurrency: DEFAULT_CONCURRENCY,
            stale_after: default_stale_after(DEFAULT_INTERVAL, DEFAULT_TIMEOUT),
        };
        Self {
            poll,
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            export: DEFAULT_EXPORT,
            secrets_dir: None,
            partners: Vec::new(),
        }
    }
}

/// The keys of one `poll` that are given and good.
#[derive(Clone, Copy, Default)]
pub(super) struct PollKeys {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    concurrency: Option<usize>,
    stale_after: Option<Duration>,
    /// Whether a key was given but refused, so that sums with its default would mislead.
    spoilt: bool,
}

/// What a `poll` may ask for.
pub(super) struct PollBounds {
    timeout: RangeInclusive<Duration>,
    concurrency: RangeInclusive<usize>,
}

impl PollBounds {
    /// Of the main file.
    pub(super) const MAIN: Self = Self { timeout: TIMEOUT, concurrency: CONCURRENCY };

    /// Of an account file, where `defaults` are those of the main file.
    pub(super) fn account_file(defaults: PollKeys) -> Self {
        let timeout = defaults.timeout.unwrap_or(DEFAULT_TIMEOUT).max(FILE_TIMEOUT_MAX);
        let concurrency =
            defaults.concurrency.unwrap_or(DEFAULT_CONCURRENCY).max(FILE_CONCURRENCY_MAX);
        Self {
            timeout: *TIMEOUT.start()..=timeout,
            concurrency: *CONCURRENCY.start()..=concurrency,
        }
    }
}

impl PollKeys {
    /// Reads a mapping `poll`.
    pub(super) fn read(node: Node<'_>, bounds: &PollBounds, report: &mut Report) -> Self {
        let known = ["interval", "timeout", "concurrency", "stale_after"];
        let Some(section) = MappingSection::open(node, &known, report) else {
            return Self { spoilt: true, ..Self::default() };
        };
        let interval = section.get("interval").map(|node| duration(&node, &INTERVAL, report));
        let timeout = section.get("timeout").map(|node| duration(&node, &bounds.timeout, report));
        let concurrency =
            section.get("concurrency").map(|node| count(&node, &bounds.concurrency, report));
        let stale = section.get("stale_after").map(|node| duration(&node, &STALE_AFTER, report));
        Self {
            interval: interval.flatten(),
            timeout: timeout.flatten(),
            concurrency: concurrency.flatten(),
            stale_after: stale.flatten(),
            spoilt: section.has_misspelt()
                || [interval, timeout, stale].contains(&Some(None))
                || concurrency == Some(None),
        }
    }

    /// The keys as defaults for accounts. What is wrong with their sum is noted here, at `node`, and
    /// not once more for each account.
    pub(super) fn checked(self, node: Option<&Node<'_>>, report: &mut Report) -> Self {
        let spoilt = self.resolve(node, report).is_none();
        Self { spoilt, ..self }
    }

    /// These keys where given, else those of `defaults`.
    pub(super) fn over(self, defaults: Self) -> Self {
        Self {
            interval: self.interval.or(defaults.interval),
            timeout: self.timeout.or(defaults.timeout),
            concurrency: self.concurrency.or(defaults.concurrency),
            stale_after: self.stale_after.or(defaults.stale_after),
            spoilt: self.spoilt || defaults.spoilt,
        }
    }

    /// The complete settings. A `stale_after` that would hide good readings is noted at `node`, the
    /// mapping that holds the last word.
    pub(super) fn resolve(self, node: Option<&Node<'_>>, report: &mut Report) -> Option<Poll> {
        let interval = self.interval.unwrap_or(DEFAULT_INTERVAL);
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let least = least_stale_after(interval, timeout);
        let stale_after =
            self.stale_after.unwrap_or_else(|| default_stale_after(interval, timeout));
        if self.spoilt {
            return None;
        }
        if stale_after < least {
            if let Some(node) = node {
                note_short(node, stale_after, least, report);
            }
            return None;
        }
        let concurrency = self.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
        Some(Poll { interval, timeout, concurrency, stale_after })
    }
}

fn note_short(node: &Node<'_>, stale_after: Duration, least: Duration, report: &mut Report) {
    let (given, least) = (text::duration(stale_after), text::duration(least));
    let own = node.get("stale_after");
    let name = if own.is_some() { "" } else { "stale_after of the defaults " };
    let what = format!(
        "{name}is {given}, but good readings would vanish between two polls below \
         2 × interval + timeout = {least}; set stale_after to {least} or more, \
         or shorten the interval"
    );
    own.as_ref().unwrap_or(node).problem(report, &what);
}

/// Reads a mapping `export`.
pub(super) fn read_export(node: Option<Node<'_>>, report: &mut Report) -> Export {
    let mut export = DEFAULT_EXPORT;
    let known = ["user_names", "channel_names", "profile"];
    let section = node.and_then(|node| MappingSection::open(node, &known, report));
    if let Some(section) = section {
        let names = section.get("user_names").and_then(|node| flag(&node, report));
        export.user_names = names.unwrap_or(export.user_names);
        let names = section.get("channel_names").and_then(|node| flag(&node, report));
        export.channel_names = names.unwrap_or(export.channel_names);
        let chosen = section.get("profile").and_then(|node| profile(&node, report));
        export.profile = chosen.unwrap_or(export.profile);
    }
    export
}
