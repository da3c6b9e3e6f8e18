//! Keeps one poller per account alive, and the set of accounts as it is wanted.
//!
//! A [`Supervisor`] owns the pollers' tasks. One that panics, or breaks its promise to act by far, is
//! logged and counted, its account is shown as down, and after a pause that grows with every death it
//! is started anew; nobody else notices. The list of accounts can be replaced while it runs:
//! unchanged accounts go on without a gap, changed ones keep their readings, removed ones vanish. It
//! also ticks [`Health`], which is how the process shows that its runtime is moving.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, info};

use crate::account::{Account, AccountName};
use crate::health::{Health, Promise};
use crate::poller;
use crate::schedule::{phase, restart_pause};
use crate::shutdown::{DRAIN, Shutdown};
use crate::snapshot::{Directory, Slot};

/// How often the supervisor shows that it is alive and looks after the pollers.
const TICK: Duration = Duration::from_secs(1);
/// A poller that lived this long is trusted again: its next death counts as a first one.
const TRUSTED_AFTER: Duration = Duration::from_mins(10);
/// How far a poller may pass its promise, beside twice its time limit for a request.
const GRACE: Duration = Duration::from_secs(5);

/// Longest interval for which readiness waits for a first attempt.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a poller is started with.
#[derive(Debug)]
pub struct Start {
    /// The account's slot.
    pub slot: Arc<Slot>,
    /// When to sweep for the first time.
    pub first: Duration,
    /// To be renewed whenever the poller knows when it will next act.
    pub promise: Promise,
    /// When to end.
    pub shutdown: Shutdown,
}

/// Runs pollers that `start` makes.
#[derive(Debug)]
pub struct Supervisor<S> {
    start: S,
    directory: Arc<Directory>,
    health: Arc<Health>,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
    wards: HashMap<Id, Ward>,
    orders: mpsc::Receiver<Order>,
}

/// Asks a running supervisor for another set of accounts.
#[derive(Debug, Clone)]
pub struct Accounts(mpsc::Sender<Order>);

#[derive(Debug)]
struct Order {
    accounts: Vec<Arc<Account>>,
    done: oneshot::Sender<()>,
}

/// A poller's task as the supervisor sees it.
#[derive(Debug)]
struct Ward {
    slot: Arc<Slot>,
    promise: Promise,
    shutdown: Shutdown,
    task: AbortHandle,
    started: Instant,
    deaths: u32,
}

