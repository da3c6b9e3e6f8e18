//! The immutable view of an account, and what it says about each user.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use super::lists::{ListStatus, SkippedUsers};
use super::reasons::{FailingReason, UntrustedReason};
use crate::account::{Account, Api, User};
use crate::channel::{Channel, ChannelsAndRoles, Role, Trust};
use crate::clock::Stamp;
use crate::counter::{CounterType, CounterValues, Reading, Trend};
use crate::metrics::{Outcome, SweepResult, TallyValues};

/// Users per [`Chunk`]: few, because a publication copies each chunk in which a user was read.
pub const CHUNK_USERS: usize = 64;

/// A run of users. It is shared by all views until one of its users changes.
pub type Chunk = Vec<UserView>;

/// Everything that is known of an account, as of one publication.
pub struct AccountView {
    /// The account's settings when this was published.
    pub account: Arc<Account>,
    /// What holds for the account as a whole.
    pub facts: Facts,
    /// The users in configuration order, [`CHUNK_USERS`] in each chunk but the last.
    pub chunks: Vec<Arc<Chunk>>,
}

/// What is known of an account as a whole.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Users that are polled.
    pub users: usize,
    /// The number of the account that the last token named, if one did.
    pub token_account: Option<String>,
    /// When the last sweep began, be it finished or not.
    pub begun: Option<Stamp>,
    /// The last finished sweep.
    pub sweep: Option<Sweep>,
    /// The newest good reading of any user.
    pub newest_reading: Option<Stamp>,
    /// Whether a counter or a list was ever read from this address with this credential, so that it is the API's.
    pub api_proven: bool,
    /// Why no user of the account can be read, while that holds.
    pub failing: Option<FailingReason>,
    /// Since when, and which reasons were logged: a successor of the poller continues from there.
    pub failing_since: Option<Stamp>,
    /// See [`Facts::failing_since`]; empty where the cause is logged elsewhere.
    pub failing_logged: Vec<FailingReason>,
    /// Whether the account's poller has died or got stuck, and waits for its restart.
    pub down: bool,
    /// Our wall clock minus upstream's at the newest reading, in seconds.
    pub clock_skew_seconds: Option<f64>,
    /// The channels and roles that were last read.
    pub channels_and_roles: ChannelsAndRoles,
    /// How reading the channels went.
    pub channels: ListStatus,
    /// How reading the roles went.
    pub roles: ListStatus,
    /// How reading the list of users went.
    pub discovery: ListStatus,
    /// Rows of the list of users that are not polled.
    pub skipped: SkippedUsers,
    /// When reading ends unless a person acts; unix time.
    pub token_expiry: Option<Duration>,
    /// When the token was last renewed; unix time.
    pub token_refreshed: Option<Duration>,
    /// When the pause ends that upstream has asked for.
    pub paused_until: Option<Stamp>,
    /// The account's counters.
    pub tally: TallyValues,
}

/// A finished sweep over all users of an account.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// When it ended.
    pub finished: Stamp,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub result: SweepResult,
}

/// What is known of one user.
#[derive(Debug, Clone)]
pub struct UserView {
    /// Who it is.
    pub user: Arc<User>,
    /// The last good answer and when it came, however old.
    pub last_good: Option<(Reading, Stamp)>,
    /// How the last attempt ended; `None` before the first.
    pub last_attempt: Option<Attempt>,
    /// What follows from the series of good readings.
    pub trend: Trend,
    /// What channels and roles say of the user.
    pub trust: Trust,
    /// Whether the user is not configured but was found in the account's list.
    pub found: bool,
}

/// How an attempt to read a user ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The outcome; [`Outcome::Ok`] for a good reading.
    pub outcome: Outcome,
    /// The error as text; free of secrets.
    pub problem: Option<Arc<str>>,
}

impl AccountView {
    /// A view of these users.
    pub fn new(account: Arc<Account>, facts: Facts, users: &[UserView]) -> Self {
        Self { account, facts, chunks: chunks(users.iter().cloned()) }
    }

    /// All users in configuration order.
    pub fn users(&self) -> impl Iterator<Item = &UserView> {
        self.chunks.iter().flat_map(|chunk| &**chunk)
    }

    /// Whether the account can be read: it has a reading younger than `stale_after`, its poller is
    /// alive, and nothing is known that fails all of its users.
    pub fn up(&self, now: Stamp) -> bool {
        self.facts.up(self.account.poll.stale_after, now)
    }
}

