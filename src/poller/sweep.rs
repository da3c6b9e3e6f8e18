//! One sweep over the users of an account: which users are read, and what a failure means for the rest.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};
use tracing::debug;

use super::actor::{PUBLISH_PERIOD, Poller, reason_of, with_heartbeat};
use super::registry::{PollerCommand, next_command};
use crate::account::User;
use crate::api::Client;
use crate::auth::{Token, TokenError};
use crate::clock::Stamp;
use crate::counter::Reading;
use crate::metrics::Outcome;
use crate::schedule::{fnv1a, retry_pause, sweep_spacing};
use crate::snapshot::{FailingReason, Sweep};
use crate::transport::Error;

/// The least number of failures after which all others are expected to fail.
const MIN_FAILURES: usize = 10;

/// By how much a request of a spread sweep may be sent early to make up for late ones.
const SPREAD_TOLERANCE: Duration = Duration::from_millis(20);

/// The least number of refusals in a row after which the token counts as ended.
const MIN_DENIALS: usize = 3;

/// Which users are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SweepScope {
    /// Every user, until enough have failed to expect that all would.
    AllUsers,
    /// One user first; the others once that one shows that the account can be read.
    Probe,
}

/// How fast the users of a sweep are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SweepPace {
    /// As fast as our share of the limit allows: readings are missing.
    Share,
    /// Spread over the interval.
    Spread,
}

/// The progress of one sweep.
struct SweepProgress {
    token: Token,
    /// How often the token has changed; a response to an older one says nothing about it.
    token_age: u32,
    /// Whether the token was fetched again.
    refetched: bool,
    /// Why that gave no token, if it failed.
    renewal_error: Option<TokenError>,
    /// Indices of the users still to be read.
    queue: VecDeque<usize>,
    /// Users to be read once a probe has succeeded.
    held: Vec<usize>,
    /// Users whose request may succeed on a retry.
    retries: Vec<Retry>,
    /// Users whose request was sent again.
    retried: HashSet<usize>,
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
    /// Failures without a success after which the sweep ends.
    enough: usize,
    /// Whether upstream has accepted the token in this sweep.
    accepted: bool,
    /// Why the sweep ended early.
    refused: Option<FailingReason>,
}

/// A request that may be sent again.
struct Retry {
    user: usize,
    error: Error,
    /// When.
    due: Instant,
    /// How long it took to fail.
    took: Duration,
}

/// How one request ended.
struct SweepResponse {
    user: usize,
    token_age: u32,
    took: Duration,
    result: Result<(Reading, Stamp), Error>,
}

impl SweepProgress {
    /// A sweep over `users` users that begins with the user `first`.
    fn new(
        token: Token,
        scope: SweepScope,
        users: usize,
        first: usize,
        enough: usize,
        between: Duration,
    ) -> Self {
        let mut queue: VecDeque<usize> = (first..users).chain(0..first.min(users)).collect();
        let held = match scope {
            SweepScope::AllUsers => Vec::new(),
            SweepScope::Probe => queue.split_off(1.min(users)).into(),
        };
        Self {
            token,
            token_age: 0,
            refetched: false,
            renewal_error: None,
            queue,
            held,
            retries: Vec::new(),
            retried: HashSet::new(),
            between,
            next_at: Instant::now(),
            asked: 0,
            failures: 0,
            denials: 0,
            denials_before_success: if between.is_zero() { 1 } else { MIN_DENIALS.min(users) },
            enough,
            accepted: false,
            refused: None,
        }
    }

    /// Whether there is a user left to read.
    fn has_next(&self) -> bool {
        self.refused.is_none() && !self.is_hopeless() && !self.queue.is_empty()
    }

    /// The next user to read; `None` at the end of the sweep, and while it is too early.
    fn next(&mut self, now: Instant) -> Option<usize> {
        if !self.has_next() || now < self.next_at {
            return None;
        }
        let user = self.queue.pop_front()?;
        self.asked += 1;
        // What coarse timers lose is made up for; longer delays are not, which would be a burst.
        let at = self.next_at.max(now.checked_sub(SPREAD_TOLERANCE).unwrap_or(now));
        self.next_at = at + self.between;
        Some(user)
    }

