//! Where the reset service finds the pollers, and how the two work together.
//!
//! A poller enters itself into the [`Registry`]; the service takes its [`PollerHandle`] and starts a
//! reset with [`PollerHandle::start_reset`]. The poller then has a [`ResetJob`] and the service a
//! [`ResetProgress`]: two ends of the same channels. If either is dropped the reset ends, except that
//! a request that was decided is sent in any case.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, mpsc, oneshot};

use super::readings::{FullReadError, Readings};
use crate::account::{Account, AccountName};
use crate::api::ClearOutcome;
use crate::blocking::lock;
use crate::metrics::Tally;

/// The running pollers, by account name.
#[derive(Debug, Default)]
pub struct Registry {
    seats: Mutex<Seats>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    registry: HashMap<AccountName, PollerHandle>,
    /// Numbers the pollers, so that one that ends does not remove the entry of its successor.
    next: u64,
}

/// A handle to an account's poller.
#[derive(Debug, Clone)]
pub struct PollerHandle {
    /// The settings that it polls with.
    pub account: Arc<Account>,
    /// The account's counters.
    pub tally: Arc<Tally>,
    jobs: mpsc::Sender<ResetJob>,
    /// Asks for a publication, because counters have changed.
    publish: Arc<Notify>,
    number: u64,
}

/// A poller's entry in the registry, removed when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<Registry>,
    account: AccountName,
    jobs: mpsc::Receiver<ResetJob>,
    publish: Arc<Notify>,
    number: u64,
}

/// What a poller is asked to do between requests.
#[derive(Debug)]
pub(super) enum PollerCommand {
    /// Reset its account.
    Reset(ResetJob),
    /// Publish, because counters have changed.
    Publish,
}

/// The poller's end of a reset.
#[derive(Debug)]
pub(super) struct ResetJob {
    pub(super) readings: oneshot::Sender<Result<Readings, FullReadError>>,
    pub(super) decision: oneshot::Receiver<()>,
    pub(super) outcome: oneshot::Sender<ClearOutcome>,
    pub(super) after: oneshot::Sender<Readings>,
}

/// The service's end of a reset. Nothing is cleared unless [`ResetProgress::decision`] is used; each of
/// the other channels closes if the poller ends before it has sent anything.
#[derive(Debug)]
pub struct ResetProgress {
    /// The counters of every user.
    pub readings: oneshot::Receiver<Result<Readings, FullReadError>>,
    /// The decision to clear them. Once it is received, the request is sent.
    pub decision: oneshot::Sender<()>,
    /// The result of the request. If this closes without one, the request may have been sent.
    pub outcome: oneshot::Receiver<ClearOutcome>,
    /// The counters afterwards; closes if not every user could be read.
    pub after: oneshot::Receiver<Readings>,
}

/// The account's poller has ended, or a reset is under way already.
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

    /// Waits until a poller has registered since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Registers a poller, in place of an earlier one of the same account.
    pub(super) fn register(
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
        let publish = Arc::new(Notify::new());
        let post =
            PollerHandle { account, tally, jobs: sender, publish: Arc::clone(&publish), number };
        seats.registry.insert(name.clone(), post);
        drop(seats);
        self.changed.notify_one();
        Registration { registry: Arc::clone(self), account: name, jobs, publish, number }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        lock(&self.seats)
    }
}

impl PollerHandle {
    /// Makes the poller read every user and then wait for the decision.
    ///
    /// # Errors
    /// When the poller has ended or has a reset to do already.
    pub fn start_reset(&self) -> Result<ResetProgress, PollerUnavailable> {
        let (read, readings) = oneshot::channel();
        let (decide, decision) = oneshot::channel();
        let (end, outcome) = oneshot::channel();
        let (read_again, after) = oneshot::channel();
        let job = ResetJob { readings: read, decision, outcome: end, after: read_again };
        self.jobs.try_send(job).map_err(|_| PollerUnavailable)?;
        Ok(ResetProgress { readings, decision: decide, outcome, after })
    }

    /// Makes the poller publish changed counters before its next sweep.
    pub fn request_publish(&self) {
        self.publish.notify_one();
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

/// The poller's next command; never one without a registration. Cancel safe.
pub(super) async fn next_command(seat: &mut Option<Registration>) -> PollerCommand {
    let Some(seat) = seat else { return std::future::pending().await };
    tokio::select! {
        Some(job) = seat.jobs.recv() => PollerCommand::Reset(job),
        () = seat.publish.notified() => PollerCommand::Publish,
    }
}
