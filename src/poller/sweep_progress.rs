//! The progress of one sweep: which user is next and when, and what failures mean for the rest.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::account::Poll;
use crate::schedule::Backoff;
use crate::snapshot::FailingReason;
use crate::transport::Error;

/// The least number of failures after which all others are expected to fail.
const MIN_FAILURES: usize = 10;
/// The least number of refusals in a row after which the token counts as ended.
const MIN_DENIALS: usize = 3;
/// By how much a request of a spread sweep may be sent early to make up for late ones: for those of a whole tick,
/// and for a timer that is late for it.
const SPREAD_TOLERANCE: Duration = Duration::from_millis(50);

/// The progress of one sweep. Users are known by their index.
pub(super) struct SweepProgress {
    /// Users still to be read.
    queue: VecDeque<usize>,
    /// Users to be read once a probe has succeeded.
    held: Vec<usize>,
    /// Requests that may succeed when they are sent again, by the time at which that is due.
    retries: Vec<Retry>,
    /// Users whose request was sent again.
    retried: HashSet<usize>,
    /// How many there may be of both: more failures concern the account.
    retries_max: usize,
    /// When the next sweep is due; what would end later is not sent again.
    end: Instant,
    /// Whether users could be read in the sweep before.
    was_good: bool,
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
    pub(super) refused: Option<FailingReason>,
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
    /// A sweep over `users` users, one every so often (`between`), that begins with the user `first`; where
    /// the account could not be read for long, with that one alone.
    pub(super) fn new(
        users: usize,
        first: usize,
        between: Duration,
        poll: Poll,
        backoff: Backoff,
    ) -> Self {
        let mut queue: VecDeque<usize> = (first..users).chain(0..first.min(users)).collect();
        let alone = if backoff.probing() { 1.min(users) } else { users };
        let held = queue.split_off(alone).into();
        let now = Instant::now();
        Self {
            queue,
            held,
            retries: Vec::new(),
            retried: HashSet::new(),
            retries_max: poll.concurrency.max(users / 10),
            end: now + poll.interval,
            was_good: backoff.is_new(),
            concurrency: poll.concurrency,
            between,
            next_at: now,
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

    /// Whether there is a request left to send.
    pub(super) fn has_next(&self) -> bool {
        let left = !self.queue.is_empty() || self.next_retry().is_some();
        left && self.refused.is_none() && !self.is_hopeless()
    }

    /// When the next request may be sent, if there is one and `room` for it.
    pub(super) fn next_at(&self, room: bool) -> Option<Instant> {
        if !self.has_next() || !room {
            return None;
        }
        let retry = self.next_retry().filter(|_| self.queue.is_empty());
        Some(retry.map_or(self.next_at, |retry| retry.due.max(self.next_at)))
    }

    /// The next user to read, if it is time and there is `room`; and why that has failed, if the request is
    /// sent again.
    pub(super) fn next(&mut self, now: Instant, room: bool) -> Option<(usize, Option<Error>)> {
        self.next_at(room).filter(|at| *at <= now)?;
        let next = if self.next_retry().is_some_and(|retry| retry.due <= now) {
            let retry = self.retries.remove(0);
            self.retried.insert(retry.user);
            (retry.user, Some(retry.error))
        } else {
            (self.queue.pop_front()?, None)
        };
        self.asked += 1;
        // What coarse timers lose is made up for; longer delays are not, which would be a burst.
        let at = self.next_at.max(now.checked_sub(SPREAD_TOLERANCE).unwrap_or(now));
        self.next_at = at + self.between;
        Some(next)
    }

    /// The first request that may be sent again: once others have succeeded, or at the end of the first
    /// sweep in which none does.
    fn next_retry(&self) -> Option<&Retry> {
        let few = self.retries.len() + self.retried.len() <= self.retries_max;
        let promising = self.accepted || (self.was_good && self.queue.is_empty());
        let in_time = |retry: &&Retry| retry.due + retry.took < self.end;
        self.retries.first().filter(|_| few && promising).filter(in_time)
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

    /// Whether the sweep did not get to all users, because of what the account as a whole answers.
    pub(super) fn ended_early(&self) -> bool {
        !self.accepted || self.refused.is_some()
    }

    /// The user to begin with in the next sweep after one that ended early, so that users who cannot be
    /// read do not block the others for ever. Steps of the golden section come near every user in few
    /// sweeps, also where a long run of neighbours cannot be read.
    pub(super) fn next_first(&self, first: usize, users: usize) -> usize {
        let users = users.max(1);
        let golden = self.asked + users * 382 / 1000;
        // With a factor in common the steps would never come to some of them. Of so many in a row one has none.
        let mut steps = golden..golden + users;
        let step = steps.find(|step| have_no_factor_in_common(*step, users)).unwrap_or(1);
        (first + step) % users
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

fn have_no_factor_in_common(mut one: usize, mut other: usize) -> bool {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::fixture;

    fn progress(users: usize, backoff: Backoff) -> SweepProgress {
        let poll = fixture("acme", &[]).poll;
        SweepProgress::new(users, 0, Duration::ZERO, poll, backoff)
    }

    /// Sends the next request; its user, and whether it is sent again.
    fn next(progress: &mut SweepProgress) -> Option<(usize, bool)> {
        let (user, failed) = progress.next(Instant::now(), true)?;
        Some((user, failed.is_some()))
    }

    fn fail(progress: &mut SweepProgress, user: usize, took: Duration) {
        let error = Error::Timeout(took);
        progress.fail_for_now(Retry { user, error, due: Instant::now(), took });
    }

    #[test]
    fn a_failed_request_is_sent_again_once_another_has_succeeded() {
        let mut progress = progress(3, Backoff::default());
        assert_eq!(next(&mut progress), Some((0, false)));
        fail(&mut progress, 0, Duration::ZERO);
        assert_eq!(next(&mut progress), Some((1, false)));
        progress.accept();
        assert_eq!(next(&mut progress), Some((0, true)));
        assert!(progress.was_retried(0) && !progress.was_retried(1));
        assert_eq!([next(&mut progress), next(&mut progress)], [Some((2, false)), None]);
        assert!(!progress.has_next() && progress.take_retries().is_empty());
    }

    #[test]
    fn where_none_succeeds_requests_are_repeated_at_the_end_of_the_first_such_sweep_only() {
        let mut failing = Backoff::default();
        failing.record(false, true);
        for (backoff, repeated) in [(Backoff::default(), Some((0, true))), (failing, None)] {
            let mut progress = progress(2, backoff);
            next(&mut progress);
            fail(&mut progress, 0, Duration::ZERO);
            assert_eq!(next(&mut progress), Some((1, false)));
            assert_eq!(next(&mut progress), repeated);
        }
    }

    #[test]
    fn sweeps_that_end_early_begin_with_every_user_in_time() {
        for users in 1..100 {
            let mut progress = progress(users, Backoff::default());
            next(&mut progress);
            let firsts =
                std::iter::successors(Some(0), |first| Some(progress.next_first(*first, users)));
            let firsts: HashSet<usize> = firsts.take(users).collect();
            assert_eq!(firsts.len(), users);
        }
    }

    #[test]
    fn many_failures_and_slow_ones_are_not_repeated() {
        let poll = fixture("acme", &[]).poll;
        for (failures, took) in [(poll.concurrency + 1, Duration::ZERO), (1, poll.interval)] {
            let mut progress = progress(failures, Backoff::default());
            for user in 0..failures {
                assert_eq!(next(&mut progress), Some((user, false)));
                fail(&mut progress, user, took);
            }
            progress.accept();
            assert_eq!(next(&mut progress), None);
            assert_eq!(progress.take_retries().len(), failures);
        }
    }
}