    /// Returns the requests to send again now, at most `most` in a sweep.
    fn take_due_retries(&mut self, most: usize, now: Instant) -> Vec<Retry> {
        let room = most.saturating_sub(self.retried.len());
        if !self.accepted || self.between.is_zero() {
            return Vec::new();
        }
        let due = self.retries.extract_if(.., |retry| retry.due <= now);
        due.take(room).collect()
    }

    /// Whether enough requests have failed, and none has succeeded.
    fn is_hopeless(&self) -> bool {
        !self.accepted && self.failures >= self.enough
    }

    /// Records that a token was refused which has not changed. Once others were read with it, one refusal
    /// may concern one user, but hardly many in a row.
    fn deny(&mut self, concurrency: usize) {
        self.denials += 1;
        let enough =
            if self.accepted { concurrency.max(MIN_DENIALS) } else { self.denials_before_success };
        if self.denials >= enough {
            let reason = self.renewal_error.as_ref().map(reason_of);
            self.refused = Some(reason.unwrap_or(FailingReason::Unauthorized));
        }
    }

    /// Records a response 403. Before the first success it concerns the account, afterwards the user.
    fn forbid(&mut self) {
        if self.accepted {
            return;
        }
        self.denials += 1;
        if self.denials >= self.denials_before_success {
            self.refused = Some(FailingReason::Forbidden);
        }
    }

    /// A response shows that the token is good: the users held back may be read.
    fn accept(&mut self) {
        self.accepted = true;
        self.denials = 0;
        self.queue.extend(self.held.drain(..));
        self.refused = None;
    }
}

impl Poller {
    /// One sweep, which skips users that were read since `skip_read_since`. It is broken off when the
    /// poller is asked to stop or a reset waits.
    pub(super) async fn sweep(&mut self, skip_read_since: Option<Stamp>, pace: SweepPace) {
        let now = Stamp::now();
        let started = skip_read_since.unwrap_or(now);
        self.state.facts.begun = Some(started);
        let stop = self.stop.clone();
        tokio::select! {
            () = self.find_first_users() => {}
            () = stop.wait() => return,
        }
        let client = Arc::clone(&self.client);
        let token = tokio::select! {
            token = with_heartbeat(&self.heartbeat, &client, client.token()) => token,
            () = stop.wait() => return,
        };
        let (refused, slow_down) = match token {
            Ok(token) => {
                self.state.note_token(token.account(), Stamp::now());
                self.logged_elsewhere = false;
                let scope =
                    if self.backoff.probing() { SweepScope::Probe } else { SweepScope::AllUsers };
                self.request_counters(token, scope, pace, skip_read_since).await
            }
            Err(error) => {
                self.logged_elsewhere = error.is_shared();
                self.state.fail_all_users(&error.to_string(), error.outcome());
                // Trying again sends no request upstream: attempts to get a token have their own pace.
                (Some(reason_of(&error)), false)
            }
        };
        if stop.has_begun() || self.pending_reset.is_some() {
            // What was read counts; the sweep as a whole has no result.
            self.apply_all();
            return;
        }
        let (result, failing) = self.state.verdict(refused);
        let finished = Stamp::now();
        let duration = started.age(finished);
        let token = client.token_times();
        self.state.facts.token_expiry = token.expiry;
        self.state.facts.token_refreshed = token.last_refresh;
        self.state.facts.sweep = Some(Sweep { finished, duration, result });
        self.state.facts.failing = failing;
        self.writer.slot().tally.sweep(result);
        self.backoff.record(slow_down, failing.is_some());
        self.report(true, finished);
        self.apply_all();
        self.report_lists();
        debug!(account = %self.account().name, result = result.label(), ?duration, "swept");
    }

