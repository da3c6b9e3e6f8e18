//! One run over the users of an account: who is asked, and what a failure means for the others.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::{PUBLISH_PERIOD, Poller, PollerCommand, next_command, reason_of, with_heartbeat};
use crate::account::User;
use crate::api::Client;
use crate::auth::{Token, TokenError};
use crate::clock::Stamp;
use crate::counter::Reading;
use crate::metrics::Outcome;
use crate::schedule::{fnv1a, retry_pause};
use crate::snapshot::FailingReason;
use crate::transport::Error;

/// The least number of failures that show that everybody would fail.
const ENOUGH_FAILURES: usize = 10;

/// The least number of refusals in a row that show that a token has ended in mid-sweep.
const DENIALS: usize = 3;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SweepScope {
    /// Every user, until enough have failed to show that all would.
    AllUsers,
    /// First only one user; the others once that shows that the account answers.
    Probe,
}

/// The course of a run.
struct SweepRun {
    token: Token,
    /// How often the token has changed; an response to an older one says nothing about it.
    token_age: u32,
    /// Whether the source of the token was read once more.
    reread: bool,
    /// Why it gave no other, if that failed.
    without: Option<TokenError>,
    /// Users to be asked.
    queue: VecDeque<usize>,
    /// Users to be asked once somebody could be read.
    held: Vec<usize>,
    /// Users whose request may succeed when it is sent again, and how it failed.
    again: Vec<(usize, Outcome)>,
    /// Users that were asked.
    asked: usize,
    /// Requests that failed.
    failures: usize,
    /// Answers 401 since the last that was none.
    denials: usize,
    /// Failures without a success after which nobody more is asked.
    enough: usize,
    /// Whether upstream has accepted the token in this run.
    accepted: bool,
    /// Why nobody more is asked.
    refused: Option<FailingReason>,
}

/// How one request ended.
struct SweepResponse {
    user: usize,
    token_age: u32,
    result: Result<(Reading, Stamp), Error>,
}

impl SweepRun {
    /// A run over so many users that begins with the user `first`.
    fn new(token: Token, scope: SweepScope, users: usize, first: usize, enough: usize) -> Self {
        let mut queue: VecDeque<usize> = (first..users).chain(0..first.min(users)).collect();
        let held = match scope {
            SweepScope::AllUsers => Vec::new(),
            SweepScope::Probe => queue.split_off(1.min(users)).into(),
        };
        Self {
            token,
            token_age: 0,
            reread: false,
            without: None,
            queue,
            held,
            again: Vec::new(),
            asked: 0,
            failures: 0,
            denials: 0,
            enough,
            accepted: false,
            refused: None,
        }
    }

    /// The next user to be asked, if any is to be asked at all.
    fn next(&mut self) -> Option<usize> {
        if self.refused.is_some() || self.is_hopeless() {
            return None;
        }
        let user = self.queue.pop_front()?;
        self.asked += 1;
        Some(user)
    }

    /// Whether enough have failed, and nobody succeeded, to show that everybody would fail.
    fn is_hopeless(&self) -> bool {
        !self.accepted && self.failures >= self.enough
    }

    /// A token was refused and has not changed. Once others were read with it this may be about one
    /// user, but hardly about many in a row.
    fn deny(&mut self, concurrency: usize) {
        self.denials += 1;
        if !self.accepted || self.denials >= concurrency.max(DENIALS) {
            let reason = self.without.as_ref().map(reason_of);
            self.refused = Some(reason.unwrap_or(FailingReason::Unauthorized));
        }
    }

    /// Somebody's response shows that the token is good: the others may be asked.
    fn accept(&mut self) {
        self.accepted = true;
        self.denials = 0;
        self.queue.extend(self.held.drain(..));
        self.refused = None;
    }
}

impl Poller {
    /// Asks for the users in `scope`, but for those read since `skip_read_since`, and notes the answers, showing
    /// them as they come. Returns why the account refused to be asked, if it did, and whether it is to
    /// be asked more rarely then.
    pub(super) async fn ask(
        &mut self,
        token: Token,
        scope: SweepScope,
        skip_read_since: Option<Stamp>,
    ) -> (Option<FailingReason>, bool) {
        let started = Instant::now();
        let poll = self.account().poll;
        let users = self.state.facts.users;
        let enough = poll.concurrency.saturating_mul(3).max(ENOUGH_FAILURES);
        let mut run = SweepRun::new(token, scope, users, self.first_user, enough);
        if let Some(since) = skip_read_since {
            run.queue.retain(|user| !self.state.was_read(*user, since));
        }
        self.ask_queue(&mut run).await;
        if self.leave.has_begun() {
            return (None, false);
        }
        let worth = run.accepted || (self.backoff.is_new() && !run.is_hopeless());
        let few = run.again.len() <= poll.concurrency.max(users / 10);
        let free = self.waiting.is_none();
        if free && run.refused.is_none() && worth && few && !run.again.is_empty() {
            let pause = retry_pause(fnv1a(self.account().name.as_str().as_bytes()));
            // Only within the time that the next sweep leaves.
            if started.elapsed() + pause + poll.timeout < poll.interval {
                let leave = self.leave.clone();
                tokio::select! {
                    () = sleep(pause) => {}
                    () = leave.wait() => return (None, false),
                }
                for (user, outcome) in std::mem::take(&mut run.again) {
                    self.state.retract(outcome);
                    run.queue.push_back(user);
                }
                self.ask_queue(&mut run).await;
            }
        }
        if !run.accepted || run.refused.is_some() {
            // Whoever cannot be read must not stand before the others for ever. The leap past them
            // is the golden section, so that few leaps come near everybody.
            let leap = run.asked + users * 382 / 1000;
            self.first_user = (self.first_user + leap) % users.max(1);
        }
        if let (Some(error), Some(_)) = (&run.without, run.refused) {
            // Says more than that the token was refused.
            self.state.explain(&error.to_string());
            self.logged_elsewhere = error.is_shared();
        }
        // Where new tokens come from, attempts are paced.
        (run.refused, run.refused.is_some() && run.without.is_none())
    }

