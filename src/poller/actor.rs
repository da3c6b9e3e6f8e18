//! The [`Poller`] itself: what it holds, and what every part of its work uses.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::list_requests::Lists;
use super::persist::TrendFile;
use super::report::Outage;
use super::state::PollState;
use crate::account::Account;
use crate::api::Client;
use crate::auth::TokenError;
use crate::clock::Stamp;
use crate::health::Heartbeat;
use crate::schedule::Backoff;
use crate::snapshot::{FailingReason, Slot, Writer};
use crate::storage::{DISK_TIMEOUT, Storage};
use crate::text;

/// Shortest time between two publications within a sweep.
pub const PUBLISH_PERIOD: Duration = Duration::from_secs(1);

/// Longest time that a token or a first list of users may take: a few requests, each with its own
/// timeout.
pub(super) const REQUESTS_TIMEOUT: Duration = Duration::from_mins(2);

/// Shortest pause that is logged.
const PAUSE_LOGGED_FROM: Duration = Duration::from_mins(1);

/// Longest time that the poller's files may take before it counts as stuck: the end of one operation and
/// another one.
const FILES_TIMEOUT: Duration = DISK_TIMEOUT.saturating_mul(3);

/// Polls one account.
pub struct Poller {
    pub(super) client: Arc<Client>,
    pub(super) writer: Writer,
    pub(super) state: PollState,
    pub(super) lists: Lists,
    pub(super) heartbeat: Heartbeat,
    pub(super) backoff: Backoff,
    /// Where trends are kept over restarts of the exporter, if there is a storage.
    trend_file: Option<TrendFile>,
    /// What was logged since the account cannot be read.
    pub(super) outage: Outage,
    /// Whether the failure is logged by the partner login that several accounts share.
    pub(super) logged_elsewhere: bool,
    /// The index of the user that the next sweep begins with.
    pub(super) first_user: usize,
}

impl Poller {
    /// A poller that takes over `slot` and continues from the view in it.
    pub fn new(
        client: Client,
        slot: &Arc<Slot>,
        heartbeat: Heartbeat,
        storage: Option<&Storage>,
    ) -> Self {
        let view = slot.view();
        let (state, outage) = (PollState::from_view(&view), Outage::resume(&view.facts));
        let lists = Lists::new(&state.account);
        let trend_file = storage.map(|storage| TrendFile::new(storage, &state.account));
        Self {
            client: Arc::new(client),
            writer: slot.writer(),
            state,
            lists,
            heartbeat,
            backoff: Backoff::default(),
            trend_file,
            outage,
            logged_elsewhere: false,
            first_user: 0,
        }
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        &self.state.account
    }

    /// Whether lists have to wait: until a first sweep has shown that the account can be read, and
    /// while it cannot.
    pub(super) fn holds_lists(&self) -> bool {
        self.state.facts.sweep.is_none() || self.backoff.probing()
    }

    /// Replaces the view in the slot. Nothing is rendered: that is left to the scrapes.
    pub(super) fn publish(&mut self) {
        self.note_pause();
        let slot = &self.writer.slot;
        self.state.update_trust(Stamp::now());
        let token = self.client.tokens.times();
        self.state.facts.token_expiry = token.expiry;
        self.state.facts.token_refreshed = token.last_refresh;
        let view = self.state.view(&slot.tally);
        self.writer.publish(view);
        if self.state.has_attempted() {
            self.heartbeat.note_attempt();
        }
    }

    /// Records a pause that upstream asks for, and logs it once if it is long. One of the partner's token
    /// endpoint is logged with what it stops.
    fn note_pause(&mut self) {
        let (known, own) = (self.state.facts.paused_until, self.client.limiter.paused_until());
        let all = [own, self.client.tokens.paused_until()].into_iter().flatten();
        self.state.facts.paused_until = all.max_by_key(|until| until.uptime);
        let Some(until) = own else { return };
        let left = Stamp::now().age(until);
        let longer = known.is_none_or(|known| known.age(until) > PUBLISH_PERIOD);
        if longer && left >= PAUSE_LOGGED_FROM {
            let (account, until) = (&self.account().name, text::timestamp(until.unix));
            warn!(%account, pause = text::elapsed(left), until, "Wazzup24 asks to wait");
        }
    }

    /// Continues from the trends that an earlier run of the exporter has saved.
    pub(super) async fn load_trends(&mut self) {
        self.heartbeat.next_action_at(Instant::now() + FILES_TIMEOUT);
        if let Some(file) = &mut self.trend_file {
            self.state.load_trends(file.load().await, Stamp::now());
        }
    }

    /// Saves the trends while the poller goes on.
    pub(super) fn save_trends(&mut self) {
        let now = Stamp::now();
        if let (Some(file), Some(trends)) = (&mut self.trend_file, self.state.trends_to_save(now)) {
            file.save(trends, now);
        }
    }

    /// Saves the trends and waits for that, but not for a disk that hangs.
    pub(super) async fn save_trends_now(&mut self) {
        self.heartbeat.next_action_at(Instant::now() + FILES_TIMEOUT);
        let now = Stamp::now();
        if let (Some(file), Some(trends)) = (&mut self.trend_file, self.state.trends_to_save(now)) {
            file.save_now(trends, now).await;
        }
    }
}

/// Waits for `work` and keeps the heartbeat going: for up to [`REQUESTS_TIMEOUT`], and while upstream
/// has asked for a pause.
pub(super) async fn with_heartbeat<T>(
    heartbeat: &Heartbeat,
    client: &Client,
    work: impl Future<Output = T>,
) -> T {
    let until = Instant::now() + REQUESTS_TIMEOUT;
    let mut work = std::pin::pin!(work);
    loop {
        let soon = Instant::now() + PUBLISH_PERIOD;
        heartbeat.next_action_at(if client.limiter.paused() { soon } else { soon.min(until) });
        tokio::select! {
            done = &mut work => return done,
            () = sleep_until(soon) => {}
        }
    }
}

/// Why the account fails when there is no token.
pub(super) fn reason_of(error: &TokenError) -> FailingReason {
    if error.login_needed() {
        return FailingReason::LoginNeeded;
    }
    if error.is_of_storage() {
        return FailingReason::Storage;
    }
    FailingReason::of(error.outcome()).unwrap_or(FailingReason::Unauthorized)
}
