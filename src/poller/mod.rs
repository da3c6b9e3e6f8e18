//! One actor per account: asks upstream for every user, once per interval, and publishes.
//!
//! A [`Poller`] is the only writer of its account's view. It sweeps over the users with its requests
//! inside itself (no task per user), publishes at the end of a sweep and at most once per
//! [`PUBLISH_PERIOD`] in between, and waits for the next sweep. The supervisor runs it and starts it
//! anew should it die; what it knew is in the slot.

mod ledger;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{debug, info, warn};

pub use self::ledger::{mark_down, new_slot};

use self::ledger::Ledger;
use crate::account::Account;
use crate::clock::Stamp;
use crate::health::Promise;
use crate::metrics::SweepResult;
use crate::schedule::next_sweep;
use crate::shutdown::Shutdown;
use crate::snapshot::{FailingReason, Slot, Sweep};
use crate::upstream::{Client, Token};

/// Shortest time between two publications within a sweep.
pub const PUBLISH_PERIOD: Duration = Duration::from_secs(1);

/// Polls one account.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    slot: Arc<Slot>,
    ledger: Ledger,
    promise: Promise,
}

impl Poller {
    /// A poller that goes on from what `slot` shows.
    pub fn new(client: Client, slot: Arc<Slot>, promise: Promise) -> Self {
        let ledger = Ledger::from_view(&slot.view());
        Self { client, slot, ledger, promise }
    }

    /// Sweeps in the account's rhythm, for the first time after `first`, until `shutdown`.
    pub async fn run(mut self, first: Duration, shutdown: Shutdown) {
        let origin = Instant::now();
        let interval = self.account().poll.interval;
        let mut due = first;
        loop {
            tokio::select! {
                () = sleep_until(origin + due) => {}
                () = shutdown.wait() => return,
            }
            tokio::select! {
                () = self.sweep() => {}
                () = shutdown.wait() => return,
            }
            let next = next_sweep(due, origin.elapsed(), interval);
            if next.overrun {
                self.slot.tally.overrun();
                debug!(account = %self.account().name, "the sweep outlasted its interval");
            }
            due = next.due;
            self.publish().await;
        }
    }

    /// Makes one sweep and publishes what it found.
    pub async fn run_once(mut self) {
        self.sweep().await;
        self.publish().await;
    }

    fn account(&self) -> &Arc<Account> {
        &self.ledger.account
    }

    async fn sweep(&mut self) {
        let started = Stamp::now();
        let earlier = self.ledger.facts.failing;
        match self.client.token().await {
            Ok(token) => self.ask_for_everyone(&token).await,
            Err(error) => self.ledger.fail_everyone(&error.to_string()),
        }
        let (result, failing) = self.ledger.verdict();
        let finished = Stamp::now();
        let duration = started.age(finished);
        self.ledger.facts.sweep = Some(Sweep { finished, duration, result });
        self.ledger.facts.failing = failing;
        self.slot.tally.sweep(result);
        self.report(earlier, duration, result);
    }

    /// Asks for every user; answers are noted, and shown, as they come.
    async fn ask_for_everyone(&mut self, token: &Token) {
        let account = Arc::clone(self.account());
        let (client, slot) = (&self.client, &self.slot);
        let mut answers = stream::iter(account.users.iter().cloned().enumerate())
            .map(|(index, user)| async move {
                (index, client.counter(token, &user.id, &slot.tally).await)
            })
            .buffer_unordered(account.poll.concurrency);
        let mut publish = interval_at(Instant::now() + PUBLISH_PERIOD, PUBLISH_PERIOD);
        publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                answer = answers.next() => match answer {
                    Some((index, Ok((reading, at)))) => self.ledger.succeeded(index, reading, at),
                    Some((index, Err(error))) => self.ledger.failed(index, &error),
                    None => return,
                },
                _ = publish.tick() => {
                    publish_ledger(slot, &mut self.ledger).await;
                    self.promise.keep();
                }
            }
        }
    }

    async fn publish(&mut self) {
        publish_ledger(&self.slot, &mut self.ledger).await;
        self.promise.keep();
    }

    /// One line when the account goes down and one when it is back; the rest is for debugging.
    fn report(&self, earlier: Option<FailingReason>, duration: Duration, result: SweepResult) {
        let account = &self.account().name;
        match (earlier, self.ledger.facts.failing) {
            (None, Some(reason)) => {
                let problem = self.ledger.example_problem();
                warn!(%account, reason = reason.label(), problem, "no user of the account can be read");
            }
            (Some(reason), None) if result != SweepResult::Failed => {
                info!(%account, reason = reason.label(), "the account can be read again");
            }
            _ => {}
        }
        debug!(%account, result = result.label(), ?duration, "swept");
    }
}

/// Renders what changed, away from the threads that serve sockets, and shows it.
async fn publish_ledger(slot: &Slot, ledger: &mut Ledger) {
    let draft = ledger.draft(slot.view(), slot.tally.values());
    let rendered = tokio::task::spawn_blocking(move || draft.render(Stamp::now())).await;
    // A panic there is a panic of this poller, which its supervisor deals with.
    slot.publish(rendered.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
}
