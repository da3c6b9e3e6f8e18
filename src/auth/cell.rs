//! A token that is renewed by one attempt at a time, whoever needs it and however many do.
//!
//! A [`Cell`] holds the token in use. [`Cell::token`] is asked whenever one is needed: it hands out
//! the one in use, begins a renewal ahead of its end, or lets the caller wait for the one attempt
//! under way. Attempts run in tasks of their own, so that no caller who goes away ends one. After a
//! failure nobody attempts anything for a while, and then only one caller; the others are told the
//! failure, as long as the token in use is not good any more.
//!
//! Nothing happens unless somebody asks: a token that nobody needs is not renewed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::Token;
use super::error::TokenError;
use crate::account::AccountName;
use crate::blocking::lock;
use crate::clock::{Stamp, span};
use crate::metrics::Outcome;
use crate::schedule::{refused_pause, renewal_after};

/// How old a token of unknown life must be, for its refusal not to be suspicious.
const YOUNG: Duration = Duration::from_mins(1);

/// Which token is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want<'a> {
    /// The one in use.
    Any,
    /// Another one than this, which upstream has refused.
    OtherThan(&'a Token),
}

/// A token as its source gave it.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) token: Token,
    /// When it was asked for, which is the earliest time at which its life may have begun.
    pub(super) asked: Stamp,
    /// How long it lives, where that is known.
    pub(super) life: Option<Duration>,
    /// How much of its life was over when it was asked for.
    pub(super) spent: Duration,
    /// Whether it is a new one, and not one that was only kept somewhere.
    pub(super) new: bool,
}

/// Whose token it is; decides what is logged.
#[derive(Debug)]
pub(super) enum Holder {
    /// An account's: its poller logs when it cannot be read.
    Account(AccountName),
    /// A partner's: nobody else logs that it fails.
    Partner(String),
}

/// The token in use and the state of its renewal.
#[derive(Debug)]
pub(super) struct Cell {
    holder: Holder,
    state: Mutex<State>,
}

type Landing = Option<Result<Token, TokenError>>;

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// How the last attempt failed, if it did.
    failure: Option<Failure>,
    /// The attempt under way.
    flight: Option<watch::Receiver<Landing>>,
    /// How many tokens there have been.
    count: u64,
    last_new: Option<Stamp>,
    /// How often in a row a young token was replaced because it was refused.
    denials: u32,
    /// When the token in use took the place of such a one.
    denied_at: Option<Stamp>,
}

#[derive(Debug)]
struct Held {
    token: Token,
    asked: Stamp,
    life: Option<Duration>,
    spent: Duration,
    /// Part of the life after which it is to be renewed.
    renew_after: Option<Duration>,
    /// Whether upstream has refused it.
    refused: bool,
}

#[derive(Debug, Clone)]
struct Failure {
    error: TokenError,
    at: Stamp,
    first: Stamp,
    times: u32,
    pause: Duration,
    /// What has been news since it began.
    kinds: Vec<(Outcome, bool)>,
    /// Whether the log was told although the account can be read.
    told: bool,
}

/// What to do for somebody who wants a token.
#[derive(Debug)]
enum Step {
    Use(Token),
    Fail(TokenError),
    Wait(watch::Receiver<Landing>),
    /// Begin an attempt; the token serves meanwhile.
    Renew(Option<Token>),
}

/// Lets an attempt end even if its task does not come to its end.
struct Flight {
    cell: Arc<Cell>,
    told: watch::Sender<Landing>,
    landed: bool,
}

impl Fresh {
    /// A new token.
    pub(super) fn new(token: Token, asked: Stamp, life: Option<Duration>) -> Self {
        Self { token, asked, life, spent: Duration::ZERO, new: true }
    }
}

impl Cell {
    /// No token yet.
    pub(super) fn new(holder: Holder) -> Arc<Self> {
        Arc::new(Self { holder, state: Mutex::default() })
    }

