//! The trends that a poller keeps over restarts of the exporter: since when users have been red.
//!
//! The file is optional, never a reason not to poll: if it cannot be read or written, that is logged
//! once and the poller works without it. It is written by a task of its own: no sweep waits for the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinHandle};
use tracing::warn;

use super::identity::AccountIdentity;
use crate::account::{Account, AccountId, AccountName, Api};
use crate::clock::{self, Stamp};
use crate::counter::StoredTrend;
use crate::storage::{
    AccountFiles, AccountFolder, AccountStore, StateError, Storage, StorageError, parse_state,
    state_bytes,
};

/// The file in the account's folder.
const TREND_FILE: &str = "trends.json";
/// The same where the account is read through v3, which may be in addition.
const TREND_FILE_V3: &str = "trends-v3.json";
/// The format of both.
const VERSION: u32 = 1;
/// Longest time between two writings.
const REFRESH_MAX: Duration = Duration::from_secs(30);

/// The account's file, opened when it is first needed.
pub(super) struct TrendFile {
    account: AccountName,
    files: Arc<AccountFiles>,
    file: &'static str,
    /// The file is written again after this time even without a change: old trends cannot be used.
    refresh: Duration,
    writing: Option<JoinHandle<Result<WrittenTrends, StorageError>>>,
    written: Option<WrittenTrends>,
    /// Whether the last operation has failed, which was logged.
    failing: bool,
    /// Whether a newer program has written the file, which it finds as it was.
    newer: bool,
}

/// What was written, and of when it is.
type WrittenTrends = (SavedTrends, Stamp);

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedTrends {
    /// Whose they are: name and token may be given to another account.
    #[serde(default, rename = "identity")]
    pub(super) account: AccountIdentity,
    /// By which wall clock the times are.
    #[serde(flatten)]
    clock: SavedClock,
    /// By user id.
    pub(super) users: BTreeMap<String, StoredTrend>,
}

/// The wall clock, which may be set before the trends are read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SavedClock {
    /// Which boot of the machine it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// The wall clock minus the clock for ages, in milliseconds.
    #[serde(default)]
    offset_ms: i64,
}

impl SavedClock {
    fn of(now: Stamp) -> Self {
        let boot = clock::boot().map(str::to_owned);
        Self { boot, offset_ms: (now.offset() / 1_000_000) as i64 }
    }
}

impl SavedTrends {
    /// The trends of these users, with times by the wall clock as it is `now`.
    pub(super) fn new(
        account: AccountIdentity,
        users: impl Iterator<Item = (String, StoredTrend)>,
        now: Stamp,
    ) -> Self {
        Self { account, clock: SavedClock::of(now), users: users.collect() }
    }

    /// The same with times by the wall clock as it is `now`. After another boot nothing shows how it was set.
    fn by_the_clock_of(mut self, now: Stamp) -> Self {
        let clock = SavedClock::of(now);
        if self.clock.boot.is_some() && self.clock.boot == clock.boot {
            let set_by = clock.offset_ms.saturating_sub(self.clock.offset_ms);
            self.users.values_mut().for_each(|trend| trend.shift(set_by));
            self.clock = clock;
        }
        self
    }

    /// The saved trend of a user, if it belongs to this account.
    pub(super) fn of(&self, account: &AccountIdentity, user: &str) -> Option<StoredTrend> {
        self.users.get(user).copied().filter(|_| self.account.is_same(account))
    }

    /// Whether the trends are the same, whenever they were saved.
    fn same_trends(&self, other: &Self) -> bool {
        self.account == other.account && self.figures().eq(other.figures())
    }

    fn figures(&self) -> impl Iterator<Item = (&String, Option<u64>, u64)> {
        self.users.iter().map(|(user, saved)| (user, saved.red_since, saved.red))
    }
}

