//! The request log and the counts.
//!
//! The API opens an [`Open`] for each request and drops it when the answer is decided; both update
//! the [`Log`] and wake the waiting tasks. Tests read it through the `Simulator`, and wait on it
//! instead of sleeping.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Notify;

use super::endpoint::Endpoint;
use super::lock::lock;

/// One request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When the head had arrived.
    pub arrived: Instant,
    /// The path and query, not decoded; without the query where a person authorises.
    pub path: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The account it is about: the credential's, also of a token that has ended, or the one whose
    /// token is requested.
    pub account: Option<String>,
    /// The partner whose login requests a token, whether or not the password is right.
    pub partner: Option<String>,
    /// The decoded user id, if the path names one.
    pub user: Option<String>,
    /// The status answered; `None` while open, and for ever if hung, reset or given up.
    pub status: Option<u16>,
}

/// The log and the counts at one moment, as a predicate of `Simulator::wait_until` sees them.
#[derive(Debug)]
pub struct Log {
    requests: VecDeque<Request>,
    counts: Counts,
}

impl Deref for Log {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.counts
    }
}

impl Log {
    /// The remembered requests, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> + ExactSizeIterator {
        self.requests.iter()
    }
}

/// Totals since the start. They count every request outside `/_control/`, remembered or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests received.
    pub total: u64,
    /// Requests not finished yet.
    pub open: u64,
    /// Requests finished without a status: hung, reset, or left by the client.
    pub unanswered: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests received by endpoint; an endpoint without requests is absent.
    pub endpoints: BTreeMap<Endpoint, u64>,
    /// Requests for each account, by name: with its credential, or to get it a token.
    pub accounts: BTreeMap<String, AccountCounts>,
    /// Requests for tokens for each partner, by name.
    pub partners: BTreeMap<String, PartnerCounts>,
}

impl Counts {
    /// How often a status was answered.
    pub fn status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Requests to an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> u64 {
        self.endpoints.get(&endpoint).copied().unwrap_or(0)
    }
}

/// Totals of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AccountCounts {
    /// Requests not finished yet.
    pub open: u64,
    /// The most that were open at one time.
    pub max_open: u64,
    /// Requests received by endpoint; an endpoint without requests is absent.
    pub endpoints: BTreeMap<Endpoint, u64>,
}

impl AccountCounts {
    /// Requests to an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> u64 {
        self.endpoints.get(&endpoint).copied().unwrap_or(0)
    }
}

/// Totals of one partner's requests for tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartnerCounts {
    /// Requests received by kind of token; a kind without requests is absent.
    pub asked: BTreeMap<Endpoint, u64>,
    /// Those that were granted, whether or not the answer arrived.
    pub granted: BTreeMap<Endpoint, u64>,
}

impl PartnerCounts {
    /// Requests for a kind of token.
    pub fn asked(&self, kind: Endpoint) -> u64 {
        self.asked.get(&kind).copied().unwrap_or(0)
    }

    /// How often a kind of token was granted.
    pub fn granted(&self, kind: Endpoint) -> u64 {
        self.granted.get(&kind).copied().unwrap_or(0)
    }
}

/// The writer of the log.
pub(super) struct Recorder {
    /// How many requests are remembered.
    capacity: usize,
    log: Mutex<Log>,
    changed: Notify,
}

impl Recorder {
    /// `counts` has the accounts and partners that are counted.
    pub(super) fn new(capacity: usize, counts: Counts) -> Self {
        let log = Mutex::new(Log { requests: VecDeque::new(), counts });
        Self { capacity, log, changed: Notify::new() }
    }

    /// Notes a request; the guard notes its end.
    pub(super) fn open<'a>(&'a self, request: &'a Request) -> Open<'a> {
        let mut log = self.log();
        let Log { requests, counts } = &mut *log;
        let Request { endpoint, account, partner, .. } = request;
        let number = counts.total;
        counts.total += 1;
        counts.open += 1;
        *counts.endpoints.entry(*endpoint).or_default() += 1;
        if let Some(account) = account.as_ref().and_then(|name| counts.accounts.get_mut(name)) {
            account.open += 1;
            account.max_open = account.max_open.max(account.open);
            *account.endpoints.entry(*endpoint).or_default() += 1;
        }
        if let Some(partner) = partner.as_ref().and_then(|name| counts.partners.get_mut(name)) {
            *partner.asked.entry(*endpoint).or_default() += 1;
        }
        if self.capacity > 0 {
            if requests.len() >= self.capacity {
                requests.pop_front();
            }
            requests.push_back(request.clone());
        }
        drop(log);
        self.changed.notify_waiters();
        Open { recorder: self, account: account.as_deref(), number, status: None }
    }