    /// Reads the users in `scope`, except those read since `skip_read_since`, and publishes in between.
    /// Returns why the account refused all requests, if it did, and whether the next sweeps have to be
    /// rarer.
    async fn request_counters(
        &mut self,
        token: Token,
        scope: SweepScope,
        pace: SweepPace,
        skip_read_since: Option<Stamp>,
    ) -> (Option<FailingReason>, bool) {
        let started = Instant::now();
        let poll = self.account().poll;
        let users = self.state.facts.users;
        let enough = poll.concurrency.saturating_mul(3).max(MIN_FAILURES);
        let between = match pace {
            SweepPace::Share => Duration::ZERO,
            SweepPace::Spread => sweep_spacing(users, poll.interval),
        };
        let mut progress =
            SweepProgress::new(token, scope, users, self.first_user, enough, between);
        if let Some(since) = skip_read_since {
            progress.queue.retain(|user| !self.state.was_read(*user, since));
        }
        self.request_queue(&mut progress).await;
        if self.stop.has_begun() {
            return (None, false);
        }
        let worth = progress.accepted || (self.backoff.is_new() && !progress.is_hopeless());
        let few = progress.retries.len() <= self.retries_max();
        let free = self.pending_reset.is_none();
        if free && progress.refused.is_none() && worth && few && !progress.retries.is_empty() {
            let pause = retry_pause(fnv1a(self.account().name.as_str().as_bytes()));
            // Only within the time that the next sweep leaves, if they take as long as before.
            let took = progress.retries.iter().map(|retry| retry.took).max().unwrap_or_default();
            if started.elapsed() + pause + took < poll.interval {
                let stop = self.stop.clone();
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stop.wait() => return (None, false),
                }
                let retries = std::mem::take(&mut progress.retries);
                self.send_again(&mut progress, retries);
                self.request_queue(&mut progress).await;
            }
        }
        for retry in std::mem::take(&mut progress.retries) {
            self.state.stays_failed(retry.user, &retry.error);
        }
        if !progress.accepted || progress.refused.is_some() {
            // The next sweep begins elsewhere, so that unreadable users do not block the others for
            // ever. Steps of the golden section come near every user in few sweeps.
            let leap = progress.asked + users * 382 / 1000;
            self.first_user = (self.first_user + leap) % users.max(1);
        }
        if let (Some(error), Some(_)) = (&progress.renewal_error, progress.refused) {
            // The reason why there is no new token says more than "unauthorized".
            self.state.set_problem(&error.to_string());
            self.logged_elsewhere = error.is_shared();
        }
        // Attempts to get a token have their own pace.
        (progress.refused, progress.refused.is_some() && progress.renewal_error.is_none())
    }

    /// How many requests of a sweep are sent again at most: more failures concern the account.
    fn retries_max(&self) -> usize {
        self.account().poll.concurrency.max(self.state.facts.users / 10)
    }

    fn send_again(&mut self, progress: &mut SweepProgress, retries: Vec<Retry>) {
        for retry in retries {
            self.state.retract(retry.error.outcome());
            progress.retried.insert(retry.user);
            progress.queue.push_front(retry.user);
        }
    }

    async fn request_queue(&mut self, progress: &mut SweepProgress) {
        let account = Arc::clone(self.account());
        let client = Arc::clone(&self.client);
        let mut open: FuturesUnordered<BoxFuture<'_, SweepResponse>> = FuturesUnordered::new();
        let mut publish = interval_at(Instant::now() + PUBLISH_PERIOD, PUBLISH_PERIOD);
        publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hold = self.holds_lists();
        let stop = self.stop.clone();
        let mut drained = None;
        loop {
            self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
            // A reset and a successor wait for the requests in flight; no further ones are sent.
            let free = self.pending_reset.is_none() && !stop.has_begun();
            let now = Instant::now();
            if free {
                let retries = progress.take_due_retries(self.retries_max(), now);
                self.send_again(progress, retries);
            }
            while open.len() < account.poll.concurrency && free {
                let Some(user) = progress.next(now) else { break };
                if let Some(asked) = self.state.user_at(user) {
                    open.push(Box::pin(request(&client, asked, user, progress)));
                }
            }
            let waits = free && progress.has_next();
            if open.is_empty() && !waits {
                return;
            }
            let may_send = waits && open.len() < account.poll.concurrency;
            tokio::select! {
                Some(response) = open.next() => self.record(progress, response).await,
                () = sleep_until(progress.next_at), if may_send => {}
                update = self.lists.next(&client, hold) => {
                    self.lists.received.push(update);
                }
                command = next_command(&mut self.registration), if self.pending_reset.is_none() => {
                    // A requested publication comes with the next regular one.
                    if let PollerCommand::Reset(job) = command {
                        self.pending_reset = Some(job);
                        drained = Some(Instant::now() + account.poll.timeout);
                    }
                }
                () = stop.wait(), if drained.is_none() => {
                    drained = Some(Instant::now() + account.poll.timeout);
                }
                () = sleep_until(drained.unwrap_or_else(Instant::now)), if drained.is_some() => {
                    // Upstream has asked for a pause; requests still held back are dropped.
                    return;
                }
                _ = publish.tick() => {
                    let now = Stamp::now();
                    self.state.judge_early(account.poll.concurrency, client.paused(), now);
                    self.report(false, now);
                    self.publish().await;
                }
            }
        }
    }

    /// Records a response and decides what it means for the rest of the sweep.
    async fn record(&mut self, progress: &mut SweepProgress, response: SweepResponse) {
        let error = match response.result {
            Ok((reading, at)) => {
                self.state.succeeded(response.user, reading, at);
                progress.accept();
                return;
            }
            Err(error) => error,
        };
        match error.outcome() {
            Outcome::Unauthorized if self.token_is_new(progress, response.token_age).await => {
                progress.queue.push_front(response.user);
                return;
            }
            Outcome::Unauthorized => progress.deny(self.account().poll.concurrency),
            Outcome::Forbidden => progress.forbid(),
            // Upstream looked for the user, so the token is good.
            Outcome::NotFound if error.is_of_the_api() => progress.accept(),
            Outcome::Timeout | Outcome::Connect | Outcome::ServerError
                if !progress.retried.contains(&response.user) =>
            {
                progress.failures += 1;
                self.state.failed_for_now(&error);
                let pause = retry_pause(fnv1a(self.account().name.as_str().as_bytes()));
                let (user, took, due) = (response.user, response.took, Instant::now() + pause);
                progress.retries.push(Retry { user, error, due, took });
                return;
            }
            _ => {}
        }
        progress.failures += 1;
        self.state.failed(response.user, &error);
    }

    /// Whether the token has changed since the refused request was sent, or changes now that it is
    /// fetched again; that is done once per sweep.
    async fn token_is_new(&mut self, progress: &mut SweepProgress, used: u32) -> bool {
        if used < progress.token_age {
            return true;
        }
        if std::mem::replace(&mut progress.refetched, true) {
            return false;
        }
        let client = Arc::clone(&self.client);
        let other = client.other_token(&progress.token);
        match with_heartbeat(&self.heartbeat, &client, other).await {
            Ok(token) if token != progress.token => {
                self.state.note_token(token.account(), Stamp::now());
                progress.token = token;
                progress.token_age += 1;
                true
            }
            Ok(_) => false,
            Err(error) => {
                progress.renewal_error = Some(error);
                false
            }
        }
    }
}

fn request<'a>(
    client: &'a Client,
    asked: Arc<User>,
    user: usize,
    progress: &SweepProgress,
) -> impl Future<Output = SweepResponse> + Send + use<'a> {
    let (token, token_age) = (progress.token.clone(), progress.token_age);
    async move {
        let started = Instant::now();
        let result = client.counter(&token, &asked.id).await;
        SweepResponse { user, token_age, took: started.elapsed(), result }
    }
}
