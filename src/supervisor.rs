//! Keeps one poller running per account, for a set of accounts that can be replaced.
//!
//! A [`Supervisor`] owns the pollers' tasks. One that panics, or whose heartbeat is long overdue, is
//! logged and counted, its account is marked down, and it is restarted after a pause that grows with
//! every failure; no other account is affected. The list of accounts can be replaced while it runs:
//! unchanged accounts go on without a gap, changed ones keep their readings and their rhythm, removed
//! ones disappear. A poller whose account has changed is asked to stop, and its successor starts when it
//! has: an account never has two. The supervisor also ticks [`Health`], which shows that the runtime is
//! working.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::account::{Account, AccountName};
use crate::health::{Health, Heartbeat};
use crate::poller::{self, Predecessor, StartMode};
use crate::schedule::{phase, restart_pause};
use crate::shutdown::{DRAIN, Shutdown};
use crate::snapshot::{Directory, Slot};

/// How often the supervisor ticks and checks the pollers.
const TICK: Duration = Duration::from_secs(1);
/// A poller that ran for this long is considered stable: its next failure counts as the first one.
const STABLE_AFTER: Duration = Duration::from_mins(10);
/// How long a heartbeat may be overdue, beside twice the request timeout.
const GRACE: Duration = Duration::from_secs(5);

/// A tick that is later than this shows that the process was stopped as a whole: SIGSTOP, a frozen
/// cgroup, a suspended machine.
const LATE_TICK: Duration = Duration::from_secs(3);

/// Longest interval for which readiness waits for a first attempt.
const FIRST_ATTEMPT_MAX: Duration = Duration::from_mins(5);

/// What a poller is started with.
pub struct PollerStart {
    /// The account's slot.
    pub slot: Arc<Slot>,
    /// How to start.
    pub mode: StartMode,
    /// To be updated whenever the poller knows when it will act next.
    pub heartbeat: Heartbeat,
    /// When to end in good request: a successor waits for that.
    pub stop: Shutdown,
    /// When to end at once.
    pub shutdown: Shutdown,
}

/// Runs pollers that `start` makes.
pub struct Supervisor<S> {
    start: S,
    directory: Arc<Directory>,
    health: Arc<Health>,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
    pollers: HashMap<Id, PollerTask>,
    requests: mpsc::Receiver<ReplaceAccounts>,
    /// The last tick.
    ticked: Instant,
    /// When the process last went on after it had been stopped as a whole, or started.
    resumed: Instant,
}

/// Replaces the accounts of a running supervisor.
#[derive(Debug, Clone)]
pub struct AccountsHandle(mpsc::Sender<ReplaceAccounts>);

struct ReplaceAccounts {
    accounts: Vec<Arc<Account>>,
    done: oneshot::Sender<()>,
}

/// A poller's task as the supervisor sees it.
struct PollerTask {
    slot: Arc<Slot>,
    heartbeat: Heartbeat,
    /// Begun for one that was asked to stop and has not ended yet.
    stop: Shutdown,
    ended: CancellationToken,
    handle: AbortHandle,
    started: Instant,
    failures: u32,
}

impl AccountsHandle {
    /// Replaces the accounts; returns whether their slots are in the directory, which they are unless the
    /// supervisor has ended.
    pub async fn replace(&self, accounts: Vec<Arc<Account>>) -> bool {
        let (done, is_done) = oneshot::channel();
        self.0.send(ReplaceAccounts { accounts, done }).await.is_ok() && is_done.await.is_ok()
    }
}

