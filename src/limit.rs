//! The one choke point of an account: every request to upstream waits here for its permit.
//!
//! A [`Pace`] spaces the requests of one credential evenly, so that no window of the limit, however
//! aligned, holds too many; accounts that share a credential share it, and a response 429 pauses all
//! of them. A [`Limiter`] bounds the requests of one account in flight and serves its [`Lane`]s in
//! order; a [`GlobalLimit`] bounds those of all accounts. The account's permit comes first, so that a
//! account whose requests hang does not hold permits that others could use.
//! [`api`](crate::api) holds a [`Permit`] for as long as a request is open.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::account::{Account, Credential, RateLimit};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::metrics::Tally;
use crate::schedule::Spacing;

/// The order in which the waiting requests of an account are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Requests that others wait for: tokens and the reset itself.
    Urgent,
    /// Fresh readings that a reset waits for.
    Fresh,
    /// Counters of users.
    Counter,
    /// Lists of users, channels and settings.
    List,
}

const LANES: usize = 4;

/// Time between two [`Ticks`].
const TICK: Duration = Duration::from_millis(20);

/// When requests are sent that wait for their time: all that became due since the tick before, of all accounts.
///
/// Waking a process that sleeps costs as much as a request, and accounts would wake it for each of theirs.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    first: Instant,
}

/// The limit of requests in flight over all accounts.
///
/// Those who wait for a permit are served in turn, and an account waits for one at a time. Accounts that
/// are down to one request in flight share a quarter of the permits, so that hanging ones leave the rest
/// to the others.
#[derive(Clone)]
pub struct GlobalLimit {
    permits: Arc<ArcSwap<Permits>>,
    ticks: Ticks,
}

/// The permits of a [`GlobalLimit`]; where their number changes, new ones count beside those in use.
struct Permits {
    requests: usize,
    all: Arc<Semaphore>,
    reduced: Arc<Semaphore>,
}

/// The even spacing of the requests of one credential.
pub struct Pace {
    limit: RateLimit,
    spacing: Spacing,
    state: Mutex<PaceState>,
    /// Accounts that share the credential queue here.
    queue: tokio::sync::Mutex<()>,
}

struct PaceState {
    /// The earliest time of the next request, were there no pause.
    next: Instant,
    /// Upstream asked for a pause until then.
    paused_until: Instant,
    /// The same, to be shown.
    pause_end: Option<Stamp>,
}

/// The paces of all credentials in use. One outlives the limiters that use it while it still has to
/// hold back: a restarted account must not forget a pause.
#[derive(Default)]
pub struct Paces(Mutex<HashMap<Credential, Arc<Pace>>>);

/// Grants permits to the requests of one account.
#[derive(Clone)]
pub struct Limiter(Arc<Dispatcher>);

/// Ends the dispatcher with the last clone of its limiter.
struct Dispatcher {
    inner: Arc<Inner>,
    task: AbortHandle,
}

struct Inner {
    state: Mutex<State>,
    /// A waiter came, a permit came back, or more became allowed.
    changed: Notify,
    pace: Arc<Pace>,
    global: GlobalLimit,
    tally: Arc<Tally>,
}

struct State {
    waiters: [VecDeque<oneshot::Sender<Permit>>; LANES],
    in_flight: usize,
    concurrency: usize,
    timeouts_in_a_row: usize,
    /// The most requests in flight at once since the last response.
    most_in_flight: usize,
}

/// Permission to have one request open; given back when dropped.
pub struct Permit {
    inner: Arc<Inner>,
    _global: OwnedSemaphorePermit,
    _reduced: Option<OwnedSemaphorePermit>,
}

impl GlobalLimit {
    /// Allows `requests` in flight.
    pub fn new(requests: usize) -> Self {
        let permits = Arc::new(ArcSwap::from_pointee(Permits::new(requests)));
        Self { permits, ticks: Ticks { first: Instant::now() } }
    }

    /// Allows `requests` from now on, if that is a change, beside those that are in flight or wait already.
    pub fn set_limit(&self, requests: usize) {
        if self.permits.load().requests != requests {
            self.permits.store(Arc::new(Permits::new(requests)));
        }
    }
}

impl Permits {
    fn new(requests: usize) -> Self {
        let counts = [requests, (requests / 4).max(1)];
        let [all, reduced] = counts.map(|count| Arc::new(Semaphore::new(count)));
        Self { requests, all, reduced }
    }
}

impl Ticks {
    /// The first tick that is not before `due`.
    fn at(self, due: Instant) -> Instant {
        let late = due.saturating_duration_since(self.first).as_nanos() % TICK.as_nanos();
        let left = (TICK.as_nanos() - late) % TICK.as_nanos();
        due + Duration::from_nanos(left as u64)
    }
}

