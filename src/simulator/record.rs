//! The request log and the counts.
//!
//! The API opens an [`Open`] for each request and drops it when the answer is decided; both update
//! the atomic counts, the ring of [`Request`]s where one is kept, and wake the waiting tasks. Tests
//! read them through the `Simulator`, and wait on a [`Log`] instead of sleeping.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use super::counts::{Counts, Traffic};
use super::endpoint::Endpoint;
use super::lock::lock;

/// One request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Counts requests from 0, whether or not they are still remembered.
    pub sequence: u64,
    /// When the head had arrived.
    pub arrived: Instant,
    /// When the answer was decided, or the client went away.
    pub finished: Option<Instant>,
    /// The method.
    pub method: String,
    /// The path and query, not decoded; without the query where a person authorises.
    pub path: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The account it is about: the credential's, also of a token that has ended, or the one whose
    /// token is requested.
    pub account: Option<Arc<str>>,
    /// The partner whose login requests a token, whether or not the password is right.
    pub partner: Option<Arc<str>>,
    /// The decoded user id, if the path names one.
    pub user: Option<String>,
    /// The status answered; `None` while open, and for ever if hung, reset or given up.
    pub status: Option<u16>,
}

/// The log and the counts at one moment, as a predicate of `Simulator::wait_until` sees them.
pub struct Log<'a> {
    ring: &'a VecDeque<Request>,
    tally: &'a Tally,
}

impl Log<'_> {
    /// The remembered requests, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> + ExactSizeIterator {
        self.ring.iter()
    }

    /// Requests received, remembered or not.
    pub fn total(&self) -> u64 {
        self.tally.traffic.total()
    }

    /// Requests not finished yet.
    pub fn open(&self) -> u64 {
        self.tally.traffic.open()
    }

    /// Requests to an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> u64 {
        self.tally.traffic.endpoint(endpoint)
    }

    /// How often a status was answered.
    pub fn status(&self, status: u16) -> u64 {
        self.tally.status(status).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Log").field("total", &self.total()).field("open", &self.open()).finish()
    }
}

struct Tally {
    traffic: Traffic,
    unanswered: AtomicU64,
    /// Indexed by status minus [`FIRST_STATUS`].
    statuses: Vec<AtomicU64>,
}

const FIRST_STATUS: u16 = 100;
const LAST_STATUS: u16 = 599;

impl Tally {
    fn status(&self, status: u16) -> Option<&AtomicU64> {
        self.statuses.get(usize::from(status.checked_sub(FIRST_STATUS)?))
    }
}

/// The writer of the log and the counts.
pub(super) struct Recorder {
    capacity: usize,
    ring: Mutex<VecDeque<Request>>,
    tally: Tally,
    changed: Notify,
}

impl Recorder {
    pub(super) fn new(capacity: usize) -> Self {
        let statuses = (FIRST_STATUS..=LAST_STATUS).map(|_| AtomicU64::new(0)).collect();
        let tally = Tally { traffic: Traffic::default(), unanswered: AtomicU64::new(0), statuses };
        Self { capacity, ring: Mutex::default(), tally, changed: Notify::new() }
    }