/// Uses saved trends as a start does. Whether these bytes hold any.
#[cfg(fuzzing)]
pub fn uses_saved_trends(bytes: &[u8]) -> bool {
    let Ok(saved) = parse_state::<SavedTrends>(bytes, VERSION) else { return false };
    let written = state_bytes(&saved, VERSION);
    assert!(parse_state(&written, VERSION).is_ok_and(|again: SavedTrends| again == saved));
    let now = Stamp::now();
    for stored in saved.users.values() {
        let trend = crate::counter::Trend::restore(*stored, now, REFRESH_MAX);
        let _ = trend.to_stored(now);
    }
    true
}

impl TrendFile {
    /// A file that loses at most a quarter of `stale_after`, the time for which a trend can be used.
    pub(super) fn new(storage: &Storage, account: &Account) -> Self {
        let number = account.account_id.as_ref().map(AccountId::as_str);
        let files = storage.files(AccountFolder::new(account.name.as_str(), number));
        let file = match account.api {
            Api::V2 => TREND_FILE,
            Api::V3 => TREND_FILE_V3,
        };
        // A little less, so that a sweep that ends a moment early writes as well.
        let refresh = REFRESH_MAX.min(account.poll.stale_after / 4).mul_f64(0.9);
        Self {
            account: account.name.clone(),
            files,
            file,
            refresh,
            writing: None,
            written: None,
            failing: false,
            newer: false,
        }
    }

    /// The saved trends; empty if they cannot be read.
    pub(super) async fn load(&mut self) -> SavedTrends {
        let (account, file) = (&self.account, self.file);
        let content = match self.files.run(move |store| store.read(file)).await {
            // Another shard is about to hand the account over; the lock is taken when something is saved.
            Err(StorageError::Locked { .. }) => self.files.read_unlocked(file).await,
            content => content,
        };
        match content.map(|content| content.map(|bytes| parse_state(&bytes, VERSION))) {
            Ok(None) => SavedTrends::default(),
            Ok(Some(Ok(saved))) => SavedTrends::by_the_clock_of(saved, Stamp::now()),
            Ok(Some(Err(error))) => {
                warn!(%account, "continuing without the content of {file}: {error}");
                self.newer = matches!(error, StateError::Newer { .. });
                SavedTrends::default()
            }
            Err(error) => {
                self.log_failure(&error);
                SavedTrends::default()
            }
        }
    }

    /// Begins to save the trends, if they have changed or the file is old, unless the disk still works on
    /// earlier ones: those of a later sweep are saved then.
    pub(super) fn save(&mut self, saved: SavedTrends, now: Stamp) {
        if let Some(writing) = &mut self.writing {
            let Some(result) = writing.now_or_never() else { return };
            self.writing = None;
            self.note(result);
        }
        let fresh = |(written, at): &WrittenTrends| {
            written.same_trends(&saved) && at.age(now) < self.refresh
        };
        if self.newer || self.written.as_ref().is_some_and(fresh) {
            return;
        }
        let (files, file) = (Arc::clone(&self.files), self.file);
        self.writing = Some(tokio::spawn(async move {
            let write = move |store: &mut AccountStore| {
                let content = state_bytes(&saved, VERSION);
                store.write(file, &content).map(|()| (saved, now))
            };
            files.run(write).await
        }));
    }

    /// Saves the trends and waits for that, as long as an operation may take.
    pub(super) async fn save_now(&mut self, saved: SavedTrends, now: Stamp) {
        self.finish().await;
        self.save(saved, now);
        self.finish().await;
    }

    async fn finish(&mut self) {
        if let Some(writing) = self.writing.take() {
            let result = writing.await;
            self.note(result);
        }
    }

    /// Takes note of a writing that has ended.
    fn note(&mut self, result: Result<Result<WrittenTrends, StorageError>, JoinError>) {
        match result {
            Ok(Ok(written)) => (self.written, self.failing) = (Some(written), false),
            Ok(Err(error)) => self.log_failure(&error),
            // A panic was logged; the next sweep saves again.
            Err(_) => {}
        }
    }

