//! The poller's part in a reset: it stops sweeping, reads everybody anew, waits for the decision, and
//! then has the counters cleared.
//!
//! Whoever decides finds the account's poller through [`Registry`] and begins with [`PollerHandle::begin`]. The
//! two halves of what follows are a [`ResetJob`] here and a [`ResetProgress`] there; whichever side goes away
//! ends it, and only the request itself, once decided, is ended by nobody.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};

use super::full_read::{FullReadError, Readings};
use super::{PUBLISH_PERIOD, Poller, with_heartbeat};
use crate::account::{Account, AccountName, UserId};
use crate::api::Clearing;
use crate::blocking::lock;
use crate::metrics::Tally;
use crate::shutdown::Shutdown;

/// Where the pollers of accounts are found. Clones of the `Arc` around it show the same.
#[derive(Debug, Default)]
pub struct Registry {
    seats: Mutex<Seats>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    registry: HashMap<AccountName, PollerHandle>,
    /// Numbers the pollers, so that one that ends does not take its successor's place away.
    next: u64,
}

/// An account's poller as others see it.
#[derive(Debug, Clone)]
pub struct PollerHandle {
    /// The settings that it polls by.
    pub account: Arc<Account>,
    /// The account's counters.
    pub tally: Arc<Tally>,
    jobs: mpsc::Sender<ResetJob>,
    /// That what is counted has changed.
    news: Arc<Notify>,
    number: u64,
}

/// A poller's own end of its post, which is gone with it.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<Registry>,
    account: AccountName,
    jobs: mpsc::Receiver<ResetJob>,
    news: Arc<Notify>,
    number: u64,
}

/// What a poller is called for.
#[derive(Debug)]
pub(super) enum PollerCommand {
    /// To reset its account.
    Reset(ResetJob),
    /// To show what others have counted.
    Publish,
}

/// What a poller is asked to do, step by step.
#[derive(Debug)]
pub(super) struct ResetJob {
    readings: oneshot::Sender<Result<Readings, FullReadError>>,
    decision: oneshot::Receiver<()>,
    outcome: oneshot::Sender<Clearing>,
    after: oneshot::Sender<Readings>,
}

/// The other end of it. Nothing is cleared unless [`ResetProgress::decision`] is used; each of the other
/// channels closes if the poller goes away before it has something to tell.
#[derive(Debug)]
pub struct ResetProgress {
    /// What everybody's counters are.
    pub readings: oneshot::Receiver<Result<Readings, FullReadError>>,
    /// The word to clear them. Once it is taken, the request leaves.
    pub decision: oneshot::Sender<()>,
    /// What came of the request. Closed without a word, it may have left all the same.
    pub outcome: oneshot::Receiver<Clearing>,
    /// What everybody's counters are then; nothing if not everybody could be read.
    pub after: oneshot::Receiver<Readings>,
}

/// The account's poller has ended, or has a reset to do already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account's poller takes no reset now")]
pub struct PollerUnavailable;

impl Registry {
    /// The poller of the account of this name.
    pub fn find(&self, name: &str) -> Option<PollerHandle> {
        let name = AccountName::parse(name).ok()?;
        self.seats().registry.get(&name).cloned()
    }

    /// Every poller.
    pub fn all(&self) -> Vec<PollerHandle> {
        self.seats().registry.values().cloned().collect()
    }

    /// Waits until a poller has come since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A place for a poller, instead of an earlier one of the same account.
    pub(super) fn take(
        self: &Arc<Self>,
        account: &Arc<Account>,
        tally: &Arc<Tally>,
    ) -> Registration {
        let (sender, jobs) = mpsc::channel(1);
        let mut seats = self.seats();
        let number = seats.next;
        seats.next += 1;
        let (account, tally) = (Arc::clone(account), Arc::clone(tally));
        let name = account.name.clone();
        let news = Arc::new(Notify::new());
        let post = PollerHandle { account, tally, jobs: sender, news: Arc::clone(&news), number };
        seats.registry.insert(name.clone(), post);
        drop(seats);
        self.changed.notify_one();
        Registration { registry: Arc::clone(self), account: name, jobs, news, number }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        lock(&self.seats)
    }
}

impl PollerHandle {
    /// Has the poller read everybody, and then wait for the decision.
    ///
    /// # Errors
    /// When the poller is not there to do it.
    pub fn begin(&self) -> Result<ResetProgress, PollerUnavailable> {
        let (read, readings) = oneshot::channel();
        let (decide, decision) = oneshot::channel();
        let (end, outcome) = oneshot::channel();
        let (read_again, after) = oneshot::channel();
        let job = ResetJob { readings: read, decision, outcome: end, after: read_again };
        self.jobs.try_send(job).map_err(|_| PollerUnavailable)?;
        Ok(ResetProgress { readings, decision: decide, outcome, after })
    }

