//! Where other parts find the running pollers, and what they may ask of one.
//!
//! A poller enters itself into the [`Registry`]. A reset takes its [`PollerHandle`] and has it handed over
//! ([`PollerHandle::hold`]): between two sweeps the poller sends itself as a [`HeldPoller`], and goes on
//! when that is dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, oneshot};

use super::held::HeldPoller;
use crate::account::{Account, AccountName};
use crate::blocking::lock;
use crate::metrics::Tally;
use crate::shutdown::Shutdown;

/// Where a poller is to be sent that ends its sweep.
pub(super) type HoldRequest = oneshot::Sender<HeldPoller>;

/// The running pollers, by account name.
#[derive(Debug, Default)]
pub struct Registry {
    pollers: Mutex<BTreeMap<AccountName, PollerHandle>>,
    pub(crate) changed: Notify,
}

/// A handle to an account's poller.
#[derive(Debug, Clone)]
pub struct PollerHandle {
    /// The settings that it polls with.
    pub account: Arc<Account>,
    /// The account's counters.
    pub tally: Arc<Tally>,
    holds: mpsc::Sender<HoldRequest>,
    /// Asks for a publication, because counters have changed.
    pub(crate) publish: Arc<Notify>,
}

/// What keeps a poller from sending further requests: it is to stop, or a reset needs it. Its entry in the
/// registry is removed when this is dropped.
pub(super) struct Interrupts {
    /// Asks the poller to stop after the requests in flight.
    pub(super) stop: Shutdown,
    /// A reset that waits for the end of the sweep.
    pub(super) hold: Option<HoldRequest>,
    registry: Arc<Registry>,
    account: AccountName,
    holds: mpsc::Receiver<HoldRequest>,
    publish: Arc<Notify>,
}

impl Registry {
    /// The poller of the account of this name.
    pub fn find(&self, name: &str) -> Option<PollerHandle> {
        let name = AccountName::parse(name).ok()?;
        lock(&self.pollers).get(&name).cloned()
    }

    /// Every poller, in the order of the accounts' names.
    pub fn all(&self) -> Vec<PollerHandle> {
        lock(&self.pollers).values().cloned().collect()
    }

    /// Registers a poller, in place of an earlier one of the same account.
    pub(super) fn register(
        self: &Arc<Self>,
        account: &Arc<Account>,
        tally: &Arc<Tally>,
        stop: Shutdown,
    ) -> Interrupts {
        let (sender, holds) = mpsc::channel(1);
        let publish = Arc::new(Notify::new());
        let handle = PollerHandle {
            account: Arc::clone(account),
            tally: Arc::clone(tally),
            holds: sender,
            publish: Arc::clone(&publish),
        };
        lock(&self.pollers).insert(account.name.clone(), handle);
        self.changed.notify_one();
        let (registry, account) = (Arc::clone(self), account.name.clone());
        Interrupts { stop, hold: None, registry, account, holds, publish }
    }
}

impl PollerHandle {
    /// Has the poller end its sweep and hand itself over; `None` if it has ended.
    pub async fn hold(&self) -> Option<HeldPoller> {
        let (request, handed_over) = oneshot::channel();
        self.holds.try_send(request).ok()?;
        handed_over.await.ok()
    }
}

impl Interrupts {
    /// Whether no more requests are to be sent.
    pub(super) fn begun(&self) -> bool {
        self.hold.is_some() || self.stop.has_begun()
    }

    /// Waits until no more requests are to be sent. Cancel safe.
    pub(super) async fn wait(&mut self) {
        while !self.begun() {
            self.next().await;
        }
    }

    /// Waits for an interruption, or until a publication is requested. Not once one has begun. Cancel
    /// safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            Some(request) = self.holds.recv() => self.hold = Some(request),
            () = self.publish.notified() => {}
            () = self.stop.wait() => {}
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let mut pollers = lock(&self.registry.pollers);
        // A successor may have registered meanwhile.
        let own = |handle: &PollerHandle| Arc::ptr_eq(&handle.publish, &self.publish);
        if pollers.get(&self.account).is_some_and(own) {
            pollers.remove(&self.account);
        }
    }
}
