//! One sweep over the users of an account.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::debug;

use super::actor::{PUBLISH_PERIOD, Poller, reason_of, with_heartbeat};
use super::counter_requests::{CounterRequests, EndedRequest};
use super::full_read::may_be_temporary;
use super::registry::Interrupts;
use super::sweep_progress::{Retry, SweepProgress};
use crate::api::CounterResponse;
use crate::auth::Token;
use crate::clock::Stamp;
use crate::metrics::Outcome;
use crate::schedule::{fnv1a, retry_pause, sweep_spacing};
use crate::snapshot::{FailingReason, Sweep};

/// How fast the users of a sweep are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SweepPace {
    /// As fast as our share of the limit allows: readings are missing.
    Share,
    /// Spread over the interval.
    Spread,
}

/// Requests of a sweep, known by the index of their user.
type SweepRequests = CounterRequests<usize>;

impl Poller {
    /// One sweep, which skips users that were read since `skip_read_since`. It is broken off when the
    /// poller is interrupted.
    pub(super) async fn sweep(
        &mut self,
        skip_read_since: Option<Stamp>,
        pace: SweepPace,
        interrupts: &mut Interrupts,
    ) {
        let started = skip_read_since.unwrap_or_else(Stamp::now);
        self.state.facts.begun = Some(started);
        let client = Arc::clone(&self.client);
        let token = tokio::select! {
            token = async {
                self.find_first_users().await;
                with_heartbeat(&self.heartbeat, &client, client.token()).await
            } => token,
            () = interrupts.wait() => return,
        };
        let (refused, slow_down) = match token {
            Ok(token) => {
                self.state.note_token(token.account(), Stamp::now());
                self.logged_elsewhere = false;
                self.request_counters(token, pace, skip_read_since, interrupts).await
            }
            Err(error) => {
                self.logged_elsewhere = error.is_shared();
                self.state.fail_all_users(&error.to_string(), error.outcome());
                // Trying again sends no request upstream: attempts to get a token have their own pace.
                (Some(reason_of(&error)), false)
            }
        };
        if !interrupts.begun() {
            self.end_sweep(started, refused, slow_down);
        }
        // Of a sweep that was broken off counts what was read; as a whole it has no result.
        self.apply_all();
        if !interrupts.begun() {
            self.report_lists();
        }
    }

    /// Records the result of a sweep.
    fn end_sweep(&mut self, started: Stamp, refused: Option<FailingReason>, slow_down: bool) {
        let (result, failing) = self.state.verdict(refused);
        let finished = Stamp::now();
        let duration = started.age(finished);
        self.state.facts.sweep = Some(Sweep { finished, duration, result });
        self.state.facts.failing = failing;
        self.writer.slot.tally.sweep(result);
        self.backoff.record(slow_down, failing.is_some());
        self.report(true, finished);
        debug!(account = %self.account().name, result = result.label(), ?duration, "swept");
    }

    /// Reads the users, except those read since `skip_read_since`, and publishes in between. Returns why
    /// the account refused all requests, if it did, and whether the next sweeps have to be rarer.
    async fn request_counters(
        &mut self,
        token: Token,
        pace: SweepPace,
        skip_read_since: Option<Stamp>,
        interrupts: &mut Interrupts,
    ) -> (Option<FailingReason>, bool) {
        let (poll, users) = (self.account().poll, self.state.facts.users);
        let between = match pace {
            SweepPace::Share => Duration::ZERO,
            SweepPace::Spread => sweep_spacing(users, poll.interval),
        };
        let mut progress = SweepProgress::new(users, self.first_user, between, poll, self.backoff);
        if let Some(since) = skip_read_since {
            progress.skip(|user| self.state.was_read(user, since));
        }
        let mut requests = CounterRequests::new(&self.client, token);
        self.request_queue(&mut progress, &mut requests, interrupts).await;
        if interrupts.stop.has_begun() {
            return (None, false);
        }
        for retry in progress.take_retries() {
            self.state.stays_failed(retry.user, &retry.error);
        }
        if progress.ended_early() {
            self.first_user = progress.next_first(self.first_user, users);
        }
        let refused = progress.refused;
        let Some(error) = requests.renewal_error.filter(|_| refused.is_some()) else {
            return (refused, refused.is_some());
        };
        // The reason why there is no new token says more than "unauthorized".
        self.state.set_problem(&error.to_string());
        self.logged_elsewhere = error.is_shared();
        // Attempts to get a token have their own pace.
        (refused, false)
    }

