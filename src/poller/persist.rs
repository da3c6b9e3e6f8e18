//! What a poller keeps over restarts of the exporter: since when users have been red.
//!
//! The file is a convenience, never a reason not to poll: what cannot be read or written is logged
//! once and gone without.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::warn;

use crate::account::{Account, AccountName};
use crate::blocking;
use crate::clock::Stamp;
use crate::counter::Remembered;
use crate::storage::{AccountStore, Storage, StorageError};

/// The file in the account's folder.
const FILE: &str = "trends.json";
/// Longest time between two writings.
const REFRESH_MAX: Duration = Duration::from_secs(30);
/// Longest time that is waited for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The account's file, opened when it is first needed.
#[derive(Debug)]
pub(super) struct TrendFile {
    storage: Storage,
    account: AccountName,
    /// What is older than this before the next writing would be of little use after a restart.
    refresh: Duration,
    store: Option<Arc<AccountStore>>,
    written: Option<(SavedTrends, Stamp)>,
    complained: bool,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedTrends {
    /// Whose users these are, as far as it can be told without the token: a name in the
    /// configuration may be given to another account.
    account: String,
    /// By id of the user.
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
        users: impl Iterator<Item = (&'a str, Remembered)>,
    ) -> Self {
        let trend = |kept: Remembered| SavedTrend {
            red_since: kept.red_since.map(|since| since.as_millis() as u64),
            red: kept.red,
            at: kept.at.as_millis() as u64,
        };
        let users = users.map(|(user, kept)| (user.to_owned(), trend(kept))).collect();
        Self { account: identity(account), users }
    }

    /// What was kept of a user, if it was kept of this account.
    pub(super) fn of(&self, account: &Account, user: &str) -> Option<Remembered> {
        let kept = self.users.get(user).filter(|_| self.account == identity(account))?;
        let red_since = kept.red_since.map(Duration::from_millis);
        Some(Remembered { red_since, red: kept.red, at: Duration::from_millis(kept.at) })
    }

    /// Whether the same is known, be it of another time.
    fn agrees_with(&self, other: &Self) -> bool {
        let facts = |kept: &Self| {
            let trends = kept.users.iter();
            trends.map(|(user, kept)| (user.clone(), kept.red_since, kept.red)).collect::<Vec<_>>()
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
    /// A memory that loses at most a quarter of `stale_after`, for which it is good.
    pub(super) fn new(storage: Storage, account: AccountName, stale_after: Duration) -> Self {
        // A little less, so that a sweep that comes a moment early does not wait for the next.
        let refresh = REFRESH_MAX.min(stale_after / 4).mul_f64(0.9);
        Self { storage, account, refresh, store: None, written: None, complained: false }
    }

    /// What was kept; nothing if it cannot be read.
    pub(super) async fn load(&mut self) -> SavedTrends {
        let Some(store) = self.open().await else { return SavedTrends::default() };
        let Some(content) = bounded(move || store.read(FILE)).await else {
            return SavedTrends::default();
        };
        match content.map(|content| content.map(|bytes| serde_json::from_slice(&bytes))) {
            Ok(None) => SavedTrends::default(),
            Ok(Some(Ok(kept))) => kept,
            Ok(Some(Err(error))) => {
                let account = &self.account;
                warn!(%account, "cannot understand {FILE}, going on without: {error}");
                SavedTrends::default()
            }
            Err(error) => {
                self.complain(&error);
                SavedTrends::default()
            }
        }
    }

    /// Keeps what is known `now`, if it is news.
    pub(super) async fn save(&mut self, kept: SavedTrends, now: Stamp) {
        if let Some((written, at)) = &self.written
            && written.agrees_with(&kept)
            && at.age(now) < self.refresh
        {
            return;
        }
        let Some(store) = self.open().await else { return };
        let Ok(content) = serde_json::to_vec(&kept) else { return };
        let Some(result) = bounded(move || store.write(FILE, &content)).await else { return };
        match result {
            Ok(()) => {
                self.written = Some((kept, now));
                self.complained = false;
            }
            Err(error) => self.complain(&error),
        }
    }

    /// The store, which the account's tokens may be kept in as well; tried again each time, since
    /// another process may hold it no longer.
    async fn open(&mut self) -> Option<Arc<AccountStore>> {
        if self.store.is_none() {
            let (storage, account) = (self.storage.clone(), self.account.clone());
            match bounded(move || storage.shared(account.as_str())).await? {
                Ok(store) => self.store = Some(store),
                Err(error) => self.complain(&error),
            }
        }
        self.store.clone()
    }

    fn complain(&mut self, error: &StorageError) {
        if !std::mem::replace(&mut self.complained, true) {
            let account = &self.account;
            warn!(%account, "since when users are red is not kept over restarts: {error}");
        }
    }
}

/// Runs `work`, which waits for the disk, away from the threads that serve sockets; `None` if it is
/// still waiting after [`PATIENCE`].
async fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(PATIENCE, blocking::run(work)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, fixture};

    #[test]
    fn what_was_kept_of_another_account_of_the_same_name_is_not_taken() {
        let account = fixture("acme", &["1"]);
        let trend = Remembered {
            red_since: Some(Duration::from_millis(1_759_499_127_045)),
            red: 7,
            at: Duration::from_secs(1_759_499_187),
        };
        let kept = SavedTrends::new(&account, [("1", trend)].into_iter());
        let text = serde_json::to_vec(&kept).unwrap();
        let read: SavedTrends = serde_json::from_slice(&text).unwrap();
        assert_eq!(read.of(&account, "1"), Some(trend));
        assert_eq!(read.of(&account, "2"), None);
        let other = Account { account_id: AccountId::parse("78231464").ok(), ..account };
        assert_eq!(read.of(&other, "1"), None);
    }
}