impl Accounts {
    /// Replaces the accounts; returns once their slots are in the directory. Does nothing if the
    /// supervisor has ended.
    pub async fn replace(&self, accounts: Vec<Arc<Account>>) {
        let (done, is_done) = oneshot::channel();
        if self.0.send(Order { accounts, done }).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

impl<S, F> Supervisor<S>
where
    S: Fn(Start) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    /// A supervisor of no accounts yet, and the handle that gives it some.
    pub fn new(
        start: S,
        directory: Arc<Directory>,
        health: Arc<Health>,
        shutdown: Shutdown,
    ) -> (Self, Accounts) {
        let (sender, orders) = mpsc::channel(1);
        let (tasks, wards) = (JoinSet::new(), HashMap::new());
        (Self { start, directory, health, shutdown, tasks, wards, orders }, Accounts(sender))
    }

    /// Runs until shutdown, then gives the pollers a moment to end.
    pub async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    self.health.tick();
                    self.replace_stuck();
                }
                Some(ended) = self.tasks.join_next_with_id() => self.replace_dead(ended),
                Some(order) = self.orders.recv() => {
                    self.replace_accounts(order.accounts);
                    // Whoever gave the order may have stopped waiting.
                    let _ = order.done.send(());
                }
                () = shutdown.wait() => break,
            }
        }
        // One that is stuck does not keep the process from ending.
        let _ = timeout(DRAIN, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    /// Starts, keeps or ends pollers until they are those of `accounts`.
    pub fn replace_accounts(&mut self, accounts: Vec<Arc<Account>>) {
        let wards = self.wards.drain();
        let mut earlier: HashMap<AccountName, (Id, Ward)> =
            wards.map(|(id, ward)| (ward.slot.view().account.name.clone(), (id, ward))).collect();
        let mut slots = Vec::with_capacity(accounts.len());
        for account in accounts {
            let slot = match earlier.remove(&account.name) {
                Some((id, ward)) if *ward.slot.view().account == *account => {
                    let slot = Arc::clone(&ward.slot);
                    self.wards.insert(id, ward);
                    slot
                }
                Some((_, ward)) => {
                    ward.shutdown.begin();
                    let slot = Arc::new(poller::changed_slot(&ward.slot, account));
                    self.begin(Arc::clone(&slot), Duration::ZERO);
                    slot
                }
                None => {
                    let first = phase(account.name.as_str(), account.poll.interval);
                    let slot = Arc::new(poller::new_slot(account));
                    self.begin(Arc::clone(&slot), first);
                    slot
                }
            };
            slots.push(slot);
        }
        for (account, (_, ward)) in earlier {
            info!(%account, "the account is no longer configured");
            ward.shutdown.begin();
        }
        self.directory.replace(slots);
    }

    fn begin(&mut self, slot: Arc<Slot>, first: Duration) {
        let promise = Promise::new();
        let poll = slot.view().account.poll;
        self.health
            .await_first_attempt(&promise, first.max(poll.interval.min(PATIENCE)) + poll.timeout);
        self.spawn(slot, promise, Duration::ZERO, first, 0);
    }

    /// Starts a poller after `pause`.
    fn spawn(
        &mut self,
        slot: Arc<Slot>,
        promise: Promise,
        pause: Duration,
        first: Duration,
        deaths: u32,
    ) {
        let started = Instant::now() + pause;
        promise.act_at(started + first);
        let shutdown = self.shutdown.part();
        let start = Start {
            slot: Arc::clone(&slot),
            first,
            promise: promise.clone(),
            shutdown: shutdown.clone(),
        };
        let poller = (self.start)(start);
        let ended = shutdown.clone();
        let task = self.tasks.spawn(async move {
            tokio::select! {
                () = sleep(pause) => poller.await,
                () = ended.wait() => {}
            }
        });
        let ward = Ward { slot, promise, shutdown, task: task.clone(), started, deaths };
        self.wards.insert(task.id(), ward);
    }

    /// Deals with a task that ended: one that died is started anew.
    fn replace_dead(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, death) = match ended {
            Ok((id, ())) => (id, None),
            Err(death) => (death.id(), Some(death)),
        };
        // One that is not a ward any more was retired or given up before.
        let Some(ward) = self.wards.remove(&id) else { return };
        if let Some(death) = death {
            self.revive(ward, &format!("died: {death}"));
        }
    }

    /// Gives up pollers that have passed their promise by far, and starts them anew.
    fn replace_stuck(&mut self) {
        let stuck = self.wards.iter().filter(|(_, ward)| {
            let timeout = ward.slot.view().account.poll.timeout;
            ward.promise.broken(timeout.saturating_mul(2).saturating_add(GRACE))
        });
        let stuck: Vec<Id> = stuck.map(|(id, _)| *id).collect();
        for id in stuck {
            if let Some(ward) = self.wards.remove(&id) {
                ward.task.abort();
                self.revive(ward, "is stuck");
            }
        }
    }

    fn revive(&mut self, ward: Ward, fate: &str) {
        let deaths = if ward.started.elapsed() < TRUSTED_AFTER { ward.deaths + 1 } else { 1 };
        let pause = restart_pause(deaths);
        ward.slot.tally.restart();
        poller::mark_down(&ward.slot);
        let account = &ward.slot.view().account.name;
        error!(%account, ?pause, "the account's poller {fate}; it will be started anew");
        self.spawn(ward.slot, ward.promise, pause, Duration::ZERO, deaths);
    }
}

#[cfg(test)]
mod tests;
