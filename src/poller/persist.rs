//! The trends that a poller keeps over restarts of the exporter: since when users have been red.
//!
//! The file is optional, never a reason not to poll: if it cannot be read or written, that is logged
//! once and the poller works without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::warn;

use crate::account::{Account, AccountName};
use crate::blocking;
use crate::clock::Stamp;
use crate::counter::StoredTrend;
use crate::storage::{AccountStore, Storage, StorageError};

/// The file in the account's folder.
const TREND_FILE: &str = "trends.json";
/// Longest time between two writings.
const REFRESH_MAX: Duration = Duration::from_secs(30);
/// Longest time that the disk may take.
const DISK_TIMEOUT: Duration = Duration::from_secs(5);

/// The account's file, opened when it is first needed.
#[derive(Debug)]
pub(super) struct TrendFile {
    storage: Storage,
    account: AccountName,
    /// The file is written again after this time even without a change: old trends cannot be used.
    refresh: Duration,
    store: Option<Arc<AccountStore>>,
    written: Option<(SavedTrends, Stamp)>,
    failure_logged: bool,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedTrends {
    /// The identity of the account, as far as it is known without the token: its name in the
    /// configuration may be given to another account.
    account: String,
    /// By user id.
    users: BTreeMap<String, SavedTrend>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SavedTrend {
    /// Unix time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    red_since: Option<u64>,
    red: u64,
    /// Unix time in milliseconds.
    at: u64,
}

impl SavedTrends {
    pub(super) fn new<'a>(
        account: &Account,
        users: impl Iterator<Item = (&'a str, StoredTrend)>,
    ) -> Self {
        let trend = |saved: StoredTrend| SavedTrend {
            red_since: saved.red_since.map(|since| since.as_millis() as u64),
            red: saved.red,
            at: saved.at.as_millis() as u64,
        };
        let users = users.map(|(user, saved)| (user.to_owned(), trend(saved))).collect();
        Self { account: identity(account), users }
    }

    /// The saved trend of a user, if it belongs to this account.
    pub(super) fn of(&self, account: &Account, user: &str) -> Option<StoredTrend> {
        let saved = self.users.get(user).filter(|_| self.account == identity(account))?;
        let red_since = saved.red_since.map(Duration::from_millis);
        Some(StoredTrend { red_since, red: saved.red, at: Duration::from_millis(saved.at) })
    }

    /// Whether the trends are the same, whenever they were saved.
    fn same_trends(&self, other: &Self) -> bool {
        let facts = |saved: &Self| {
            let trends = saved.users.iter();
            trends
                .map(|(user, saved)| (user.clone(), saved.red_since, saved.red))
                .collect::<Vec<_>>()
        };
        self.account == other.account && facts(self) == facts(other)
    }
}

/// The address of the API and, where it is configured, the account's number.
fn identity(account: &Account) -> String {
    let id = account.account_id.as_ref().map_or("", |id| id.as_str());
    format!("{}#{id}", account.base_url)
}

impl TrendFile {
    /// A file that loses at most a quarter of `stale_after`, the time for which a trend can be used.
    pub(super) fn new(storage: Storage, account: AccountName, stale_after: Duration) -> Self {
        // A little less, so that a sweep that ends a moment early writes as well.
        let refresh = REFRESH_MAX.min(stale_after / 4).mul_f64(0.9);
        Self { storage, account, refresh, store: None, written: None, failure_logged: false }
    }

    /// The saved trends; empty if they cannot be read.
    pub(super) async fn load(&mut self) -> SavedTrends {
        let Some(store) = self.open().await else { return SavedTrends::default() };
        let Some(content) = with_disk_timeout(move || store.read(TREND_FILE)).await else {
            return SavedTrends::default();
        };
        match content.map(|content| content.map(|bytes| serde_json::from_slice(&bytes))) {
            Ok(None) => SavedTrends::default(),
            Ok(Some(Ok(saved))) => saved,
            Ok(Some(Err(error))) => {
                let account = &self.account;
                warn!(%account, "the content of {TREND_FILE} is not valid, continuing without it: {error}");
                SavedTrends::default()
            }
            Err(error) => {
                self.log_failure(&error);
                SavedTrends::default()
            }
        }
    }

    /// Saves the trends, if they have changed or the file is old.
    pub(super) async fn save(&mut self, saved: SavedTrends, now: Stamp) {
        if let Some((written, at)) = &self.written
            && written.same_trends(&saved)
            && at.age(now) < self.refresh
        {
            return;
        }
        let Some(store) = self.open().await else { return };
        let Ok(content) = serde_json::to_vec(&saved) else { return };
        let Some(result) = with_disk_timeout(move || store.write(TREND_FILE, &content)).await
        else {
            return;
        };
        match result {
            Ok(()) => {
                self.written = Some((saved, now));
                self.failure_logged = false;
            }
            Err(error) => self.log_failure(&error),
        }
    }

    /// The account's store, which may hold its tokens as well; tried again each time, because another
    /// process may have released it.
    async fn open(&mut self) -> Option<Arc<AccountStore>> {
        if self.store.is_none() {
            let (storage, account) = (self.storage.clone(), self.account.clone());
            match with_disk_timeout(move || storage.shared(account.as_str())).await? {
                Ok(store) => self.store = Some(store),
                Err(error) => self.log_failure(&error),
            }
        }
        self.store.clone()
    }

    fn log_failure(&mut self, error: &StorageError) {
        if !std::mem::replace(&mut self.failure_logged, true) {
            let account = &self.account;
            warn!(%account, "since when users are red is not kept over restarts: {error}");
        }
    }
}

/// Runs `work`, which waits for the disk, outside the async threads; `None` if it still waits after [`DISK_TIMEOUT`].
async fn with_disk_timeout<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    timeout(DISK_TIMEOUT, blocking::run(work)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, fixture};

    #[test]
    fn trends_of_another_account_of_the_same_name_are_not_used() {
        let account = fixture("acme", &["1"]);
        let trend = StoredTrend {
            red_since: Some(Duration::from_millis(1_759_499_127_045)),
            red: 7,
            at: Duration::from_secs(1_759_499_187),
        };
        let saved = SavedTrends::new(&account, [("1", trend)].into_iter());
        let text = serde_json::to_vec(&saved).unwrap();
        let read: SavedTrends = serde_json::from_slice(&text).unwrap();
        assert_eq!(read.of(&account, "1"), Some(trend));
        assert_eq!(read.of(&account, "2"), None);
        let other = Account { account_id: AccountId::parse("78231464").ok(), ..account };
        assert_eq!(read.of(&other, "1"), None);
    }
}
