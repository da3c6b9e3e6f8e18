//! An account's folder as async code uses it: one operation at a time, for a limited time.
//!
//! A disk may hang for minutes. Then at most one operation per account and [`OPERATIONS_MAX`] in the process
//! wait for it, each on a thread of its own; whoever needs another one gets [`StorageError::Hung`] after
//! [`DISK_TIMEOUT`]. An operation that was given up is still carried out when the disk responds again, and
//! before the next one of its account.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::error::StorageError;
use super::folder_name::AccountFolder;
use super::store::{AccountStore, Storage};
use crate::blocking;

/// Longest time that an operation may take, the wait for its turn included.
pub const DISK_TIMEOUT: Duration = Duration::from_secs(5);
/// How many operations are in progress in a process, out of the threads that it has for blocking work;
/// the others are for rendering and parsing.
pub(super) const OPERATIONS_MAX: usize = 16;

/// One account's files, for several parts of the process. The folder is locked by the first operation and
/// unlocked when the last clone of the [`Arc`] is dropped.
#[derive(Debug)]
pub struct AccountFiles {
    storage: Storage,
    folder: AccountFolder,
    /// Held by the operation in progress until it ends, however long its caller waits.
    store: Arc<Mutex<Option<AccountStore>>>,
    operations: Arc<Semaphore>,
}

impl AccountFiles {
    pub(super) fn new(storage: Storage, folder: AccountFolder, operations: Arc<Semaphore>) -> Self {
        Self { storage, folder, store: Arc::default(), operations }
    }

    /// Runs `work` on the folder, which is made and locked if it is not yet.
    ///
    /// # Errors
    /// [`StorageError::Hung`] if the disk does not respond in time; what is in the way of opening the
    /// folder; and the errors of `work`.
    pub async fn run<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut AccountStore) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let files = Arc::clone(self);
        let operation = async {
            let mut store = Arc::clone(&files.store).lock_owned().await;
            let permit = Arc::clone(&files.operations).acquire_owned().await;
            blocking::run(move || {
                // Both are kept until the work ends, and with them the lock on the folder.
                let _kept = permit;
                let opened = match store.take() {
                    Some(opened) => opened,
                    None => files.storage.account(files.folder.clone())?,
                };
                work(store.insert(opened))
            })
            .await
        };
        let done = timeout(DISK_TIMEOUT, operation).await;
        done.unwrap_or_else(|_| {
            Err(StorageError::Hung { path: self.storage.path_of(&self.folder) }.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn storage() -> (tempfile::TempDir, Storage) {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::new(temporary.path().join("data"));
        (temporary, storage)
    }

    /// An operation that lasts until the sender is dropped, and whether it was given up.
    fn hang(files: &Arc<AccountFiles>) -> (mpsc::Sender<()>, impl Future<Output = bool>) {
        let (end, ended) = mpsc::channel::<()>();
        let files = Arc::clone(files);
        let hanging = async move {
            let result = files.run(move |store| {
                let _ = ended.recv();
                store.write("state", b"late")
            });
            matches!(result.await, Err(StorageError::Hung { .. }))
        };
        (end, hanging)
    }

    async fn write(files: &Arc<AccountFiles>, content: &'static [u8]) -> Result<(), StorageError> {
        files.run(move |store| store.write("state", content)).await
    }

    /// Waits for an operation until it is given up. Time does not advance by itself while another one hangs.
    async fn until_given_up<T>(operation: impl Future<Output = T>) -> T {
        tokio::join!(operation, tokio::time::advance(DISK_TIMEOUT * 2)).0
    }

    #[tokio::test]
    async fn what_hangs_is_given_up_holds_one_thread_and_is_carried_out_before_what_follows() {
        let (_temporary, storage) = storage();
        let files = storage.files("acme");
        write(&files, b"first").await.unwrap();
        tokio::time::pause();
        let (end, hanging) = hang(&files);
        assert!(until_given_up(hanging).await, "it is given up");
        for _ in 0..3 {
            let refused = until_given_up(write(&files, b"never")).await.unwrap_err();
            assert!(matches!(refused, StorageError::Hung { .. }), "{refused}");
        }
        tokio::time::resume();
        write(&storage.files("other"), b"another account").await.unwrap();
        drop(end);
        let read = files.run(|store| store.read("state")).await.unwrap();
        assert_eq!(read.unwrap(), b"late");
        write(&files, b"next").await.unwrap();
    }

    #[tokio::test]
    async fn all_accounts_together_have_a_bound() {
        let (_temporary, storage) = storage();
        let all: Vec<_> =
            (0..=OPERATIONS_MAX).map(|number| storage.files(&*format!("a{number}"))).collect();
        tokio::time::pause();
        let mut ends = Vec::new();
        for files in &all[..OPERATIONS_MAX] {
            let (end, hanging) = hang(files);
            assert!(until_given_up(hanging).await);
            ends.push(end);
        }
        let refused = until_given_up(write(&all[OPERATIONS_MAX], b"")).await.unwrap_err();
        assert!(matches!(refused, StorageError::Hung { .. }), "{refused}");
        tokio::time::resume();
        ends.pop();
        write(&all[OPERATIONS_MAX], b"").await.unwrap();
    }

    #[tokio::test]
    async fn parts_of_a_process_share_a_folder_and_the_last_one_unlocks_it() {
        let (_temporary, storage) = storage();
        let first = storage.files("acme");
        let second = storage.clone().files("acme");
        assert!(Arc::ptr_eq(&first, &second));
        write(&first, b"").await.unwrap();
        drop(first);
        let other = storage.same_place();
        let refused = write(&other.files("acme"), b"").await.unwrap_err();
        assert!(matches!(refused, StorageError::Locked { .. }), "{refused}");
        drop(second);
        write(&other.files("acme"), b"").await.unwrap();
        write(&storage.files("acme"), b"").await.unwrap();
    }
}
