//! Keeps one poller per account alive, and the set of accounts as it is wanted.
//!
//! A [`Supervisor`] owns the pollers' tasks. One that panics, or breaks its heartbeat to act by far, is
//! logged and counted, its account is shown as down, and after a pause that grows with every death it
//! is started anew; nobody else notices. The list of accounts can be replaced while it runs:
//! unchanged accounts go on without a gap, changed ones keep their readings and their rhythm, removed
//! ones vanish. A poller whose account has changed is asked to leave, and its successor begins when it
//! has: an account never has two. It also ticks [`Health`], which is how the process shows that its
//! runtime is moving.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, info};

use crate::account::{Account, AccountName};
use crate::health::{Health, Heartbeat};
use crate::poller::{self, Predecessor, StartMode};
use crate::schedule::{phase, restart_pause};
use crate::shutdown::{DRAIN, Ended, Shutdown};
use crate::snapshot::{Directory, Slot};

/// How often the supervisor shows that it is alive and looks after the pollers.
const TICK: Duration = Duration::from_secs(1);
/// A poller that lived this long is trusted again: its next death counts as a first one.
const TRUSTED_AFTER: Duration = Duration::from_mins(10);
/// How far a poller may pass its heartbeat, beside twice its time limit for a request.
const GRACE: Duration = Duration::from_secs(5);

/// Longest interval for which readiness waits for a first attempt.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a poller is started with.
#[derive(Debug)]
pub struct Start {
    /// The account's slot.
    pub slot: Arc<Slot>,
    /// What to begin with.
    pub mode: StartMode,
    /// To be renewed whenever the poller knows when it will next act.
    pub heartbeat: Heartbeat,
    /// When to end in good order: a successor waits for that.
    pub leave: Shutdown,
    /// When to end at once.
    pub shutdown: Shutdown,
}

/// What replacing the accounts has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Accounts that are new.
    pub added: usize,
    /// Accounts that have other settings than before.
    pub changed: usize,
    /// Accounts that are not there any more.
    pub removed: usize,
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
    /// Those who were asked to leave and have not ended yet.
    leaving: HashMap<Id, Ward>,
    orders: mpsc::Receiver<Order>,
}

/// Asks a running supervisor for another set of accounts.
#[derive(Debug, Clone)]
pub struct Accounts(mpsc::Sender<Order>);

#[derive(Debug)]
struct Order {
    accounts: Vec<Arc<Account>>,
    done: oneshot::Sender<Changes>,
}

/// A poller's task as the supervisor sees it.
#[derive(Debug)]
struct Ward {
    slot: Arc<Slot>,
    heartbeat: Heartbeat,
    leave: Shutdown,
    ended: Ended,
    task: AbortHandle,
    started: Instant,
    deaths: u32,
}