    /// Notes that a partner got a token.
    pub(super) fn granted(&self, partner: &str, kind: Endpoint) {
        if let Some(partner) = self.log().counts.partners.get_mut(partner) {
            *partner.granted.entry(kind).or_default() += 1;
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.log().requests.iter().cloned().collect()
    }

    pub(super) fn counts(&self) -> Counts {
        self.log().counts.clone()
    }

    /// Waits until the predicate holds, checked at the start and the end of every request.
    pub(super) async fn wait_until(&self, mut predicate: impl FnMut(&Log) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Registered before the check: a change from here on is a wakeup.
            changed.as_mut().enable();
            if predicate(&self.log()) {
                return;
            }
            changed.await;
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }
}

/// A request in progress. Dropped without a status it counts as unanswered.
pub(super) struct Open<'a> {
    recorder: &'a Recorder,
    account: Option<&'a str>,
    /// How many there were before it.
    number: u64,
    status: Option<u16>,
}

impl Open<'_> {
    pub(super) fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut log = self.recorder.log();
        let Log { requests, counts } = &mut *log;
        counts.open -= 1;
        if let Some(account) = self.account.and_then(|name| counts.accounts.get_mut(name)) {
            account.open -= 1;
        }
        match self.status {
            Some(status) => *counts.statuses.entry(status).or_default() += 1,
            None => counts.unanswered += 1,
        }
        let forgotten = counts.total - requests.len() as u64;
        let place = self.number.checked_sub(forgotten).map(|place| place as usize);
        if let Some(request) = place.and_then(|place| requests.get_mut(place)) {
            request.status = self.status;
        }
        drop(log);
        self.recorder.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::AccountCounts;
    use super::*;

    fn request(account: Option<&str>, endpoint: Endpoint) -> Request {
        Request {
            arrived: Instant::now(),
            path: "/".into(),
            endpoint,
            account: account.map(str::to_owned),
            partner: None,
            user: None,
            status: None,
        }
    }

    #[test]
    fn the_ring_forgets_the_oldest() {
        let recorder = Recorder::new(2, Counts::default());
        let endpoints = [Endpoint::Users, Endpoint::Channels, Endpoint::Settings];
        let [users, channels, settings] = endpoints.map(|endpoint| request(None, endpoint));
        let first = recorder.open(&users);
        let _second = recorder.open(&channels);
        recorder.open(&settings).answered(200);
        first.answered(404);
        let seen: Vec<_> =
            recorder.requests().iter().map(|seen| (seen.endpoint, seen.status)).collect();
        assert_eq!(seen, [(Endpoint::Channels, None), (Endpoint::Settings, Some(200))]);
        let counts = recorder.counts();
        assert_eq!((counts.total, counts.open, counts.status(404)), (3, 1, 1));
    }

    #[test]
    fn without_a_log_the_counts_go_on() {
        let accounts = [("acme".to_owned(), AccountCounts::default())].into();
        let recorder = Recorder::new(0, Counts { accounts, ..Counts::default() });
        let [users, counter] =
            [Endpoint::Users, Endpoint::Counter].map(|one| request(Some("acme"), one));
        let first = recorder.open(&users);
        drop(recorder.open(&counter));
        first.answered(200);
        assert_eq!(recorder.requests(), []);
        let counts = recorder.counts();
        let endpoints = [(Endpoint::Counter, 1), (Endpoint::Users, 1)].into();
        let expected = AccountCounts { open: 0, max_open: 2, endpoints };
        assert_eq!(counts.accounts["acme"], expected);
        assert_eq!((counts.unanswered, counts.status(200)), (1, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wakeup_is_lost() {
        for capacity in [0, 10] {
            for _ in 0..300 {
                let recorder = Arc::new(Recorder::new(capacity, Counts::default()));
                let writers = (0..4).map(|_| {
                    let recorder = Arc::clone(&recorder);
                    tokio::spawn(async move {
                        recorder.open(&request(None, Endpoint::Users)).answered(200);
                    })
                });
                let writers: Vec<_> = writers.collect();
                recorder.wait_until(|log| log.status(200) == 4 && log.open == 0).await;
                for writer in writers {
                    writer.await.unwrap();
                }
            }
        }
    }
}
