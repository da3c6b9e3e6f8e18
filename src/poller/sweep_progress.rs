//! The progress of one sweep: which user is next and when, and what failures mean for the rest.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::FailingReason;
use crate::transport::Error;

/// The least number of failures after which all others are expected to fail.
const MIN_FAILURES: usize = 10;
/// The least number of refusals in a row after which the token counts as ended.
const MIN_DENIALS: usize = 3;
/// By how much a request of a spread sweep may be sent early to make up for late ones.
const SPREAD_TOLERANCE: Duration = Duration::from_millis(20);

/// Which users are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SweepScope {
    /// Every user, until enough have failed to expect that all would.
    AllUsers,
    /// One user first; the others once that one shows that the account can be read.
    Probe,
}

/// The progress of one sweep. Users are known by their index.
pub(super) struct SweepProgress {
    /// Users still to be read.
    queue: VecDeque<usize>,
    /// Users to be read once a probe has succeeded.
    held: Vec<usize>,
    /// Requests that may succeed when they are sent again.
    retries: Vec<Retry>,
    /// Users whose request was sent again.
    retried: HashSet<usize>,
    /// How many of them there may be: more failures concern the account.
    retries_max: usize,
    /// Requests in flight at most.
    concurrency: usize,
    /// Time from one request to the next.
    between: Duration,
    /// The earliest time of the next request.
    next_at: Instant,
    /// Requests that were sent.
    asked: usize,
    /// Requests that failed.
    failures: usize,
    /// Consecutive refusals.
    denials: usize,
    /// How many of them end a sweep in which no user was read yet. In a spread sweep the first request is
    /// alone, and its user may be the only one who is refused.
    denials_before_success: usize,
    /// Whether upstream has accepted the token in this sweep.
    accepted: bool,
    /// Why the sweep ended early.
    refused: Option<FailingReason>,
}

/// A request that may be sent again.
pub(super) struct Retry {
    pub(super) user: usize,
    pub(super) error: Error,
    /// When.
    pub(super) due: Instant,
    /// How long it took to fail.
    pub(super) took: Duration,
}

impl SweepProgress {
    /// A sweep over `users` users that begins with the user `first`.
    pub(super) fn new(
        scope: SweepScope,
        users: usize,
        first: usize,
        concurrency: usize,
        between: Duration,
    ) -> Self {
        let mut queue: VecDeque<usize> = (first..users).chain(0..first.min(users)).collect();
        let held = match scope {
            SweepScope::AllUsers => Vec::new(),
            SweepScope::Probe => queue.split_off(1.min(users)).into(),
        };
        Self {
            queue,
            held,
            retries: Vec::new(),
            retried: HashSet::new(),
            retries_max: concurrency.max(users / 10),
            concurrency,
            between,
            next_at: Instant::now(),
            asked: 0,
            failures: 0,
            denials: 0,
            denials_before_success: if between.is_zero() { 1 } else { MIN_DENIALS.min(users) },
            accepted: false,
            refused: None,
        }
    }

    /// Leaves out users who need not be read.
    pub(super) fn skip(&mut self, mut needless: impl FnMut(usize) -> bool) {
        self.queue.retain(|user| !needless(*user));
    }

    /// Whether there is a user left to read.
    pub(super) fn has_next(&self) -> bool {
        self.refused.is_none() && !self.is_hopeless() && !self.queue.is_empty()
    }

    /// When the next request may be sent, if there is one and `open` in flight leave room for it.
    pub(super) fn next_at(&self, open: usize) -> Option<Instant> {
        (self.has_next() && open < self.concurrency).then_some(self.next_at)
    }

    /// The next user to read, if it is time with `open` requests in flight.
    pub(super) fn next(&mut self, now: Instant, open: usize) -> Option<usize> {
        self.next_at(open).filter(|at| *at <= now)?;
        let user = self.queue.pop_front()?;
        self.asked += 1;
        // What coarse timers lose is made up for; longer delays are not, which would be a burst.
        let at = self.next_at.max(now.checked_sub(SPREAD_TOLERANCE).unwrap_or(now));
        self.next_at = at + self.between;
        Some(user)
    }