impl Accounts {
    /// Replaces the accounts; returns what changed once their slots are in the directory. `None` if the
    /// supervisor has ended.
    pub async fn replace(&self, accounts: Vec<Arc<Account>>) -> Option<Changes> {
        let (done, is_done) = oneshot::channel();
        self.0.send(Order { accounts, done }).await.ok()?;
        is_done.await.ok()
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
        let (tasks, wards, leaving) = (JoinSet::new(), HashMap::new(), HashMap::new());
        let supervisor = Self { start, directory, health, shutdown, tasks, wards, leaving, orders };
        (supervisor, Accounts(sender))
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
                    let changes = self.replace_accounts(order.accounts);
                    // Whoever gave the order may have stopped waiting.
                    let _ = order.done.send(changes);
                }
                () = shutdown.wait() => break,
            }
        }
        // One that is stuck does not keep the process from ending.
        let _ = timeout(DRAIN, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    /// Starts, keeps or ends pollers until they are those of `accounts`.
    pub fn replace_accounts(&mut self, accounts: Vec<Arc<Account>>) -> Changes {
        let wards = self.wards.drain();
        let mut earlier: HashMap<AccountName, (Id, Ward)> =
            wards.map(|(id, ward)| (ward.slot.view().account.name.clone(), (id, ward))).collect();
        let mut changes = Changes::default();
        let mut slots = Vec::with_capacity(accounts.len());
        for account in accounts {
            let slot = match earlier.remove(&account.name) {
                Some((id, ward)) if *ward.slot.view().account == *account => {
                    let slot = Arc::clone(&ward.slot);
                    self.wards.insert(id, ward);
                    slot
                }
                Some((id, ward)) => {
                    changes.changed += 1;
                    let predecessor = self.dismiss(id, ward);
                    self.succeed(predecessor, account)
                }
                None => {
                    changes.added += 1;
                    self.add(account)
                }
            };
            slots.push(slot);
        }
        for (account, (id, ward)) in earlier {
            changes.removed += 1;
            info!(%account, "the account is no longer configured");
            self.dismiss(id, ward);
        }
        self.directory.replace(slots);
        changes
    }

    /// Asks a poller to leave.
    fn dismiss(&mut self, id: Id, ward: Ward) -> Predecessor {
        ward.leave.begin();
        let predecessor = Predecessor { slot: Arc::clone(&ward.slot), ended: ward.ended.clone() };
        self.leaving.insert(id, ward);
        predecessor
    }

    /// Starts a poller of an account that has none, unless one is still on its way out.
    fn add(&mut self, account: Arc<Account>) -> Arc<Slot> {
        let same = |ward: &&Ward| ward.slot.view().account.name == account.name;
        if let Some(last) = self.leaving.values().filter(same).max_by_key(|ward| ward.started) {
            let (slot, ended) = (Arc::clone(&last.slot), last.ended.clone());
            return self.succeed(Predecessor { slot, ended }, account);
        }
        let first = phase(account.name.as_str(), account.poll.interval);
        let slot = Arc::new(poller::new_slot(account));
        self.begin(&slot, StartMode::After(first));
        slot
    }

    fn succeed(&mut self, predecessor: Predecessor, account: Arc<Account>) -> Arc<Slot> {
        let slot = Arc::new(poller::changed_slot(&predecessor.slot, account));
        self.begin(&slot, StartMode::TakeOver(predecessor));
        slot
    }

    fn begin(&mut self, slot: &Arc<Slot>, mode: StartMode) {
        let heartbeat = Heartbeat::new();
        let poll = slot.view().account.poll;
        let patience = mode.delay().max(poll.interval.min(PATIENCE)) + poll.timeout;
        self.health.await_first_attempt(&heartbeat, patience);
        self.spawn(Arc::clone(slot), heartbeat, Duration::ZERO, mode, 0);
    }

    /// Starts a poller after `pause`.
    fn spawn(
        &mut self,
        slot: Arc<Slot>,
        heartbeat: Heartbeat,
        pause: Duration,
        mode: StartMode,
        deaths: u32,
    ) {
        let started = Instant::now() + pause;
        heartbeat.next_action_at(started + mode.delay());
        let (leave, ended) = (self.shutdown.part(), Ended::default());
        let start = Start {
            slot: Arc::clone(&slot),
            mode,
            heartbeat: heartbeat.clone(),
            leave: leave.clone(),
            shutdown: self.shutdown.clone(),
        };
        let poller = (self.start)(start);
        let (called_off, guard) = (leave.clone(), ended.guard());
        let task = self.tasks.spawn(async move {
            let _ended = guard;
            if !pause.is_zero() {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = called_off.wait() => return,
                }
            }
            poller.await;
        });
        let ward = Ward { slot, heartbeat, leave, ended, task: task.clone(), started, deaths };
        self.wards.insert(task.id(), ward);
    }

    /// Deals with a task that ended: one that died is started anew.
    fn replace_dead(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, death) = match ended {
            Ok((id, ())) => (id, None),
            Err(death) => (death.id(), Some(death)),
        };
        self.leaving.remove(&id);
        // One that is not a ward any more has left or was given up before.
        let Some(ward) = self.wards.remove(&id) else { return };
        if let Some(death) = death {
            self.revive(ward, &format!("died: {death}"));
        }
    }

    /// Gives up pollers that have passed their heartbeat by far, and starts them anew unless they were
    /// to leave.
    fn replace_stuck(&mut self) {
        for id in stuck(&self.leaving) {
            if let Some(ward) = self.leaving.remove(&id) {
                ward.task.abort();
                let account = &ward.slot.view().account.name;
                error!(%account, "the account's earlier poller is stuck; leaving it");
            }
        }
        for id in stuck(&self.wards) {
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
        self.spawn(ward.slot, ward.heartbeat, pause, StartMode::After(Duration::ZERO), deaths);
    }
}

/// Those who have passed their heartbeat by far.
fn stuck(wards: &HashMap<Id, Ward>) -> Vec<Id> {
    let stuck = wards.iter().filter(|(_, ward)| {
        let timeout = ward.slot.view().account.poll.timeout;
        ward.heartbeat.is_overdue(timeout.saturating_mul(2).saturating_add(GRACE))
    });
    stuck.map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests;
