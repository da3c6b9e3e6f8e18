//! Heavy documents: made by one task at a time, and shared as one buffer by all requests that wait for one.
//!
//! What is being made is finished whether a client still waits for it or not, and nothing else is made
//! meanwhile: a wave of requests that are aborted costs no more than one. Finished documents live as
//! long as they are sent; of more than [`ALIVE_MAX`] the readers of the oldest are cut off.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};

use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::response::response;
use crate::blocking::lock;

/// Different documents that may be waited for.
const WANTED_MAX: usize = 32;
/// Shared documents that may be in memory at the same time.
const ALIVE_MAX: usize = 8;

/// Makes and shares documents; `K` says which one is meant.
pub(super) struct SharedDocuments<K> {
    /// Held by the work, so that it is free only when that has ended.
    turn: Arc<Semaphore>,
    /// The documents that are being made or will be.
    wanted: Mutex<HashMap<K, watch::Sender<Option<SharedDocument>>>>,
    /// The finished ones that are still sent, oldest first.
    alive: Mutex<VecDeque<(Weak<()>, CancellationToken)>>,
}

/// A finished document.
#[derive(Debug, Clone)]
pub(super) struct SharedDocument {
    content: Bytes,
    /// Cancelled when its readers have to go.
    cut: CancellationToken,
}

/// What the bytes of a document belong to.
struct Content {
    bytes: Vec<u8>,
    /// Dropped with the last of the bytes.
    _alive: Arc<()>,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> SharedDocuments<K> {
    pub(super) fn new() -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { turn, wanted: Mutex::default(), alive: Mutex::default() }
    }