    /// The token that is wanted. `attempt` gets a new one, if one is needed; it runs in a task of its
    /// own, one of `tasks` where these are given, and is told the token in use.
    pub(super) async fn token<F>(
        self: &Arc<Self>,
        want: Want<'_>,
        tasks: Option<&TaskTracker>,
        attempt: impl FnOnce(Option<Token>) -> F,
    ) -> Result<Token, TokenError>
    where
        F: Future<Output = Result<Fresh, TokenError>> + Send + 'static,
    {
        let (mut landing, meanwhile) = {
            let mut state = self.state();
            match state.step(want, Stamp::now()) {
                Step::Use(token) => return Ok(token),
                Step::Fail(error) => return Err(error),
                Step::Wait(landing) => (landing, None),
                Step::Renew(meanwhile) => {
                    let (told, landing) = watch::channel(None);
                    state.flight = Some(landing.clone());
                    let flight = Flight { cell: Arc::clone(self), told, landed: false };
                    let attempt = attempt(state.held.as_ref().map(|held| held.token.clone()));
                    let task = async move {
                        let result = attempt.await;
                        flight.land(result);
                    };
                    // Nobody waits for the others at the end of the process.
                    drop(match tasks {
                        Some(tasks) => tasks.spawn(task),
                        None => tokio::spawn(task),
                    });
                    (landing, meanwhile)
                }
            }
        };
        if let Some(token) = meanwhile {
            return Ok(token);
        }
        let landed = landing.wait_for(Option::is_some).await.ok();
        landed.and_then(|landed| landed.clone()).unwrap_or(Err(TokenError::Pending(Duration::ZERO)))
    }

    /// Ends the pause after a failure, because what caused it may have changed.
    pub(super) fn hurry(&self) {
        if let Some(failure) = &mut self.state().failure {
            failure.pause = Duration::ZERO;
        }
    }

    /// Has the token in use replaced as soon as possible.
    pub(super) fn renew_soon(&self) {
        self.hurry();
        if let Some(held) = &mut self.state().held {
            held.renew_after = Some(Duration::ZERO);
        }
    }

    /// Whether the last attempt has failed.
    pub(super) fn is_failing(&self) -> bool {
        self.state().failure.is_some()
    }

    /// Whether there is a token that is not over.
    pub(super) fn is_good(&self, now: Stamp) -> bool {
        self.state().held.as_ref().is_some_and(|held| !held.is_over(now))
    }

    /// When a new token came, in unix time.
    pub(super) fn last_new(&self) -> Option<Duration> {
        self.state().last_new.map(|at| at.unix)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn land(&self, result: Result<Fresh, TokenError>) -> Result<Token, TokenError> {
        let now = Stamp::now();
        let mut state = self.state();
        let earlier = state.failure.take();
        let result = match result {
            Ok(fresh) => Ok(state.take(fresh, self.holder.name(), now)),
            Err(error) => Err(state.fail(error, earlier.as_ref(), now)),
        };
        let good = state.held.as_ref().is_some_and(|held| !held.is_over(now) && !held.refused);
        if let Some(failure) = &mut state.failure {
            failure.told |= good && !failure.error.is_shared();
        }
        let failure = state.failure.clone();
        drop(state);
        self.holder.report(earlier.as_ref(), failure.as_ref(), good, now);
        result
    }
}

impl Flight {
    fn land(mut self, result: Result<Fresh, TokenError>) {
        self.landed = true;
        let result = self.cell.land(result);
        // Everybody may have stopped waiting.
        let _ = self.told.send(Some(result));
        self.cell.state().flight = None;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.cell.state().flight = None;
        }
    }
}

impl State {
    fn step(&mut self, want: Want<'_>, now: Stamp) -> Step {
        let paused = self.failure.as_ref().is_some_and(|failure| failure.holds(now));
        let free = self.flight.is_none();
        let hopeless = self.failure.as_ref().is_some_and(Failure::is_definite);
        let denied_lately = self.has_denied_lately(now);
        if let Some(held) = self.held.as_mut().filter(|held| !held.is_over(now)) {
            let young = held.is_young(now);
            match want {
                Want::OtherThan(refused) if held.token == *refused => {
                    held.refused = true;
                    if young && free && denied_lately {
                        // New ones are refused as well: another would not help.
                        return Step::Use(held.token.clone());
                    }
                }
                // Of no use, and known to be followed by none.
                _ if held.refused && hopeless => {}
                _ if held.is_due(now) && free && !paused => {
                    return Step::Renew(Some(held.token.clone()));
                }
                _ => return Step::Use(held.token.clone()),
            }
        }
        match (&self.failure, &self.flight) {
            (Some(failure), flight) if paused || flight.is_some() => {
                Step::Fail(failure.error.clone())
            }
            (_, Some(flight)) => Step::Wait(flight.clone()),
            (_, None) => Step::Renew(None),
        }
    }

