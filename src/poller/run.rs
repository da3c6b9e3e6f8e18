//! The poller's loop: sweeps in the account's schedule, lists in between, resets between sweeps.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::actor::{PUBLISH_PERIOD, Poller};
use super::held::HeldPoller;
use super::outcomes::SweepOutcomes;
use super::registry::{HoldRequest, Interrupts, Registry};
use super::report::Outage;
use super::slots::{StartMode, SweepSchedule, changed_view};
use super::state::PollState;
use super::sweep::SweepPace;
use crate::api::Client;
use crate::clock::Stamp;
use crate::health::Heartbeat;
use crate::metrics::Outcome;
use crate::shutdown::Shutdown;
use crate::snapshot::FailingReason;
use crate::text;

/// Longest pause that a single sweep waits for.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// How often a file is looked at whose token is refused, where the interval is longer.
const TOKEN_FILE_PERIOD: Duration = Duration::from_secs(30);

impl Poller {
    /// Sweeps until `shutdown`, which ends it at once, or until `stop`: then it waits for the responses
    /// to what it has sent, publishes and saves. A reset that was decided is executed either way; it finds
    /// the poller in `registry`.
    pub fn run(
        self,
        registry: &Arc<Registry>,
        mode: StartMode,
        stop: Shutdown,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Now, so that it is found as soon as its account is known.
        let interrupts = registry.register(self.account(), &self.writer.slot.tally, stop);
        self.poll_until(mode, interrupts, shutdown)
    }

    async fn poll_until(mut self, mode: StartMode, interrupts: Interrupts, shutdown: Shutdown) {
        let schedule = tokio::select! {
            biased;
            () = shutdown.wait() => return,
            schedule = self.start(mode) => schedule,
        };
        self.load_trends().await;
        let mut poller = self.sweep_in(schedule, interrupts, &shutdown).await;
        if !shutdown.has_begun() {
            poller.publish();
            poller.save_trends_now().await;
        }
    }

    /// Reads the lists, makes one sweep and publishes the result. Gives up when upstream asks for a pause
    /// that is too long to wait for, and returns when it ends.
    pub async fn run_once(mut self) -> Option<Stamp> {
        let client = Arc::clone(&self.client);
        let paused_until = tokio::select! {
            () = self.read_once() => None,
            until = long_pause(&client) => Some(until),
        };
        if let Some(until) = paused_until {
            let problem = format!("Wazzup24 asks to wait until {}", text::timestamp(until.unix));
            self.state.fail_all_users(&problem, Outcome::RateLimited);
            self.state.facts.failing = Some(FailingReason::RateLimited);
        }
        self.publish();
        paused_until
    }

    async fn read_once(&mut self) {
        let client = Arc::clone(&self.client);
        for _ in 0..self.lists.due() {
            let update = self.lists.next(&client, false).await;
            self.apply(update);
        }
        let (alone, slot) = (Arc::new(Registry::default()), &self.writer.slot);
        let mut never = alone.register(self.account(), &slot.tally, Shutdown::default());
        self.sweep(None, SweepPace::Share, &mut never).await;
    }

    /// Waits for the predecessor, if there is one, and continues from what it published last.
    async fn start(&mut self, mode: StartMode) -> SweepSchedule {
        let predecessor = match mode {
            StartMode::After(first) => return SweepSchedule::after(first),
            StartMode::TakeOver(predecessor) => predecessor,
        };
        // The supervisor gives up a predecessor that is stuck, so this wait ends.
        keep_alive(&self.heartbeat, predecessor.ended.cancelled()).await;
        let last = predecessor.slot.view();
        if let Some(view) = changed_view(&predecessor.slot, Arc::clone(self.account())) {
            self.state = PollState::from_view(&view);
            self.writer.publish(view);
        }
        // Also where it is another account at Wazzup24 by now: the log names it by its configured name.
        self.outage = Outage::resume(&last.facts);
        SweepSchedule::resume(&last, self.account())
    }