impl<S, F> Supervisor<S>
where
    S: Fn(PollerStart) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    /// A supervisor without accounts, and the handle that replaces them.
    pub fn new(
        start: S,
        directory: Arc<Directory>,
        health: Arc<Health>,
        shutdown: Shutdown,
    ) -> (Self, AccountsHandle) {
        let (sender, requests) = mpsc::channel(1);
        let (tasks, pollers) = (JoinSet::new(), HashMap::new());
        let [ticked, resumed] = [Instant::now(); 2];
        let supervisor =
            Self { start, directory, health, shutdown, tasks, pollers, requests, ticked, resumed };
        (supervisor, AccountsHandle(sender))
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
                    self.note_pause();
                    self.replace_stuck();
                }
                Some(ended) = self.tasks.join_next_with_id() => self.replace_dead(ended),
                Some(request) = self.requests.recv() => {
                    self.replace_accounts(request.accounts);
                    // The sender may have stopped waiting.
                    let _ = request.done.send(());
                }
                () = shutdown.wait() => break,
            }
        }
        // A stuck one does not keep the process from ending.
        let _ = timeout(DRAIN, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    /// Notes that all pollers had no turn until now, as when the process was stopped: none is stuck before it had one.
    fn note_pause(&mut self) {
        let now = Instant::now();
        let silent = now.duration_since(std::mem::replace(&mut self.ticked, now));
        if silent > LATE_TICK {
            let what = "the process was stopped, had no processor, or a task kept the thread of the pollers";
            warn!(for = ?silent, "{what}");
            self.resumed = now;
        }
    }

    /// Starts, keeps or ends pollers until they are those of `accounts`.
    pub fn replace_accounts(&mut self, accounts: Vec<Arc<Account>>) {
        let mut last = self.last_pollers();
        let mut slots = Vec::with_capacity(accounts.len());
        for account in accounts {
            let last = last.remove(&account.name).and_then(|id| self.pollers.get(&id));
            let slot = match last {
                Some(task) if task.polls(&account) => Arc::clone(&task.slot),
                Some(task) => {
                    task.stop.begin();
                    let predecessor = task.predecessor();
                    self.start_successor(predecessor, account)
                }
                None => self.start_first(account),
            };
            slots.push(slot);
        }
        for (account, id) in last {
            if let Some(task) = self.pollers.get(&id).filter(|task| !task.stop.has_begun()) {
                info!(%account, "the account is no longer configured");
                task.stop.begin();
            }
        }
        self.directory.replace(slots);
    }

    /// The poller of each account, or the last one that has not ended yet.
    fn last_pollers(&self) -> BTreeMap<AccountName, Id> {
        let mut tasks: Vec<(&Id, &PollerTask)> = self.pollers.iter().collect();
        tasks.sort_by_key(|(_, task)| (!task.stop.has_begun(), task.started));
        tasks.into_iter().map(|(id, task)| (task.slot.view().account.name.clone(), *id)).collect()
    }

    /// Starts a poller of an account that has none.
    fn start_first(&mut self, account: Arc<Account>) -> Arc<Slot> {
        let first = phase(account.name.as_str(), account.poll.interval);
        let slot = Arc::new(poller::new_slot(account));
        self.start_poller(&slot, StartMode::After(first));
        slot
    }

    fn start_successor(&mut self, predecessor: Predecessor, account: Arc<Account>) -> Arc<Slot> {
        let slot = Arc::new(poller::changed_slot(&predecessor.slot, account));
        self.start_poller(&slot, StartMode::TakeOver(predecessor));
        slot
    }

    fn start_poller(&mut self, slot: &Arc<Slot>, mode: StartMode) {
        let heartbeat = Heartbeat::default();
        let poll = slot.view().account.poll;
        let time_limit = mode.delay().max(poll.interval.min(FIRST_ATTEMPT_MAX)) + poll.timeout;
        self.health.await_first_attempt(&heartbeat, time_limit);
        self.spawn(Arc::clone(slot), heartbeat, Duration::ZERO, mode, 0);
    }

    /// Starts a poller after `pause`.
    fn spawn(
        &mut self,
        slot: Arc<Slot>,
        heartbeat: Heartbeat,
        pause: Duration,
        mode: StartMode,
        failures: u32,
    ) {
        let started = Instant::now() + pause;
        heartbeat.next_action_at(started + mode.delay());
        let (stop, ended) = (self.shutdown.part(), CancellationToken::new());
        let start = PollerStart {
            slot: Arc::clone(&slot),
            mode,
            heartbeat: heartbeat.clone(),
            stop: stop.clone(),
            shutdown: self.shutdown.clone(),
        };
        // By itself it would be in the task twice: what is awaited is moved.
        let poller = Box::pin((self.start)(start));
        let (stopped, guard) = (stop.clone(), ended.clone().drop_guard());
        let handle = self.tasks.spawn(async move {
            let _ended = guard;
            if !pause.is_zero() {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stopped.wait() => return,
                }
            }
            poller.await;
        });
        let task =
            PollerTask { slot, heartbeat, stop, ended, handle: handle.clone(), started, failures };
        self.pollers.insert(handle.id(), task);
    }

    /// Handles a task that ended: one that panicked is restarted.
    fn replace_dead(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        // One that is no longer listed was given up as stuck.
        let Some(task) = self.pollers.remove(&id) else { return };
        if let Some(error) = error.filter(|_| !task.stop.has_begun()) {
            self.restart(task, &format!("has failed: {error}"));
        }
    }

    /// Aborts pollers whose heartbeat is long overdue, and restarts them unless they were to stop.
    fn replace_stuck(&mut self) {
        let resumed = self.resumed;
        let stuck: Vec<PollerTask> = self
            .pollers
            .extract_if(|_, task| task.is_stuck(resumed))
            .map(|(_, task)| task)
            .collect();
        for task in stuck {
            task.handle.abort();
            if task.stop.has_begun() {
                let account = &task.slot.view().account.name;
                error!(%account, "the account's earlier poller is stuck and was aborted");
            } else {
                self.restart(task, "is stuck");
            }
        }
    }

    fn restart(&mut self, task: PollerTask, reason: &str) {
        let failures = if task.started.elapsed() < STABLE_AFTER { task.failures + 1 } else { 1 };
        let pause = restart_pause(failures);
        task.slot.tally.change(|tally| tally.restarts += 1);
        poller::mark_down(&task.slot);
        let account = &task.slot.view().account.name;
        error!(%account, ?pause, "the account's poller {reason}; it will be restarted");
        self.spawn(task.slot, task.heartbeat, pause, StartMode::After(Duration::ZERO), failures);
    }
}

impl PollerTask {
    /// What a successor has to know of it.
    fn predecessor(&self) -> Predecessor {
        Predecessor { slot: Arc::clone(&self.slot), ended: self.ended.clone() }
    }

    /// Whether it polls an account with just these settings, and goes on with that.
    fn polls(&self, account: &Account) -> bool {
        !self.stop.has_begun() && *self.slot.view().account == *account
    }

    /// Whether its heartbeat is long overdue.
    fn is_stuck(&self, resumed: Instant) -> bool {
        let timeout = self.slot.view().account.poll.timeout;
        self.heartbeat.is_overdue(timeout.saturating_mul(2).saturating_add(GRACE), resumed)
    }
}

#[cfg(test)]
mod tests;