impl Paces {
    /// The pace of the account's credential, shared with other accounts that use it.
    pub fn of(&self, account: &Account) -> Arc<Pace> {
        let limit = account.rate_limit;
        let mut paces = lock(&self.0);
        let now = Instant::now();
        paces.retain(|_, pace| Arc::strong_count(pace) > 1 || pace.next_slot() > now);
        match paces.get(&account.credential()) {
            Some(pace) if pace.limit == limit => Arc::clone(pace),
            changed => {
                let pace = Arc::new(Pace::new(limit));
                if let Some(earlier) = changed {
                    pace.pause(earlier.next_slot().saturating_duration_since(now));
                }
                paces.insert(account.credential(), Arc::clone(&pace));
                pace
            }
        }
    }
}

impl Pace {
    /// A pace that keeps `limit` in any window and has sent nothing yet.
    pub fn new(limit: RateLimit) -> Self {
        let spacing = Spacing::new(limit.usable(), limit.per);
        let now = Instant::now();
        let state = Mutex::new(PaceState { next: now, paused_until: now, pause_end: None });
        Self { limit, spacing, state, queue: tokio::sync::Mutex::default() }
    }

    /// Sends nothing for `pause`; a pause that is already longer stays.
    pub fn pause(&self, pause: Duration) {
        let mut state = lock(&self.state);
        let until = Instant::now() + pause;
        if until > state.paused_until {
            state.paused_until = until;
            state.pause_end = Some(Stamp::now().plus(pause));
        }
    }

    /// Takes the next slot, or returns the earliest time of one.
    fn take(&self) -> Result<(), Instant> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let earliest = state.next.max(state.paused_until);
        if now < earliest {
            return Err(earliest);
        }
        // Timers are coarse: their delay is made up for, within the tolerance.
        let at = state.next.max(now.checked_sub(self.spacing.tolerance).unwrap_or(now));
        state.next = at + self.spacing.between;
        Ok(())
    }

    fn next_slot(&self) -> Instant {
        let state = lock(&self.state);
        state.next.max(state.paused_until)
    }
}

impl Limiter {
    /// Allows `concurrency` requests of an account in flight, in the pace of its credential. Must be
    /// called within a runtime, which runs its dispatcher.
    pub fn new(
        concurrency: usize,
        pace: Arc<Pace>,
        global: GlobalLimit,
        tally: Arc<Tally>,
    ) -> Self {
        let waiters = Default::default();
        let state =
            State { waiters, in_flight: 0, concurrency, timeouts_in_a_row: 0, most_in_flight: 0 };
        let state = Mutex::new(state);
        let inner = Arc::new(Inner { state, changed: Notify::new(), pace, global, tally });
        let task = tokio::spawn(dispatch(Arc::clone(&inner))).abort_handle();
        Self(Arc::new(Dispatcher { inner, task }))
    }

    /// Waits for a permit: first come, first served within a lane.
    pub async fn acquire(&self, lane: Lane) -> Permit {
        if let Some(permit) = self.0.inner.grant_at_once() {
            return permit;
        }
        let (grant, granted) = oneshot::channel();
        lock(&self.0.inner.state).lane(lane).push_back(grant);
        self.0.inner.changed.notify_one();
        granted.await.expect("the dispatcher lives as long as its limiter and answers every waiter")
    }

    /// When to send a request that is `due`, unless something else wakes its poller in between.
    pub(crate) fn tick(&self, due: Instant) -> Instant {
        self.0.inner.global.ticks.at(due)
    }

    /// Pauses after a response 429: for `retry_after`, or for a whole window of the limit, which reaches
    /// into upstream's next window wherever its windows begin.
    pub fn pause(&self, retry_after: Option<Duration>) {
        let pace = &self.0.inner.pace;
        // A date that is past by our clock is no reason to continue at once.
        pace.pause(retry_after.filter(|wait| !wait.is_zero()).unwrap_or(pace.limit.per));
    }

    /// Whether a pause is not over yet.
    pub fn paused(&self) -> bool {
        self.paused_until().is_some()
    }

    /// When the pause ends that is not over yet.
    pub fn paused_until(&self) -> Option<Stamp> {
        let state = lock(&self.0.inner.pace.state);
        state.pause_end.filter(|_| state.paused_until > Instant::now())
    }