    /// Requests the users that are due.
    fn send_due(&mut self, progress: &mut SweepProgress, requests: &mut SweepRequests) {
        let now = Instant::now();
        while let Some((index, failed)) = progress.next(now, requests.has_room()) {
            if let Some(error) = failed {
                self.state.outcomes.remove(error.outcome());
            }
            if let Some(user) = self.state.user_at(index) {
                requests.send(index, user.id.clone());
            }
        }
    }

    /// Requests users until none is left. Once it is interrupted it waits only for those in flight, up to
    /// one timeout: upstream may have asked for a pause.
    async fn request_queue(
        &mut self,
        progress: &mut SweepProgress,
        requests: &mut SweepRequests,
        interrupts: &mut Interrupts,
    ) {
        let (client, poll) = (Arc::clone(&self.client), self.account().poll);
        let mut publish = interval_at(Instant::now() + PUBLISH_PERIOD, PUBLISH_PERIOD);
        publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hold = self.holds_lists();
        let mut give_up = None;
        loop {
            self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
            let interrupted = interrupts.begun();
            let wake = if interrupted {
                Some(*give_up.get_or_insert_with(|| Instant::now() + poll.timeout))
            } else {
                self.send_due(progress, requests);
                progress.next_at(requests.has_room()).map(|due| client.limiter.tick(due))
            };
            if requests.is_empty() && (interrupted || !progress.has_next()) {
                return;
            }
            tokio::select! {
                Some(ended) = requests.next() => self.record(progress, requests, ended),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    if interrupted {
                        return;
                    }
                }
                update = self.lists.next(&client, hold) => self.lists.received.push(update),
                // A requested publication comes with the next regular one.
                () = interrupts.next(), if !interrupted => {}
                _ = publish.tick() => {
                    let now = Stamp::now();
                    self.state.judge_early(poll.concurrency, client.limiter.paused(), now);
                    self.report(false, now);
                    self.publish();
                }
            }
        }
    }

    /// Records a response and decides what it means for the rest of the sweep.
    fn record(
        &mut self,
        progress: &mut SweepProgress,
        requests: &mut SweepRequests,
        ended: EndedRequest<usize>,
    ) {
        let user = ended.key;
        let error = match ended.result {
            Ok(counter) => {
                return self.note_reading(progress, requests, user, &ended.token, &counter);
            }
            Err(error) => error,
        };
        match error.outcome() {
            Outcome::Unauthorized if ended.token != requests.token => {
                return progress.put_back(user);
            }
            Outcome::Unauthorized => {
                let reason = requests.renewal_error.as_ref().map(reason_of);
                progress.deny(reason.unwrap_or(FailingReason::Unauthorized));
            }
            Outcome::Forbidden => progress.forbid(),
            // The token is good, or everything here is unknown: the others are read either way.
            Outcome::NotFound if error.is_unknown_user() => progress.accept(),
            _ if may_be_temporary(&error) && !progress.was_retried(user) => {
                self.state.failed_for_now(&error);
                let seed = fnv1a(self.account().name.as_str().as_bytes());
                let due = Instant::now() + retry_pause(seed);
                return progress.fail_for_now(Retry { user, error, due, took: ended.took });
            }
            _ => {}
        }
        progress.fail();
        self.state.failed(user, &error);
    }

    /// Records a reading, if it is of the account that is read: a token that is renewed within the sweep may
    /// name another one, whose readings count from then on. `given` is the token that the request was
    /// given; a newer one may have been sent.
    fn note_reading(
        &mut self,
        progress: &mut SweepProgress,
        requests: &mut SweepRequests,
        user: usize,
        given: &Token,
        counter: &CounterResponse,
    ) {
        let sent = &counter.token;
        if !self.state.is_of(sent.account()) {
            if sent == given && *sent != requests.token {
                // It was sent before the account has changed.
                return progress.put_back(user);
            }
            requests.token = sent.clone();
            self.state.note_token(sent.account(), Stamp::now());
            progress.begin_again(self.state.facts.users);
        }
        self.state.succeeded(user, counter.reading, counter.asked);
        progress.accept();
    }
}