    async fn ask_queue(&mut self, run: &mut SweepRun) {
        let account = Arc::clone(self.account());
        let client = Arc::clone(&self.client);
        let mut open: FuturesUnordered<BoxFuture<'_, SweepResponse>> = FuturesUnordered::new();
        let mut publish = interval_at(Instant::now() + PUBLISH_PERIOD, PUBLISH_PERIOD);
        publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hold = self.holds_lists();
        let leave = self.leave.clone();
        let mut drained = None;
        loop {
            self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
            // A reset, and a successor, wait for those who are being asked, and nobody more is asked.
            let free = self.waiting.is_none() && !leave.has_begun();
            while open.len() < account.poll.concurrency && free {
                let Some(user) = run.next() else { break };
                if let Some(asked) = self.state.user_at(user) {
                    open.push(Box::pin(request(&client, asked, user, run)));
                }
            }
            tokio::select! {
                response = open.next() => match response {
                    Some(response) => self.take(run, response).await,
                    None => return,
                },
                update = self.lists.next(&client, hold) => {
                    self.lists.updates.push(update);
                }
                call = next_command(&mut self.seat), if self.waiting.is_none() => {
                    // What is to be shown is, with the skip_read_since.
                    if let PollerCommand::Reset(job) = call {
                        self.waiting = Some(job);
                        drained = Some(Instant::now() + account.poll.timeout);
                    }
                }
                () = leave.wait(), if drained.is_none() => {
                    drained = Some(Instant::now() + account.poll.timeout);
                }
                () = sleep_until(drained.unwrap_or_else(Instant::now)), if drained.is_some() => {
                    // Upstream has asked for a pause; what is not sent yet will not be.
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

    /// Notes an response and what it means for the skip_read_since of the run.
    async fn take(&mut self, run: &mut SweepRun, response: SweepResponse) {
        let error = match response.result {
            Ok((reading, at)) => {
                self.state.succeeded(response.user, reading, at);
                run.accept();
                return;
            }
            Err(error) => error,
        };
        match error.outcome() {
            Outcome::Unauthorized if self.token_is_new(run, response.token_age).await => {
                run.queue.push_front(response.user);
                return;
            }
            Outcome::Unauthorized => run.deny(self.account().poll.concurrency),
            // Before anybody could be read this is about the account; afterwards about the user.
            Outcome::Forbidden if !run.accepted => run.refused = Some(FailingReason::Forbidden),
            // Upstream looked for the user, so the token is good.
            Outcome::NotFound if error.is_of_the_api() => run.accept(),
            outcome @ (Outcome::Timeout | Outcome::Connect | Outcome::ServerError) => {
                run.again.push((response.user, outcome));
            }
            _ => {}
        }
        run.failures += 1;
        self.state.failed(response.user, &error);
    }

    /// Whether the token has changed since the refused request was made, or changes now that its
    /// source is read once more; that is done once per run.
    async fn token_is_new(&mut self, run: &mut SweepRun, used: u32) -> bool {
        if used < run.token_age {
            return true;
        }
        if std::mem::replace(&mut run.reread, true) {
            return false;
        }
        let client = Arc::clone(&self.client);
        let other = client.other_token(&run.token);
        match with_heartbeat(&self.heartbeat, &client, other).await {
            Ok(token) if token != run.token => {
                run.token = token;
                run.token_age += 1;
                true
            }
            Ok(_) => false,
            Err(error) => {
                run.without = Some(error);
                false
            }
        }
    }
}

fn request<'a>(
    client: &'a Client,
    asked: Arc<User>,
    user: usize,
    run: &SweepRun,
) -> impl Future<Output = SweepResponse> + Send + use<'a> {
    let (token, token_age) = (run.token.clone(), run.token_age);
    async move { SweepResponse { user, token_age, result: client.counter(&token, &asked.id).await } }
}
