//! What is known now: immutable views of accounts, and the slots that hold the current ones.
//!
//! Each account has one [`Slot`]. Its poller, as the [`Writer`], replaces the [`AccountView`] in it; a
//! scrape or the status page loads the view once and sees one publication, never half of one. The
//! [`Directory`] of slots is swapped as a whole. Users are kept in [`Chunk`]s with their
//! already rendered lines beside them, so that a publication rebuilds only what changed. Beside the view
//! a slot keeps a short [`History`] for the status page.

mod history;
mod totals;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::Crc;

pub use self::history::{History, POINTS, Past, Point};
pub use self::totals::Totals;

use crate::account::{Account, User};
use crate::blocking::lock;
use crate::channel::{Channel, ChannelsAndRoles, Role, Trust};
use crate::clock::Stamp;
use crate::counter::{CounterType, CounterValues, Reading, Trend};
use crate::metrics::{Outcome, SweepResult, Tally, TallyValues};

/// Users per [`Chunk`], the grain of rendering and compressing anew.
pub const CHUNK_USERS: usize = 1000;

/// The accounts being polled, in configuration order.
#[derive(Debug, Default)]
pub struct Directory {
    slots: ArcSwap<Vec<Arc<Slot>>>,
}

/// Where one account's current view is found.
#[derive(Debug)]
pub struct Slot {
    /// The account's counters; they outlive restarts of its poller.
    pub tally: Arc<Tally>,
    /// The account's last hours.
    pub history: Arc<History>,
    view: ArcSwap<AccountView>,
    /// The number of the writer that may publish.
    writer: Mutex<u64>,
}

/// The right to publish in a slot. There is one at a time: a newer one ends it, so that a poller that
/// was given up cannot overwrite its successor when it wakes up after all.
#[derive(Debug)]
pub struct Writer {
    slot: Arc<Slot>,
    number: u64,
}

/// Everything that is known of an account, as of one publication.
#[derive(Debug)]
pub struct AccountView {
    /// The account's settings when this was published.
    pub account: Arc<Account>,
    /// What holds for the account as a whole.
    pub facts: Facts,
    /// The users in configuration order, [`CHUNK_USERS`] in each chunk but the last.
    pub chunks: Vec<Arc<Chunk>>,
    /// Rendered lines of the account's own families, in the exposition's order.
    pub blocks: Vec<Block>,
}

/// A run of users and their rendered lines.
#[derive(Debug)]
pub struct Chunk {
    /// The users.
    pub users: Vec<UserView>,
    /// Their rendered lines, one block per family in the exposition's order.
    pub blocks: Vec<Block>,
}

/// Rendered lines of one metric family, without its HELP and TYPE.
#[derive(Debug, Clone)]
pub struct Block {
    /// The lines.
    pub text: Bytes,
    /// The same, compressed: part of a deflate stream that ends on a byte boundary and refers to
    /// nothing before it, so that such parts can be put one behind the other.
    pub deflated: Bytes,
    /// Checksum of `text`.
    pub crc: Arc<Crc>,
    /// Uptime ([`Stamp::uptime`]) at which a figure in it turns stale; from then on the lines have
    /// to be rendered anew.
    pub expires: Option<Duration>,
}

/// What is known of an account as a whole.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Users that are polled.
    pub users: usize,
    /// When the last sweep began, be it finished or not.
    pub begun: Option<Stamp>,
    /// The last finished sweep.
    pub sweep: Option<Sweep>,
    /// The newest good reading of any user.
    pub newest_reading: Option<Stamp>,
    /// Why no user of the account can be read, while that holds.
    pub failing: Option<FailingReason>,
    /// Since when, and which reasons the log was told: a poller that follows goes on from there.
    pub failing_since: Option<Stamp>,
    /// See [`Facts::failing_since`]; none where somebody else's line says why.
    pub failing_logged: Vec<FailingReason>,
    /// Whether the account's poller has died or got stuck, and waits for its restart.
    pub down: bool,
    /// Our wall clock minus upstream's at the newest reading, in seconds.
    pub clock_skew_seconds: Option<f64>,
    /// The channels and roles that were last read.
    pub channels_and_roles: ChannelsAndRoles,
    /// How reading the channels went.
    pub channels: Listing,
    /// How reading the roles went.
    pub roles: Listing,
    /// How finding users went.
    pub discovery: Listing,
    /// Users who were found and are more than may be polled.
    pub left_out: usize,
    /// When reading ends unless a person acts; unix time.
    pub token_expiry: Option<Duration>,
    /// When the token was last renewed; unix time.
    pub token_refreshed: Option<Duration>,
    /// The account's counters.
    pub tally: TallyValues,
}

/// How reading one of the account's lists went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// When it was last read with success.
    pub read: Option<Stamp>,
    /// What went wrong at the last attempt, in words; `None` if it succeeded.
    pub problem: Option<Arc<str>>,
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
    /// What the row of good answers tells.
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
    /// What went wrong, in words for people; free of secrets.
    pub problem: Option<Arc<str>>,
}

/// Why no user of an account can be read: the label `reason` of `wazzup_account_failing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailingReason {
    /// The token is missing, wrong, ended or revoked.
    Unauthorized,
    /// The token may not read counters.
    Forbidden,
    /// The customer has to log in again, nothing else can give a token.
    LoginNeeded,
    /// Upstream says that the limit is passed.
    RateLimited,
    /// Nobody answers.
    Unreachable,
    /// Upstream answers 5xx.
    ServerError,
    /// Upstream answers something that is not its API.
    Malformed,
}

