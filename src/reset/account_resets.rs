//! What the resets of one account share, from one request to the next.

use std::sync::atomic::AtomicBool;

use tokio::sync::Mutex;
use tracing::warn;

use super::guards::Refusal;
use super::journal::ResetJournal;
use crate::metrics::ResetResult;
use crate::poller::PollerHandle;
use crate::storage::{AccountFolder, Storage};

/// The resets of one account. It is kept when the account is renamed or its settings change.
pub(super) struct AccountResets {
    pub(super) journal: ResetJournal,
    /// Held while a reset is in flight.
    pub(super) in_flight: Mutex<()>,
    /// Whether upstream has named another account in its response.
    pub(super) locked: AtomicBool,
}

impl AccountResets {
    pub(super) fn new(folder: AccountFolder, storage: Option<Storage>) -> Self {
        Self {
            journal: ResetJournal::new(folder, storage),
            in_flight: Mutex::new(()),
            locked: AtomicBool::new(false),
        }
    }

    /// Reads the journal, unless that was done, and updates the account's metrics from it.
    pub(super) async fn load(&self, poller: &PollerHandle) -> Result<(), Refusal> {
        let unresolved = self.journal.open().await?;
        let account = &poller.account.name;
        for _ in 0..unresolved {
            poller.tally.change(|tally| tally.resets.ended(ResetResult::Unknown));
            warn!(%account, "a reset was sent or about to be sent when the exporter ended; its outcome \
                is unknown, and its cooldown holds");
        }
        let marks = self.journal.marks();
        if unresolved > 0 || poller.tally.values().resets.marks != marks {
            poller.tally.change(|tally| tally.resets.marks = marks);
            poller.publish.notify_one();
        }
        Ok(())
    }
}