    /// The document `key`, which `make` makes unless it is being made already; `None` while too many are
    /// waited for.
    pub(super) async fn get(
        self: &Arc<Self>,
        key: K,
        make: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Option<SharedDocument> {
        let mut receiver = self.want(key, make)?;
        // Its sender is dropped without a document if a panic has ended the work.
        let document = receiver.wait_for(Option::is_some).await.ok()?;
        document.clone()
    }

    fn want(
        self: &Arc<Self>,
        key: K,
        make: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Option<watch::Receiver<Option<SharedDocument>>> {
        let mut wanted = lock(&self.wanted);
        if let Some(sender) = wanted.get(&key) {
            return Some(sender.subscribe());
        }
        if wanted.len() >= WANTED_MAX {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        wanted.insert(key.clone(), sender);
        tokio::spawn(Arc::clone(self).make(key, make));
        Some(receiver)
    }

    async fn make(self: Arc<Self>, key: K, make: impl FnOnce() -> Vec<u8> + Send + 'static) {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        if !self.is_wanted(&key) {
            return;
        }
        let work = spawn_blocking(move || {
            let _turn = turn.expect("this semaphore is never closed");
            make()
        });
        let document = work.await.map(|content| self.keep(content));
        let sender = lock(&self.wanted).remove(&key);
        if let (Some(sender), Ok(document)) = (sender, document) {
            sender.send_replace(Some(document));
        }
    }

    /// Whether a request still waits for a document; those that none waits for are forgotten.
    fn is_wanted(&self, key: &K) -> bool {
        let mut wanted = lock(&self.wanted);
        wanted.retain(|_, sender| !sender.is_closed());
        wanted.contains_key(key)
    }

    /// Takes a finished document in; the oldest one has to go if there are too many.
    fn keep(&self, content: Vec<u8>) -> SharedDocument {
        let token = Arc::new(());
        let is_alive = Arc::downgrade(&token);
        let content = Bytes::from_owner(Content { bytes: content, _alive: token });
        let document = SharedDocument { content, cut: CancellationToken::new() };
        let mut alive = lock(&self.alive);
        alive.retain(|(content, _)| content.strong_count() > 0);
        if alive.len() >= ALIVE_MAX
            && let Some((_, cut)) = alive.pop_front()
        {
            cut.cancel();
        }
        alive.push_back((is_alive, document.cut.clone()));
        document
    }
}

impl SharedDocument {
    /// A response with the document; the connection that sends it is aborted when the document is cut.
    pub(super) fn into_response(self, content_type: &'static str) -> Response {
        let mut response = response(StatusCode::OK, content_type, self.content);
        response.extensions_mut().insert(self.cut);
        response
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;
    use tokio::task::JoinSet;

    fn documents() -> Arc<SharedDocuments<usize>> {
        Arc::new(SharedDocuments::new())
    }

    /// Work that begins when it says so and ends when it is let.
    fn held() -> (impl FnOnce() -> Vec<u8> + Send, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begun, begins) = mpsc::channel();
        let (go, gate) = mpsc::channel();
        let work = move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            b"held".to_vec()
        };
        (work, begins, go)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_who_wait_share_one_document() {
        let documents = documents();
        let (work, _begins, go) = held();
        let mut readers = JoinSet::new();
        let first = Arc::clone(&documents);
        readers.spawn(async move { first.get(1, work).await.unwrap() });
        while lock(&documents.wanted).is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            let documents = Arc::clone(&documents);
            readers.spawn(async move { documents.get(1, || panic!("made twice")).await.unwrap() });
        }
        while lock(&documents.wanted).get(&1).unwrap().receiver_count() < 21 {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        let read = readers.join_all().await;
        assert!(read.iter().all(|one| one.content.as_ptr() == read[0].content.as_ptr()));
        assert_eq!(read[0].content, &b"held"[..]);
        assert!(lock(&documents.wanted).is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_that_are_aborted_neither_end_the_work_nor_start_more() {
        let documents = documents();
        let (work, begins, go) = held();
        let first = tokio::spawn({
            let documents = Arc::clone(&documents);
            async move { documents.get(0, work).await.is_some() }
        });
        tokio::task::block_in_place(|| begins.recv().unwrap());
        first.abort();
        let made = Arc::new(AtomicUsize::new(0));
        for key in 1..WANTED_MAX {
            let (documents, made) = (Arc::clone(&documents), Arc::clone(&made));
            let aborted = tokio::spawn(async move {
                documents.get(key, move || vec![made.fetch_add(1, SeqCst) as u8]).await.is_some()
            });
            tokio::task::yield_now().await;
            aborted.abort();
            // Its end does not matter, only that it does not wait any more.
            let _ = aborted.await;
        }
        assert_eq!((documents.turn.available_permits(), made.load(SeqCst)), (0, 0));
        go.send(()).unwrap();
        // Those before it have had their turns.
        assert_eq!(documents.get(99, || b"last".to_vec()).await.unwrap().content, &b"last"[..]);
        assert_eq!(made.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn too_many_different_documents_are_refused() {
        let documents = documents();
        let turn = Arc::clone(&documents.turn).acquire_owned().await.unwrap();
        let mut waiting = JoinSet::new();
        for key in 0..WANTED_MAX {
            let documents = Arc::clone(&documents);
            waiting.spawn(async move { documents.get(key, Vec::new).await.is_some() });
        }
        while lock(&documents.wanted).len() < WANTED_MAX {
            tokio::task::yield_now().await;
        }
        assert!(documents.get(WANTED_MAX, Vec::new).await.is_none());
        drop(turn);
        assert!(waiting.join_all().await.into_iter().all(|made| made));
        assert!(documents.get(WANTED_MAX, Vec::new).await.is_some());
    }

    #[tokio::test]
    async fn of_too_many_documents_in_memory_the_oldest_is_cut() {
        let documents = documents();
        let mut read = Vec::new();
        for key in 0..ALIVE_MAX {
            read.push(documents.get(key, Vec::new).await.unwrap());
        }
        assert!(read.iter().all(|document| !document.cut.is_cancelled()));
        // What is sent does not count.
        read.remove(3);
        let ninth = documents.get(1, Vec::new).await.unwrap();
        assert!(read.iter().all(|document| !document.cut.is_cancelled()));
        let tenth = documents.get(1, Vec::new).await.unwrap();
        let cut: Vec<_> = read.iter().map(|document| document.cut.is_cancelled()).collect();
        assert_eq!(cut, [true, false, false, false, false, false, false]);
        assert!(!ninth.cut.is_cancelled() && !tenth.cut.is_cancelled());
    }

    #[tokio::test]
    async fn work_that_panics_is_nobodys_document_and_ends_its_turn() {
        let documents = documents();
        assert!(documents.get(1, || panic!("a fault of ours")).await.is_none());
        assert!(documents.get(1, Vec::new).await.is_some());
    }
}