/// Why a user's counter may not count: the label `reason` of `wazzup_user_untrusted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntrustedReason {
    /// The user has no role on any channel, so the counter is always 0.
    NoRole,
    /// No message can reach the user, because none of the channels is active.
    NoActiveChannel,
    /// Upstream does not know the user.
    UnknownUser,
    /// Upstream reports a type that is neither red nor grey.
    UnknownType,
}

impl Directory {
    /// The slots now.
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// The longest time limit of a request of any account.
    pub fn longest_timeout(&self) -> Duration {
        let slots = self.slots();
        slots.iter().map(|slot| slot.view().account.poll.timeout).max().unwrap_or_default()
    }

    /// Replaces all slots at once.
    pub fn replace(&self, slots: Vec<Arc<Slot>>) {
        self.slots.store(Arc::new(slots));
    }
}

impl Slot {
    /// A slot that shows `view` until the first publication.
    pub fn new(tally: Arc<Tally>, view: AccountView) -> Self {
        let (view, writer) = (ArcSwap::from_pointee(view), Mutex::default());
        Self { tally, history: Arc::default(), view, writer }
    }

    /// The same slot with the history of an earlier one of the same account.
    #[must_use]
    pub fn continuing(self, earlier: &Self) -> Self {
        Self { history: Arc::clone(&earlier.history), ..self }
    }

    /// The current view.
    pub fn view(&self) -> Arc<AccountView> {
        self.view.load_full()
    }

    /// Takes over the right to publish.
    pub fn writer(self: &Arc<Self>) -> Writer {
        let mut current = lock(&self.writer);
        *current += 1;
        Writer { slot: Arc::clone(self), number: *current }
    }
}

impl Writer {
    /// The slot.
    pub fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Replaces the view, unless a newer writer has taken over.
    pub fn publish(&self, view: AccountView) {
        let current = lock(&self.slot.writer);
        if *current == self.number {
            self.slot.view.store(Arc::new(view));
        }
    }
}

impl AccountView {
    /// All users in configuration order.
    pub fn users(&self) -> impl Iterator<Item = &UserView> {
        self.chunks.iter().flat_map(|chunk| &chunk.users)
    }

    /// Whether the account can be read: it has a reading younger than `stale_after`, its poller is
    /// alive, and nothing is known that fails all of its users.
    pub fn up(&self, now: Stamp) -> bool {
        self.facts.up(self.account.poll.stale_after, now)
    }
}

/// How long a list of channels may be shown after it was read.
pub fn channels_good_for(account: &Account) -> Duration {
    let refresh = account.channels.map_or(Duration::ZERO, |channels| channels.refresh_interval);
    account.poll.stale_after.max(refresh.saturating_mul(3))
}

impl Facts {
    /// The channels of the `account`, as long as the list of them is not too old to be shown.
    pub fn channels_shown(&self, account: &Account, now: Stamp) -> &[Channel] {
        let good_for = channels_good_for(account);
        let live = self.channels.read.filter(|at| at.age(now) < good_for);
        live.and(self.channels_and_roles.channels.as_deref()).unwrap_or_default()
    }

    /// See [`AccountView::up`].
    pub fn up(&self, stale_after: Duration, now: Stamp) -> bool {
        let fresh = self.newest_reading.is_some_and(|at| at.age(now) < stale_after);
        fresh && !self.down && self.failing.is_none()
    }
}

impl UserView {
    /// A user nobody has asked for yet.
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

    /// The last good reading if it is younger than `stale_after`.
    pub fn live(&self, stale_after: Duration, now: Stamp) -> Option<Reading> {
        let (reading, at) = self.last_good?;
        (at.age(now) < stale_after).then_some(reading)
    }

    /// The figures to show: those of a live reading, otherwise none.
    pub fn shown(&self, stale_after: Duration, now: Stamp) -> CounterValues {
        self.live(stale_after, now).map_or(CounterValues::NOTHING, |reading| reading.values())
    }

    /// Since when red has been above 0 without a break, while a live reading says that it is.
    pub fn red_since(&self, stale_after: Duration, now: Stamp) -> Option<Duration> {
        let red = self.shown(stale_after, now).red?;
        self.trend.red_since.filter(|_| red > 0)
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
        let attempt = self.last_attempt.as_ref();
        let live = self.live(stale_after, now);
        let odd = |reading: Reading| reading.kind == CounterType::Other && reading.count > 0;
        UntrustedReason::ALL.into_iter().filter(move |reason| match reason {
            UntrustedReason::NoRole => self.trust.role == Some(Role::None),
            UntrustedReason::NoActiveChannel => self.trust.cut_off,
            UntrustedReason::UnknownUser => {
                attempt.is_some_and(|last| last.outcome == Outcome::NotFound)
            }
            UntrustedReason::UnknownType => live.is_some_and(odd),
        })
    }
}

impl FailingReason {
    /// The reason that a request's outcome would be if every user shared it; `None` for a success
    /// and for what concerns one user only.
    pub fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Ok | Outcome::NotFound => None,
            Outcome::Unauthorized => Some(Self::Unauthorized),
            Outcome::Forbidden => Some(Self::Forbidden),
            Outcome::RateLimited => Some(Self::RateLimited),
            Outcome::Timeout | Outcome::Connect => Some(Self::Unreachable),
            Outcome::ServerError => Some(Self::ServerError),
            Outcome::ClientError | Outcome::Malformed => Some(Self::Malformed),
        }
    }

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::LoginNeeded => "login_needed",
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
        }
    }
}

impl UntrustedReason {
    /// Every reason, in the order of the exposition.
    pub const ALL: [Self; 4] =
        [Self::NoRole, Self::NoActiveChannel, Self::UnknownUser, Self::UnknownType];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoRole => "no_role",
            Self::NoActiveChannel => "no_active_channel",
            Self::UnknownUser => "unknown_user",
            Self::UnknownType => "unknown_type",
        }
    }
}