    /// Sweeps until it is asked to stop.
    async fn sweep_in(
        mut self,
        schedule: SweepSchedule,
        mut interrupts: Interrupts,
        shutdown: &Shutdown,
    ) -> Self {
        let SweepSchedule { origin, mut due, hurried, mut skip_read_since } = schedule;
        let mut pace = if hurried { SweepPace::Share } else { SweepPace::Spread };
        loop {
            self.idle_until(origin + due, &mut interrupts).await;
            if !interrupts.begun() {
                tokio::select! {
                    biased;
                    () = shutdown.wait() => return self,
                    () = self.sweep(skip_read_since.take(), pace, &mut interrupts) => {}
                }
            }
            if interrupts.stop.has_begun() {
                // A reset that waits is dropped, which its caller sees; the successor takes the next one.
                return self;
            }
            if let Some(request) = interrupts.hold.take() {
                self = self.hand_over(request, &interrupts.stop).await;
                // The sweep that was broken off is repeated at once and shows the new counters.
                (due, pace) = (origin.elapsed(), SweepPace::Share);
            } else {
                due = self.next_due(due, origin.elapsed());
                // After an outage the readings of everybody are missing.
                let failing = self.state.facts.failing.is_some();
                pace = if failing { SweepPace::Share } else { SweepPace::Spread };
                self.publish();
                self.save_trends();
            }
        }
    }

    /// Reads lists and publishes on request until a sweep is due, or the poller is interrupted.
    async fn idle_until(&mut self, due: Instant, interrupts: &mut Interrupts) {
        let hold = self.holds_lists();
        let client = Arc::clone(&self.client);
        let period = self.account().poll.interval.min(TOKEN_FILE_PERIOD);
        let mut token_replaced = pin!(client.tokens.replaced(period));
        while !interrupts.begun() {
            self.heartbeat.next_action_at(due);
            tokio::select! {
                () = sleep_until(due) => return,
                () = &mut token_replaced, if self.backoff.refused() => return,
                update = self.lists.next(&self.client, hold) => self.apply(update),
                () = interrupts.next() => {}
            }
            if !interrupts.begun() {
                self.publish();
            }
        }
    }

    /// When the next sweep is due after the one that was `due` and has ended at `finished`.
    fn next_due(&self, due: Duration, finished: Duration) -> Duration {
        let next = self.backoff.next(due, finished, self.account().poll.interval);
        if next.overrun {
            self.writer.slot.tally.change(|tally| tally.overruns += 1);
            debug!(account = %self.account().name, "the sweep outlasted its interval");
        }
        next.due
    }

    /// Hands the poller over to a reset and waits until it is given back, however long that takes: all
    /// that a reset does has a time limit.
    async fn hand_over(self, request: HoldRequest, stop: &Shutdown) -> Self {
        let heartbeat = self.heartbeat.clone();
        let (back, returned) = oneshot::channel();
        // A reset that has ended drops it at once.
        drop(request.send(HeldPoller::new(self, back, stop.clone())));
        let returned = keep_alive(&heartbeat, returned).await;
        let mut poller = returned.expect("a held poller is given back when it is dropped");
        // Those of the sweep that was broken off.
        poller.state.outcomes = SweepOutcomes::default();
        // Also for a successor, which must not show readings from before the reset.
        poller.publish();
        poller.save_trends_now().await;
        poller
    }

    /// Logs a change of the account's outage, at the `end` of a sweep or in the middle of one.
    pub(super) fn report(&mut self, end: bool, now: Stamp) {
        let failing = self.state.facts.failing;
        let event = self.outage.note(failing, self.logged_elsewhere, end, now);
        self.state.facts.failing_since = self.outage.since;
        self.state.facts.failing_logged.clone_from(&self.outage.logged);
        if let Some(event) = event {
            event.log(&self.account().name, failing, self.state.problem.as_deref());
        }
    }
}

/// Waits for what has a time limit of its own, and keeps the heartbeat going meanwhile.
async fn keep_alive<T>(heartbeat: &Heartbeat, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
        tokio::select! {
            done = &mut work => return done,
            () = sleep(PUBLISH_PERIOD) => {}
        }
    }
}

/// Waits until upstream asks for a pause of more than [`PAUSE_MAX`]; returns when that ends.
async fn long_pause(client: &Client) -> Stamp {
    loop {
        if let Some(until) = client.limiter.paused_until()
            && Stamp::now().age(until) > PAUSE_MAX
        {
            return until;
        }
        sleep(PUBLISH_PERIOD).await;
    }
}
