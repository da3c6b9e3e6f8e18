//! What pollers are made from: connections, limits and the metrics of the process.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stamp;
use crate::config::Config;
use crate::health::Promise;
use crate::limit::{Global, Limiter, Pace};
use crate::metrics::Process;
use crate::poller::Poller;
use crate::snapshot::Slot;
use crate::upstream::{BuildError, Client, Transport};

/// Shared by all pollers of a process.
#[derive(Debug)]
pub(super) struct Crew {
    transport: Transport,
    global: Global,
    pub(super) process: Arc<Process>,
}

impl Crew {
    pub(super) fn new(config: &Config) -> Result<Self, BuildError> {
        let process = Arc::new(Process::new());
        process.config_loaded(config.hash, Stamp::now().unix);
        process.set_accounts(config.accounts.len(), config.accounts.len());
        let global = Global::new(config.max_in_flight);
        Ok(Self { transport: Transport::new()?, global, process })
    }

    /// A poller for the account of `slot`. Must be called within a runtime.
    pub(super) fn poller(&self, slot: &Arc<Slot>, promise: Promise) -> Poller {
        let account = Arc::clone(&slot.view().account);
        let tally = Arc::clone(&slot.tally);
        let pace = Arc::new(Pace::new(500, Duration::from_secs(5)));
        let limiter =
            Limiter::new(account.poll.concurrency, pace, self.global.clone(), Arc::clone(&tally));
        let process = Arc::clone(&self.process);
        let client = Client::new(&self.transport, account, limiter, process, tally);
        Poller::new(client, slot, promise)
    }
}