    /// Has the poller show what was counted, which would else be seen after its next sweep.
    pub fn show(&self) {
        self.news.notify_one();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut seats = self.registry.seats();
        if seats.registry.get(&self.account).is_some_and(|post| post.number == self.number) {
            seats.registry.remove(&self.account);
        }
    }
}

/// What a poller is called for next; never anything without a seat. Dropping this loses nothing.
pub(super) async fn next_command(seat: &mut Option<Registration>) -> PollerCommand {
    let Some(seat) = seat else { return std::future::pending().await };
    tokio::select! {
        Some(job) = seat.jobs.recv() => PollerCommand::Reset(job),
        () = seat.news.notified() => PollerCommand::Publish,
    }
}

/// What a reset has done to the counters, as far as the poller has to care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    Cleared,
    Unknown,
}

impl Effect {
    fn of(clearing: &Clearing) -> Self {
        match clearing {
            Clearing::Cleared => Self::Cleared,
            Clearing::Refused(_) | Clearing::NotSent(_) => Self::Nothing,
            Clearing::NotCleared | Clearing::OtherAccount { .. } | Clearing::Unknown(_) => {
                Self::Unknown
            }
        }
    }
}

impl Poller {
    /// Does a job. Between sweeps only: no request for a counter is open. Until the decision it ends
    /// when the poller is to leave; then it goes on to its end, and `shutdown` ends no more than the
    /// last look at the counters.
    pub(super) async fn reset(&mut self, job: ResetJob, shutdown: &Shutdown) {
        let ResetJob { readings, decision, outcome, after } = job;
        info!(account = %self.account().name, "reading everybody anew for a reset");
        let leave = self.leave.clone();
        let read = tokio::select! {
            read = self.read_everybody() => read,
            () = leave.wait() => return,
        };
        self.publish().await;
        let (before, token) = match read {
            Ok(read) => read,
            Err(unread) => {
                let _ = readings.send(Err(unread));
                return;
            }
        };
        let client = Arc::clone(&self.client);
        let single = match with_heartbeat(&self.heartbeat, &client, client.single()).await {
            Ok(single) => single,
            Err(error) => {
                let _ = readings.send(Err(FullReadError::Client(error)));
                return;
            }
        };
        let users: Vec<UserId> = before.users.iter().map(|(user, _)| user.clone()).collect();
        if readings.send(Ok(before)).is_err() {
            return;
        }
        let decided = tokio::select! {
            biased;
            word = with_heartbeat(&self.heartbeat, &client, decision) => word.is_ok(),
            // By now other settings may hold.
            () = leave.wait() => false,
        };
        if !decided {
            return;
        }
        let trends = self.state.doubt_trends();
        // So that a kill from here on cannot make a reset look like answers.
        self.save_trends().await;
        let (land, landed) = oneshot::channel();
        drop(client.clear(single, token, move |clearing| {
            let _ = land.send(Effect::of(&clearing));
            // The task of whoever decided waits for it; if even that is gone, nobody is left to tell.
            let _ = outcome.send(clearing);
        }));
        // The request has a time limit of its own.
        let effect =
            with_heartbeat(&self.heartbeat, &client, landed).await.unwrap_or(Effect::Unknown);
        match effect {
            Effect::Nothing => self.state.restore_trends(trends),
            Effect::Cleared => self.state.forget_readings(true),
            Effect::Unknown => self.state.forget_readings(false),
        }
        tokio::select! {
            read = self.read_again(&users) => match read {
                Ok(read) => drop(after.send(read)),
                Err(unread) => {
                    let account = &self.account().name;
                    warn!(%account, "not everybody could be read after the reset: {unread}");
                }
            },
            () = shutdown.wait() => {}
        }
        // Whoever goes on from this view must not show what was read before.
        self.publish().await;
        self.save_trends().await;
    }

    async fn read_again(&mut self, users: &[UserId]) -> Result<Readings, FullReadError> {
        let client = Arc::clone(&self.client);
        self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
        let token = with_heartbeat(&self.heartbeat, &client, client.token()).await?;
        let users: HashSet<UserId> = users.iter().cloned().collect();
        self.read_users(token, users).await.map(|(readings, _)| readings)
    }
}
