//! The settings that have defaults for every account: the mappings `poll` and `export` of the main file.
//!
//! An account may override single keys of `poll`; [`PollKeys::over`] puts both together.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::{Export, Partner, Poll, Profile};
use crate::schedule::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT, default_stale_after, least_stale_after};
use crate::text;

use super::key::{Key, Nested};
use super::value::{Bounded, HOUR, MINUTE, Time, out_of_bounds};
use crate::problems::report::Noted;
use crate::problems::scope::Scope;

/// Longest request timeout and most requests in flight that an account file may set, unless the main
/// file sets more for every account: one account must not take the requests of all.
const FILE_TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_mins(1);
const FILE_CONCURRENCY_MAX: usize = 16;

/// How often to ask.
#[derive(Clone, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Key::is_missing")]
    stale_after: Key<Time<100, { 168 * HOUR }>>,
}

impl Default for PollKeys {
    fn default() -> Self {
        Self {
            interval: Key::of(Time(DEFAULT_INTERVAL)),
            timeout: Key::of(Time(DEFAULT_TIMEOUT)),
            concurrency: Key::of(Bounded(8)),
            stale_after: Key::MISSING,
        }
    }
}

impl From<&Poll> for PollKeys {
    fn from(poll: &Poll) -> Self {
        let Poll { interval, timeout, concurrency, stale_after } = *poll;
        Self {
            interval: Key::of(Time(interval)),
            timeout: Key::of(Time(timeout)),
            concurrency: Key::of(Bounded(concurrency)),
            stale_after: Key::of(Time(stale_after)),
        }
    }
}

impl PollKeys {
    /// The keys of an account where given, else those of the main file.
    fn over(&self, main: &Self) -> Self {
        fn one<T: Clone>(own: &Key<T>, main: &Key<T>) -> Key<T> {
            if own.is_given() { own.clone() } else { main.clone() }
        }
        Self {
            interval: one(&self.interval, &main.interval),
            timeout: one(&self.timeout, &main.timeout),
            concurrency: one(&self.concurrency, &main.concurrency),
            stale_after: one(&self.stale_after, &main.stale_after),
        }
    }

    /// Notes what is wrong with single keys.
    fn check_keys(&self, scope: &mut Scope<'_>) -> Result<(), Noted> {
        let checked = [
            self.interval.check("interval", scope).map(drop),
            self.timeout.check("timeout", scope).map(drop),
            self.concurrency.check("concurrency", scope).map(drop),
            self.stale_after.check("stale_after", scope).map(drop),
        ];
        checked.into_iter().collect()
    }

    /// Notes what an account file may not ask for, where `main` stands in the main file.
    fn check_file(&self, main: &Self, scope: &mut Scope<'_>) -> Result<(), Noted> {
        let timeout = self.timeout.good().zip(main.timeout.good()).and_then(|(own, main)| {
            let most = FILE_TIMEOUT_MAX.max(main.0);
            let bounds = || ["10ms".to_owned(), text::duration(most)];
            (own.0 > most).then(|| out_of_bounds(&text::duration(own.0), &bounds()))
        });
        let concurrency = self.concurrency.good().zip(main.concurrency.good());
        let concurrency = concurrency.and_then(|(own, main)| {
            let most = FILE_CONCURRENCY_MAX.max(main.0);
            let bounds = || ["1".to_owned(), most.to_string()];
            (own.0 > most).then(|| out_of_bounds(&own.0.to_string(), &bounds()))
        });
        let mut fits = Ok(());
        for (name, at, fault) in [
            ("timeout", self.timeout.at(), timeout),
            ("concurrency", self.concurrency.at(), concurrency),
        ] {
            // What is not given is that of the main file.
            if let (Some(fault), true) = (fault, at.is_some()) {
                scope.problem(at, name, fault);
                fits = Err(Noted);
            }
        }
        fits
    }

    /// The complete settings; nothing if a key is not good. A `stale_after` that would hide good readings is
    /// given back with the least that would not.
    fn resolve(&self) -> Option<Result<Poll, [std::time::Duration; 2]>> {
        let (Time(interval), Time(timeout)) = (*self.interval.good()?, *self.timeout.good()?);
        let Bounded(concurrency) = *self.concurrency.good()?;
        let stale_after = match self.stale_after.good() {
            Some(Time(stale_after)) => *stale_after,
            None if self.stale_after.is_missing() => default_stale_after(interval, timeout),
            None => return None,
        };
        let least = least_stale_after(interval, timeout);
        Some(if stale_after < least {
            Err([stale_after, least])
        } else {
            Ok(Poll { interval, timeout, concurrency, stale_after })
        })
    }
}

impl Nested<PollKeys> {
    /// The settings of the main file.
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Result<Poll, Noted> {
        self.keys.check_keys(scope)?;
        self.complete(&self.keys, scope)
    }

    /// The settings of an account over those of `main`, which were checked.
    pub(super) fn check_over(
        &self,
        main: &PollKeys,
        in_file: bool,
        scope: &mut Scope<'_>,
    ) -> Result<Poll, Noted> {
        self.keys.check_keys(scope)?;
        if in_file {
            self.keys.check_file(main, scope)?;
        }
        self.complete(&self.keys.over(main), scope)
    }

    fn complete(&self, keys: &PollKeys, scope: &mut Scope<'_>) -> Result<Poll, Noted> {
        let [stale_after, least] = match keys.resolve() {
            Some(Ok(poll)) => return Ok(poll),
            Some(Err(short)) => short.map(text::duration),
            None => return Err(Noted),
        };
        // What the main file says wrong by itself is noted there.
        if self.is_given() {
            let own = &self.keys.stale_after;
            let (at, key, whose) = if own.is_given() {
                (own.at(), "stale_after", "")
            } else {
                (self.at, "", "stale_after of the defaults ")
            };
            let what = format!(
                "{whose}is {stale_after}, but good readings would vanish between two polls below \
                 2 × interval + timeout = {least}; set stale_after to {least} or more, \
                 or shorten the interval"
            );
            scope.problem(at, key, what);
        }
        Err(Noted)
    }
}

/// What is shown, unless configured.
pub(super) const DEFAULT_EXPORT: Export =
    Export { user_names: true, channel_names: false, profile: Profile::Full };

/// What is shown.
#[derive(Clone, Serialize, Deserialize)]
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

impl Default for ExportKeys {
    fn default() -> Self {
        Self::from(&DEFAULT_EXPORT)
    }
}

impl From<&Export> for ExportKeys {
    fn from(export: &Export) -> Self {
        let Export { user_names, channel_names, profile } = *export;
        Self {
            user_names: Key::of(user_names),
            channel_names: Key::of(channel_names),
            profile: Key::of(profile),
        }
    }
}

impl ExportKeys {
    pub(super) fn check(&self, scope: &mut Scope<'_>) -> Result<Export, Noted> {
        let user_names = self.user_names.value("user_names", scope);
        let channel_names = self.channel_names.value("channel_names", scope);
        let profile = self.profile.value("profile", scope);
        Ok(Export { user_names: user_names?, channel_names: channel_names?, profile: profile? })
    }
}

/// What a configuration says beside its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalSettings {
    /// The intervals and limits of accounts that set none of their own.
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