    /// Reads a user again whose response says nothing.
    pub(super) fn put_back(&mut self, user: usize) {
        self.queue.push_front(user);
    }

    /// Reads every user again: what was read is of another account.
    pub(super) fn begin_again(&mut self, users: usize) {
        self.queue = (0..users).collect();
    }

    /// Whether enough requests have failed, and none has succeeded.
    fn is_hopeless(&self) -> bool {
        let enough = self.concurrency.saturating_mul(3).max(MIN_FAILURES);
        !self.accepted && self.failures >= enough
    }

    /// Whether upstream has accepted the token, or may yet, where `new` says that an outage is new.
    pub(super) fn is_promising(&self, new: bool) -> bool {
        self.refused.is_none() && (self.accepted || (new && !self.is_hopeless()))
    }

    /// Whether the sweep did not get to all users, because of what the account as a whole answers.
    pub(super) fn ended_early(&self) -> bool {
        !self.accepted || self.refused.is_some()
    }

    /// Why the sweep ended early, if it did.
    pub(super) fn refused(&self) -> Option<FailingReason> {
        self.refused
    }

    /// The user to begin with in the next sweep after one that ended early, so that users who cannot be
    /// read do not block the others for ever. Steps of the golden section come near every user in few
    /// sweeps, also where a long run of neighbours cannot be read.
    pub(super) fn next_first(&self, first: usize, users: usize) -> usize {
        (first + self.asked + users * 382 / 1000) % users.max(1)
    }

    /// Records a failure.
    pub(super) fn fail(&mut self) {
        self.failures += 1;
    }

    /// Records a failure whose request may be sent again.
    pub(super) fn fail_for_now(&mut self, retry: Retry) {
        self.failures += 1;
        self.retries.push(retry);
    }

    /// Whether the request of a user was sent again.
    pub(super) fn was_retried(&self, user: usize) -> bool {
        self.retried.contains(&user)
    }

    /// Sends requests again that are due, in the middle of a spread sweep; returns why they failed.
    pub(super) fn retry_due(&mut self, now: Instant) -> Vec<Error> {
        if !self.accepted || self.between.is_zero() {
            return Vec::new();
        }
        let room = self.retries_max.saturating_sub(self.retried.len());
        let due = self.retries.extract_if(.., |retry| retry.due <= now);
        let due = due.take(room).collect();
        self.retry(due)
    }

    /// How long the slowest of the requests took that may be sent again at the end, if these are not too
    /// many.
    pub(super) fn retries_take(&self) -> Option<Duration> {
        let few = self.retries.len() <= self.retries_max;
        self.retries.iter().map(|retry| retry.took).max().filter(|_| few)
    }

    /// Sends all of them again; returns why they failed.
    pub(super) fn retry_all(&mut self) -> Vec<Error> {
        let retries = std::mem::take(&mut self.retries);
        self.retry(retries)
    }

    fn retry(&mut self, retries: Vec<Retry>) -> Vec<Error> {
        let again = retries.into_iter().map(|retry| {
            self.retried.insert(retry.user);
            self.queue.push_front(retry.user);
            retry.error
        });
        again.collect()
    }

    /// Requests that are not sent again.
    pub(super) fn take_retries(&mut self) -> Vec<Retry> {
        std::mem::take(&mut self.retries)
    }

    /// Records that a token was refused, for which there is no other one or none for this `reason`. Once
    /// others were read with it, one refusal may concern one user, but hardly many in a row.
    pub(super) fn deny(&mut self, reason: FailingReason) {
        self.denials += 1;
        let enough = if self.accepted {
            self.concurrency.max(MIN_DENIALS)
        } else {
            self.denials_before_success
        };
        if self.denials >= enough {
            self.refused = Some(reason);
        }
    }

    /// Records a response 403. Before the first success it concerns the account, afterwards the user.
    pub(super) fn forbid(&mut self) {
        if !self.accepted {
            self.deny(FailingReason::Forbidden);
        }
    }

    /// A response shows that the token is good: the users held back may be read.
    pub(super) fn accept(&mut self) {
        self.accepted = true;
        self.denials = 0;
        self.queue.extend(self.held.drain(..));
        self.refused = None;
    }
}