    fn log_failure(&mut self, error: &StorageError) {
        if !std::mem::replace(&mut self.failing, true) {
            let account = &self.account;
            warn!(%account, "since when users are red is not kept over restarts: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Auth, fixture};

    #[test]
    fn trends_of_another_account_of_the_same_name_are_not_used() {
        let account = fixture("acme", &["1"]);
        let own = AccountIdentity::new(&account, None);
        let trend =
            StoredTrend { red_since: Some(1_759_499_127_045), red: 7, at: 1_759_499_187_000 };
        let users = [("1".to_owned(), trend)].into_iter();
        let saved = SavedTrends::new(own.clone(), users, Stamp::now());
        let text = state_bytes(&saved, VERSION);
        let read: SavedTrends = parse_state(&text, VERSION).unwrap();
        assert_eq!(read.of(&own, "1"), Some(trend));
        assert_eq!(read.of(&own, "2"), None);
        let other = Account { auth: Auth::Token("other".into()), ..account };
        assert_eq!(read.of(&AccountIdentity::new(&other, None), "1"), None);
    }

    fn some_trends(account: &Account) -> SavedTrends {
        let at = 1_759_499_187_000;
        let trend = StoredTrend { red_since: Some(at), red: 7, at };
        let account = AccountIdentity::new(account, None);
        SavedTrends::new(account, [("1".to_owned(), trend)].into_iter(), Stamp::now())
    }

    #[test]
    fn a_wall_clock_that_was_set_since_changes_no_age() {
        let saved = some_trends(&fixture("acme", &["1"]));
        let times = |saved: &SavedTrends| {
            saved
                .users
                .values()
                .map(|trend| (trend.red_since.unwrap(), trend.at))
                .collect::<Vec<_>>()
        };
        let now = Stamp::now();
        let set = Stamp { unix: now.unix + Duration::from_secs(18), ..now };
        let expected: Vec<_> =
            times(&saved).into_iter().map(|(since, at)| (since + 18_000, at + 18_000)).collect();
        let within_this_boot = saved.clone().by_the_clock_of(set);
        let shifted = times(&within_this_boot);
        assert!(shifted[0].0.abs_diff(expected[0].0) < 1_500, "{shifted:?} {expected:?}");
        assert!(shifted[0].1.abs_diff(expected[0].1) < 1_500, "{shifted:?} {expected:?}");
        let clock = SavedClock { boot: Some("another".to_owned()), ..saved.clock.clone() };
        let of_another = SavedTrends { clock, ..saved.clone() }.by_the_clock_of(set);
        assert_eq!(times(&of_another), times(&saved));
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_left_untouched() {
        let (folder, account) = (tempfile::tempdir().unwrap(), fixture("acme", &["1"]));
        let storage = Storage::new(folder.path());
        let path = folder.path().join("acme").join(TREND_FILE);
        let mut own = TrendFile::new(&storage, &account);
        own.save_now(some_trends(&account), Stamp::now()).await;
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.starts_with(r#"{"version":1,"#), "{written}");
        assert_eq!(own.load().await, some_trends(&account));
        let newer = written.replace(r#""version":1"#, r#""version":2"#);
        std::fs::write(&path, &newer).unwrap();
        let mut later = TrendFile::new(&storage, &account);
        assert_eq!(later.load().await, SavedTrends::default());
        later.save_now(some_trends(&account), Stamp::now()).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
    }

    #[tokio::test]
    async fn what_another_owner_has_saved_is_continued_before_it_lets_go() {
        let (folder, account) = (tempfile::tempdir().unwrap(), fixture("acme", &["1"]));
        let mut owner = TrendFile::new(&Storage::new(folder.path()), &account);
        owner.save_now(some_trends(&account), Stamp::now()).await;
        let mut next = TrendFile::new(&Storage::new(folder.path()), &account);
        assert_eq!(next.load().await, some_trends(&account));
        drop(owner);
    }
}