    fn has_denied_lately(&self, now: Stamp) -> bool {
        self.denied_at.is_some_and(|at| at.age(now) < refused_pause(self.denials))
    }

    fn take(&mut self, fresh: Fresh, holder: &str, now: Stamp) -> Token {
        let Fresh { token, asked, life, spent, new } = fresh;
        let renew_after = life.map(|life| renewal_after(life, holder, self.count));
        let denied = self.held.as_ref().is_some_and(|held| held.refused && held.is_young(now));
        self.denials = if denied { self.denials.saturating_add(1) } else { 0 };
        self.denied_at = denied.then_some(now);
        if new {
            self.count += 1;
            self.last_new = Some(now);
        }
        let given = token.clone();
        self.held = Some(Held { token, asked, life, spent, renew_after, refused: false });
        given
    }

    fn fail(&mut self, error: TokenError, earlier: Option<&Failure>, now: Stamp) -> TokenError {
        let times = earlier.map_or(0, |earlier| earlier.times).saturating_add(1);
        let first = earlier.map_or(now, |earlier| earlier.first);
        let pause = error.pause(times);
        let mut failure = Failure {
            error: error.clone(),
            at: now,
            first,
            times,
            pause,
            kinds: Vec::new(),
            told: false,
        };
        if let Some(earlier) = earlier {
            failure.kinds.clone_from(&earlier.kinds);
            failure.told = earlier.told;
        }
        if !failure.kinds.contains(&failure.kind()) {
            failure.kinds.push(failure.kind());
        }
        self.failure = Some(failure);
        error
    }
}

impl Held {
    fn spent(&self, now: Stamp) -> Duration {
        self.spent.saturating_add(self.asked.age(now))
    }

    fn is_over(&self, now: Stamp) -> bool {
        self.life.is_some_and(|life| self.spent(now) >= life)
    }

    fn is_due(&self, now: Stamp) -> bool {
        self.renew_after.is_some_and(|after| self.spent(now) >= after)
    }

    /// Whether it is so new that upstream has no reason to refuse it.
    fn is_young(&self, now: Stamp) -> bool {
        self.spent(now) < self.life.map_or(YOUNG, |life| life / 2)
    }
}

impl Failure {
    fn holds(&self, now: Stamp) -> bool {
        self.at.age(now) < self.pause
    }

    /// Whether it is a refusal and none that passes by itself.
    fn is_definite(&self) -> bool {
        matches!(self.error.outcome(), Outcome::Unauthorized | Outcome::Forbidden)
    }

    /// What has to differ for a failure to be news.
    fn kind(&self) -> (Outcome, bool) {
        (self.error.outcome(), self.error.login_needed())
    }
}

impl Holder {
    fn name(&self) -> &str {
        match self {
            Self::Account(account) => account.as_str(),
            Self::Partner(partner) => partner,
        }
    }

    /// Logs one line when attempts begin to fail or have a reason that is new since then, and one when
    /// they succeed again; for an account only while its token is `good`, because otherwise its poller does.
    fn report(&self, earlier: Option<&Failure>, failure: Option<&Failure>, good: bool, now: Stamp) {
        let known = earlier.map_or(0, |earlier| earlier.kinds.len());
        let news = failure.is_some_and(|failure| failure.kinds.len() > known);
        match (self, failure) {
            (Self::Partner(partner), Some(failure)) if news => {
                let problem = &failure.error;
                warn!(partner, %problem, "the login of the partner fails, for all of its accounts");
            }
            (Self::Partner(partner), None) => {
                if let Some(earlier) = earlier {
                    let down_for = span(earlier.first.age(now));
                    info!(partner, down_for, "the login of the partner works again");
                }
            }
            (Self::Account(account), None) => {
                if let Some(earlier) = earlier.filter(|earlier| earlier.told) {
                    let down_for = span(earlier.first.age(now));
                    info!(%account, down_for, "the token can be renewed again");
                }
            }
            (Self::Account(account), Some(failure))
                if news && good && !failure.error.is_shared() =>
            {
                let problem = &failure.error;
                warn!(%account, %problem, "cannot renew the token; the old one is still good");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
