//! The settings that have defaults for every account: the mappings `poll` and `export` of the main file.
//!
//! An account may override single keys of `poll`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{Export, Partner, Poll, Profile};
use crate::problems::place::At;
use crate::problems::report::Scope;
use crate::schedule::{default_stale_after, least_stale_after};
use crate::text;

use super::key::{Key, Nested, Value};
use super::value::{Bounded, HOUR, MINUTE, Time, out_of_bounds};

/// Longest request timeout and most requests in flight that an account file may set, unless the main
/// file sets more for every account: one account must not take the requests of all.
const FILE_TIMEOUT_MAX: Duration = Duration::from_mins(1);
const FILE_CONCURRENCY_MAX: usize = 16;

/// How often to ask.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct PollKeys {
    /// Every user is read once in each interval.
    interval: Key<Time<100, { 24 * HOUR }>>,
    /// Time limit of one request, connecting included. In account files up to 1m, or what the main file
    /// says where that is more.
    timeout: Key<Time<10, { 10 * MINUTE }>>,
    /// Requests of one account in flight at the same time. In account files up to 16, or what the main
    /// file says where that is more.
    concurrency: Key<Bounded<1, 1024>>,
    /// Age of the last good reading from which a user's series are gone; at least 2 × interval + timeout.
    /// Default: the longest of 2m, 3 × interval and 2 × interval + timeout.
    stale_after: Key<Time<100, { 168 * HOUR }>>,
}

impl PollKeys {
    /// Whether an account file may ask for it, where `main` stands in the main file; notes what it may not.
    fn fits_file(&self, main: &Self, scope: &mut Scope<'_>) -> bool {
        let mut fits = true;
        let mut refuse = |at: At, key: &str, given: String, bounds: [String; 2]| {
            scope.problem(at, key, out_of_bounds(&given, &bounds));
            fits = false;
        };
        let longest = main.timeout.good().copied().unwrap_or_default().max(FILE_TIMEOUT_MAX);
        if let Some(own) = self.timeout.good().filter(|own| **own > longest) {
            let bounds = ["10ms".to_owned(), text::duration(longest)];
            refuse(self.timeout.at, "timeout", text::duration(*own), bounds);
        }
        let most = main.concurrency.good().copied().unwrap_or_default().max(FILE_CONCURRENCY_MAX);
        if let Some(own) = self.concurrency.good().filter(|own| **own > most) {
            let bounds = ["1".to_owned(), most.to_string()];
            refuse(self.concurrency.at, "concurrency", own.to_string(), bounds);
        }
        fits
    }
}

/// The value of an account's key where it is given, else that of the main file, whose faults are noted there.
fn over<T: Value>(
    (own, main, usual): (&Key<T>, &Key<T>, T::Of),
    name: &str,
    scope: &mut Scope<'_>,
) -> Option<T::Of> {
    if own.is_given() {
        own.get(name, scope)
    } else if main.is_given() {
        main.good().cloned()
    } else {
        Some(usual)
    }
}

impl Nested<PollKeys> {
    /// The settings of the main file, if they are good.
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Option<Poll> {
        self.check_over(&PollKeys::default(), false, scope)
    }

    /// The settings of an account over those of `main`, if both are good.
    pub(super) fn check_over(
        &self,
        main: &PollKeys,
        in_file: bool,
        scope: &mut Scope<'_>,
    ) -> Option<Poll> {
        let keys = &self.keys;
        let usual = Poll::default();
        let interval = over((&keys.interval, &main.interval, usual.interval), "interval", scope);
        let timeout = over((&keys.timeout, &main.timeout, usual.timeout), "timeout", scope);
        let concurrency = (&keys.concurrency, &main.concurrency, usual.concurrency);
        let concurrency = over(concurrency, "concurrency", scope);
        let stale_after =
            default_stale_after(interval.unwrap_or_default(), timeout.unwrap_or_default());
        let stale_after = (&keys.stale_after, &main.stale_after, stale_after);
        let stale_after = over(stale_after, "stale_after", scope);
        if in_file && !keys.fits_file(main, scope) {
            return None;
        }
        let (interval, timeout, stale_after) = (interval?, timeout?, stale_after?);
        let least = least_stale_after(interval, timeout);
        if stale_after < least {
            self.note_short(stale_after, least, scope);
            return None;
        }
        Some(Poll { interval, timeout, concurrency: concurrency?, stale_after })
    }

    /// Notes a `stale_after` that would hide good readings; what the main file says by itself is noted there.
    fn note_short(&self, stale_after: Duration, least: Duration, scope: &mut Scope<'_>) {
        if !self.is_given() {
            return;
        }
        let own = &self.keys.stale_after;
        let (at, key, whose) = if own.is_given() {
            (own.at, "stale_after", "")
        } else {
            (self.at, "", "stale_after of the defaults ")
        };
        let [stale_after, least] = [stale_after, least].map(text::duration);
        let what = format!(
            "{whose}is {stale_after}, but good readings would vanish between two polls below \
             2 × interval + timeout = {least}; set stale_after to {least} or more, \
             or shorten the interval"
        );
        scope.problem(at, key, what);
    }
}

/// What is shown.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExportKeys {
    /// Whether the users' display names appear in metrics and on the status page.
    user_names: Key<bool>,
    /// Whether the names of channels appear, which are phone numbers.
    channel_names: Key<bool>,
    /// `minimal` keeps the counters, `wazzup_user_up`, `wazzup_user_untrusted`, `wazzup_user_info` and
    /// the account metrics.
    profile: Key<Profile>,
}

impl ExportKeys {
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Export {
        let usual = Export::default();
        Export {
            user_names: self.user_names.or(usual.user_names, "user_names", scope),
            channel_names: self.channel_names.or(usual.channel_names, "channel_names", scope),
            profile: self.profile.or(usual.profile, "profile", scope),
        }
    }
}

/// What a configuration says beside its accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GlobalSettings {
    /// The intervals and limits of accounts that set none of their own.
    pub poll: Poll,
    /// Requests in flight at the same time over all accounts.
    pub max_in_flight: usize,
    /// What of the accounts is shown.
    pub export: Export,
    /// Below which directory files lie that account files name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_dir: Option<String>,
    /// The logins that accounts may name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub partners: BTreeMap<String, Arc<Partner>>,
}