    /// Notes a request, also with those it is about; the guard notes its end. `describe` is only called where a log is kept.
    pub(super) fn open<'a>(
        &'a self,
        others: [Option<&'a Traffic>; 2],
        endpoint: Endpoint,
        describe: impl FnOnce() -> Request,
    ) -> Open<'a> {
        for other in others.into_iter().flatten() {
            other.enter(endpoint);
        }
        let mut sequence = None;
        if self.capacity == 0 {
            self.tally.traffic.enter(endpoint);
        } else {
            // Counts move under the log's lock, so that a predicate sees both agree.
            let mut ring = lock(&self.ring);
            let next = self.tally.traffic.total();
            self.tally.traffic.enter(endpoint);
            if ring.len() >= self.capacity {
                ring.pop_front();
            }
            ring.push_back(Request { sequence: next, ..describe() });
            sequence = Some(next);
        }
        self.changed.notify_waiters();
        Open { recorder: self, others, sequence, status: None }
    }

    fn close(&self, open: &Open<'_>) {
        for other in open.others.into_iter().flatten() {
            other.leave();
        }
        let mut ring = open.sequence.map(|_| lock(&self.ring));
        self.tally.traffic.leave();
        match open.status.and_then(|status| self.tally.status(status)) {
            Some(count) => count.fetch_add(1, Ordering::Relaxed),
            None => self.tally.unanswered.fetch_add(1, Ordering::Relaxed),
        };
        if let (Some(ring), Some(sequence)) = (&mut ring, open.sequence) {
            let first = ring.front().map_or(u64::MAX, |request| request.sequence);
            let place = sequence.checked_sub(first).and_then(|place| ring.get_mut(place as usize));
            if let Some(request) = place {
                request.finished = Some(Instant::now());
                request.status = open.status;
            }
        }
        drop(ring);
        self.changed.notify_waiters();
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        lock(&self.ring).iter().cloned().collect()
    }

    /// The counts without accounts and partners, which the recorder does not know.
    pub(super) fn counts(&self) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let statuses = (FIRST_STATUS..)
            .zip(&self.tally.statuses)
            .map(|(status, count)| (status, load(count)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Counts {
            total: self.tally.traffic.total(),
            open: self.tally.traffic.open(),
            unanswered: load(&self.tally.unanswered),
            statuses,
            endpoints: self.tally.traffic.endpoints(),
            ..Counts::default()
        }
    }

    /// Waits until the predicate holds, checked at the start and the end of every request.
    pub(super) async fn wait_until(&self, mut predicate: impl FnMut(&Log<'_>) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Registered before the check: a change from here on is a wakeup.
            changed.as_mut().enable();
            if self.holds(&mut predicate) {
                return;
            }
            changed.await;
        }
    }

    fn holds(&self, predicate: &mut impl FnMut(&Log<'_>) -> bool) -> bool {
        predicate(&Log { ring: &lock(&self.ring), tally: &self.tally })
    }
}

/// A request in progress. Dropped without a status it counts as unanswered.
pub(super) struct Open<'a> {
    recorder: &'a Recorder,
    others: [Option<&'a Traffic>; 2],
    sequence: Option<u64>,
    status: Option<u16>,
}

impl Open<'_> {
    pub(super) fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.recorder.close(self);
    }
}

#[cfg(test)]
mod tests {
    use super::super::AccountCounts;
    use super::*;

    fn request() -> Request {
        Request {
            sequence: 0,
            arrived: Instant::now(),
            finished: None,
            method: "GET".into(),
            path: "/".into(),
            endpoint: Endpoint::Users,
            account: None,
            partner: None,
            user: None,
            status: None,
        }
    }

    #[test]
    fn the_ring_forgets_the_oldest() {
        let recorder = Recorder::new(2);
        let first = recorder.open([None; 2], Endpoint::Users, request);
        let _second = recorder.open([None; 2], Endpoint::Users, request);
        recorder.open([None; 2], Endpoint::Users, request).answered(200);
        first.answered(404);
        let seen: Vec<_> =
            recorder.requests().iter().map(|seen| (seen.sequence, seen.status)).collect();
        assert_eq!(seen, [(1, None), (2, Some(200))]);
        let counts = recorder.counts();
        assert_eq!((counts.total, counts.open, counts.status(404)), (3, 1, 1));
    }

    #[test]
    fn without_a_log_the_counts_go_on() {
        let recorder = Recorder::new(0);
        let account = Traffic::default();
        let unheard = || unreachable!("nothing is kept");
        let first = recorder.open([Some(&account), None], Endpoint::Users, unheard);
        drop(recorder.open([Some(&account), None], Endpoint::Counter, unheard));
        first.answered(200);
        assert_eq!(recorder.requests(), []);
        let endpoints = [(Endpoint::Counter, 1), (Endpoint::Users, 1)].into();
        assert_eq!(account.counts(), AccountCounts { total: 2, open: 0, max_open: 2, endpoints });
        let counts = recorder.counts();
        assert_eq!((counts.unanswered, counts.status(200)), (1, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wakeup_is_lost() {
        for capacity in [0, 10] {
            for _ in 0..300 {
                let recorder = Arc::new(Recorder::new(capacity));
                let writers = (0..4).map(|_| {
                    let recorder = Arc::clone(&recorder);
                    tokio::spawn(async move {
                        recorder.open([None; 2], Endpoint::Users, request).answered(200);
                    })
                });
                let writers: Vec<_> = writers.collect();
                recorder.wait_until(|log| log.status(200) == 4 && log.open() == 0).await;
                for writer in writers {
                    writer.await.unwrap();
                }
            }
        }
    }
}