/// Splits users into chunks.
pub fn chunks(users: impl IntoIterator<Item = UserView>) -> Vec<Arc<Chunk>> {
    let mut users = users.into_iter();
    let next = || {
        Some(users.by_ref().take(CHUNK_USERS).collect()).filter(|chunk: &Chunk| !chunk.is_empty())
    };
    iter::from_fn(next).map(Arc::new).collect()
}

impl Facts {
    /// What is known of an account before anything was read.
    pub fn new(account: &Account, now: Stamp) -> Self {
        let channels = account.channels.is_some();
        Self {
            users: account.users.len(),
            discovery: ListStatus::new(account.discovery.is_some(), now),
            channels: ListStatus::new(channels, now),
            roles: ListStatus::new(channels && account.api == Api::V2, now),
            ..Self::default()
        }
    }

    /// The channels of the `account`, as long as the list of them is not too old to be shown.
    pub fn channels_shown(&self, account: &Account, now: Stamp) -> &[Channel] {
        let good_for = account.lists_good_for().channels_and_roles;
        let live = self.channels.read.filter(|at| at.age(now) < good_for);
        live.and(self.channels_and_roles.channels.as_deref()).unwrap_or_default()
    }

    /// When the pause ends that upstream has asked for, while it lasts.
    pub fn pause(&self, now: Stamp) -> Option<Stamp> {
        self.paused_until.filter(|until| until.uptime > now.uptime)
    }

    /// See [`AccountView::up`].
    pub fn up(&self, stale_after: Duration, now: Stamp) -> bool {
        let fresh = self.newest_reading.is_some_and(|at| at.age(now) < stale_after);
        fresh && !self.down && self.failing.is_none()
    }
}

impl UserView {
    /// A user that has not been read yet.
    pub fn new(user: Arc<User>) -> Self {
        Self {
            user,
            last_good: None,
            last_attempt: None,
            trend: Trend::default(),
            trust: Trust::default(),
            found: false,
        }
    }

    /// The last good reading if it is younger than `stale_after`, and upstream still knows the user.
    pub fn live(&self, stale_after: Duration, now: Stamp) -> Option<Reading> {
        let (reading, at) = self.last_good.filter(|_| !self.is_unknown())?;
        (at.age(now) < stale_after).then_some(reading)
    }

    /// Whether upstream says that there is no such user.
    fn is_unknown(&self) -> bool {
        self.last_attempt.as_ref().is_some_and(|last| last.outcome == Outcome::NotFound)
    }

    /// The figures to show: those of a live reading, otherwise none.
    pub fn shown(&self, stale_after: Duration, now: Stamp) -> CounterValues {
        self.live(stale_after, now).map_or(CounterValues::NOTHING, |reading| reading.values())
    }

    /// Since when red has been above 0 without a break, while a live reading says that it is; unix time
    /// in whole seconds.
    pub fn red_since(&self, stale_after: Duration, now: Stamp) -> Option<Duration> {
        let red = self.shown(stale_after, now).red?;
        let since = self.trend.red_since.filter(|_| red > 0)?;
        Some(Duration::from_secs(since.unix_at(now).as_secs()))
    }

    /// Whether the last attempt succeeded and is younger than `stale_after`; `None` before the
    /// first attempt.
    pub fn up(&self, stale_after: Duration, now: Stamp) -> Option<bool> {
        let attempt = self.last_attempt.as_ref()?;
        Some(attempt.outcome == Outcome::Ok && self.live(stale_after, now).is_some())
    }

    /// Why the counter may not count: every reason that is known.
    pub fn untrusted(
        &self,
        stale_after: Duration,
        now: Stamp,
    ) -> impl Iterator<Item = UntrustedReason> {
        let live = self.live(stale_after, now);
        let odd = |reading: Reading| reading.kind == CounterType::Other && reading.count > 0;
        UntrustedReason::ALL.iter().copied().filter(move |reason| match reason {
            UntrustedReason::NoRole => self.trust.role == Some(Role::None),
            UntrustedReason::NoActiveChannel => self.trust.cut_off,
            UntrustedReason::UnknownUser => self.is_unknown(),
            UntrustedReason::UnknownType => live.is_some_and(odd),
            UntrustedReason::NotKnown => self.trust.not_known,
        })
    }
}