    /// Notes how a request ended. Once as many in a row as may be in flight have timed out, the
    /// account continues with a single one, so that it does not use up the global limit; the first response
    /// of any kind ends that.
    pub fn request_ended(&self, timed_out: bool) {
        let mut state = lock(&self.0.inner.state);
        if timed_out {
            state.timeouts_in_a_row += 1;
        } else {
            state.timeouts_in_a_row = 0;
            state.most_in_flight = state.in_flight;
        }
        self.0.inner.notify_for_waiter(state);
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<oneshot::Sender<Permit>> {
        self.waiters.get_mut(lane as usize).expect("there is a queue for each lane")
    }

    fn has_capacity(&self) -> bool {
        self.in_flight < if self.is_reduced() { 1 } else { self.concurrency }
    }

    /// Whether the account is down to one request in flight: as many in a row have timed out as were
    /// open at once.
    fn is_reduced(&self) -> bool {
        self.timeouts_in_a_row >= self.most_in_flight.clamp(1, self.concurrency.max(1))
    }

    /// Whether a waiter is left that was not dropped.
    fn has_waiter(&mut self) -> bool {
        for lane in &mut self.waiters {
            while lane.front().is_some_and(oneshot::Sender::is_closed) {
                lane.pop_front();
            }
        }
        self.waiters.iter().any(|lane| !lane.is_empty())
    }

    fn next_waiter(&mut self) -> Option<oneshot::Sender<Permit>> {
        self.has_waiter();
        self.waiters.iter_mut().find_map(VecDeque::pop_front)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.inner.state);
        state.in_flight -= 1;
        self.inner.notify_for_waiter(state);
    }
}

/// Grants permits for ever: one at a time, when the account, the pace and the global limit allow it.
async fn dispatch(inner: Arc<Inner>) {
    loop {
        inner.wait_for_demand().await;
        let reduced = inner.wait_for_reduced().await;
        let queue = inner.wait_for_pace().await;
        let global = acquire(&inner.global.permits.load_full().all).await;
        inner.grant(global, reduced);
        drop(queue);
    }
}

async fn acquire(permits: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = Arc::clone(permits).acquire_owned().await;
    permit.expect("this semaphore is never closed")
}

impl Inner {
    /// Waits until there is a waiter and the account has room for its request.
    async fn wait_for_demand(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = lock(&self.state);
                if state.has_capacity() && state.has_waiter() {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Waits for one of the permits of accounts that are down to one request in flight, if this is one:
    /// while upstream asks for no pause, and without holding up accounts of the same credential.
    async fn wait_for_reduced(&self) -> Option<OwnedSemaphorePermit> {
        if !lock(&self.state).is_reduced() {
            return None;
        }
        drop(self.wait_for_pace().await);
        Some(acquire(&self.global.permits.load_full().reduced).await)
    }

    /// Waits for the queue and for the pace, and counts how long the account was held back.
    async fn wait_for_pace(&self) -> tokio::sync::MutexGuard<'_, ()> {
        let started = Instant::now();
        let queue = self.pace.queue.lock().await;
        loop {
            let free = self.pace.next_slot();
            if free <= Instant::now() {
                break;
            }
            // A pace that makes up for less than a tick and a late timer would lose requests.
            let makes_up = self.pace.spacing.tolerance >= 2 * TICK;
            sleep_until(if makes_up { self.global.ticks.at(free) } else { free }).await;
        }
        self.tally.change(|tally| tally.rate_limit_wait += started.elapsed());
        queue
    }

    /// Grants one permit, unless the waiters were dropped meanwhile or a pause began.
    fn grant(
        self: &Arc<Self>,
        global: OwnedSemaphorePermit,
        reduced: Option<OwnedSemaphorePermit>,
    ) {
        let mut state = lock(&self.state);
        if !state.has_waiter() || self.pace.take().is_err() {
            return;
        }
        let Some(waiter) = state.next_waiter() else { return };
        let permit = self.permit(&mut state, global, reduced);
        drop(state);
        // A waiter that was dropped meanwhile returns the permit by dropping it.
        let _ = waiter.send(permit);
    }

    /// A permit without the dispatcher, where no request waits and nothing has to be waited for: that saves each
    /// request three turns of another task.
    fn grant_at_once(self: &Arc<Self>) -> Option<Permit> {
        let mut state = lock(&self.state);
        if !state.has_capacity() || state.is_reduced() || state.has_waiter() {
            return None;
        }
        let _queue = self.pace.queue.try_lock().ok()?;
        let global = Arc::clone(&self.global.permits.load().all).try_acquire_owned().ok()?;
        self.pace.take().ok()?;
        Some(self.permit(&mut state, global, None))
    }

    fn permit(
        self: &Arc<Self>,
        state: &mut State,
        global: OwnedSemaphorePermit,
        reduced: Option<OwnedSemaphorePermit>,
    ) -> Permit {
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        Permit { inner: Arc::clone(self), _global: global, _reduced: reduced }
    }

    /// Makes the dispatcher look again if a request waits for it.
    fn notify_for_waiter(&self, mut state: MutexGuard<'_, State>) {
        let waits = state.has_waiter();
        drop(state);
        if waits {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
