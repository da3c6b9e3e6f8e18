//! What a hanging disk costs.

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
    let (report, begun) = mpsc::channel();
    let files = Arc::clone(files);
    let hanging = async move {
        let result = files.run(move |store| {
            report.send(()).unwrap();
            let _ = ended.recv();
            store.write("state", b"late")
        });
        let given_up = matches!(result.await, Err(StorageError::Hung(_)));
        begun.recv().unwrap();
        given_up
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
        assert!(matches!(refused, StorageError::Hung(_)), "{refused}");
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
    assert_eq!(storage.operations.available_permits(), 0, "what was given up still counts");
    let refused = until_given_up(write(&all[OPERATIONS_MAX], b"")).await.unwrap_err();
    assert!(matches!(refused, StorageError::Hung(_)), "{refused}");
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
