//! The poller's loop: sweeps in the account's schedule, lists in between, resets between sweeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::actor::{PUBLISH_PERIOD, Poller};
use super::handover::{StartMode, SweepSchedule};
use super::registry::{PollerCommand, next_command};
use super::report::Outage;
use super::slots::changed_view;
use super::state::PollState;
use super::sweep::SweepPace;
use crate::api::Client;
use crate::clock::Stamp;
use crate::metrics::Outcome;
use crate::shutdown::Shutdown;
use crate::snapshot::{AccountView, FailingReason};
use crate::text;

/// Longest pause that a single sweep waits for.
const PAUSE_MAX: Duration = Duration::from_mins(1);

impl Poller {
    /// Sweeps until `shutdown`, which ends it at once, or until `stop`: then it waits for the responses
    /// to what it has sent, publishes and saves. A reset that was decided is executed either way.
    pub async fn run(mut self, mode: StartMode, stop: Shutdown, shutdown: Shutdown) {
        self.stop = stop;
        let schedule = tokio::select! {
            biased;
            () = shutdown.wait() => return,
            schedule = self.start(mode) => schedule,
        };
        self.load_trends().await;
        self.sweep_in(schedule, &shutdown).await;
        if !shutdown.has_begun() {
            self.publish().await;
            self.save_trends_now().await;
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
        self.publish().await;
        paused_until
    }

    async fn read_once(&mut self) {
        let client = Arc::clone(&self.client);
        for _ in 0..self.lists.due() {
            let update = self.lists.next(&client, false).await;
            self.apply(update);
        }
        self.sweep(None, SweepPace::Share).await;
    }

    /// Waits for the predecessor, if there is one, and continues from what it published last.
    async fn start(&mut self, mode: StartMode) -> SweepSchedule {
        let predecessor = match mode {
            StartMode::After(first) => return SweepSchedule::after(first),
            StartMode::TakeOver(predecessor) => predecessor,
        };
        let mut ended = std::pin::pin!(predecessor.ended.wait());
        loop {
            // The supervisor gives up a predecessor that is stuck, so this wait ends.
            self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
            tokio::select! {
                () = &mut ended => break,
                () = sleep(PUBLISH_PERIOD) => {}
            }
        }
        let last = predecessor.slot.view();
        if let Some(view) = changed_view(&predecessor.slot, Arc::clone(self.account())) {
            self.resume_from(view);
        }
        // Also where it is another account at Wazzup24 by now: the log names it by its configured name.
        self.outage = Outage::resume(&last.facts);
        self.lists.resume(&last, &self.state.account);
        SweepSchedule::resume(&last, self.account())
    }

    fn resume_from(&mut self, view: AccountView) {
        self.state = PollState::from_view(&view);
        self.writer.publish(view);
    }

    /// Sweeps until it is asked to stop.
    async fn sweep_in(&mut self, schedule: SweepSchedule, shutdown: &Shutdown) {
        let SweepSchedule { origin, mut due, hurried, mut skip_read_since } = schedule;
        let mut pace = if hurried { SweepPace::Share } else { SweepPace::Spread };
        let stop = self.stop.clone();
        while !stop.has_begun() {
            self.heartbeat.next_action_at(origin + due);
            let hold = self.holds_lists();
            tokio::select! {
                () = sleep_until(origin + due) => {}
                update = self.lists.next(&self.client, hold) => {
                    self.apply(update);
                    self.publish().await;
                    continue;
                }
                command = next_command(&mut self.registration) => match command {
                    PollerCommand::Reset(job) => self.pending_reset = Some(job),
                    PollerCommand::Publish => {
                        self.publish().await;
                        continue;
                    }
                },
                () = stop.wait() => return,
            }
            if self.pending_reset.is_none() {
                tokio::select! {
                    biased;
                    () = shutdown.wait() => return,
                    () = self.sweep(skip_read_since.take(), pace) => {}
                }
            }
            if stop.has_begun() {
                // A pending reset is dropped, which its caller sees; the successor takes the next one.
                return;
            }
            if let Some(job) = self.pending_reset.take() {
                self.reset(job, shutdown).await;
                self.state.forget_outcomes();
                // The sweep that was broken off is repeated at once and shows the new counters.
                due = origin.elapsed();
                pace = SweepPace::Share;
                continue;
            }
            let interval = self.account().poll.interval;
            let next = self.backoff.next(due, origin.elapsed(), interval);
            if next.overrun {
                self.writer.slot().tally.overrun();
                debug!(account = %self.account().name, "the sweep outlasted its interval");
            }
            due = next.due;
            // After an outage the readings of everybody are missing.
            let failing = self.state.facts.failing.is_some();
            pace = if failing { SweepPace::Share } else { SweepPace::Spread };
            self.publish().await;
            self.save_trends();
        }
    }

    /// Logs a change of the account's outage, at the `end` of a sweep or in the middle of one.
    pub(super) fn report(&mut self, end: bool, now: Stamp) {
        let failing = self.state.facts.failing;
        let event = self.outage.note(failing, self.logged_elsewhere, end, now);
        self.state.facts.failing_since = self.outage.since;
        self.state.facts.failing_logged.clone_from(&self.outage.logged);
        if let Some(event) = event {
            event.log(&self.account().name, failing, self.state.last_problem());
        }
    }
}

/// Waits until upstream asks for a pause of more than [`PAUSE_MAX`]; returns when that ends.
async fn long_pause(client: &Client) -> Stamp {
    loop {
        if let Some(until) = client.paused_until()
            && Stamp::now().age(until) > PAUSE_MAX
        {
            return until;
        }
        sleep(PUBLISH_PERIOD).await;
    }
}
