//! A token that is renewed by one attempt at a time, however many callers need it.
//!
//! A [`CachedToken`] holds the token in use. [`CachedToken::token`] returns it, starts a renewal ahead
//! of its expiry, or waits for the attempt in progress. Attempts run in tasks of their own, so that a
//! caller that is dropped does not cancel one. After a failure there is a pause, then one caller starts
//! the next attempt; while the token in use is not valid, the other callers get the last error.
//!
//! Renewal is driven by callers: a token that is not requested is not renewed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::error::TokenError;
use super::token::Token;
use crate::account::AccountName;
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::metrics::Outcome;
use crate::schedule::{refused_pause, renewal_after};
use crate::text;

/// Age below which the refusal of a token of unknown life is suspicious.
const RECENT: Duration = Duration::from_mins(1);

/// Which token a caller needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum TokenRequest<'a> {
    /// The one in use.
    Current,
    /// Another one than this one, which upstream has refused.
    Replacement(&'a Token),
}

/// A token as its source returned it.
#[derive(Debug)]
pub(super) struct ObtainedToken {
    pub(super) token: Token,
    /// When it was requested: the earliest time at which its life may have begun.
    pub(super) asked: Stamp,
    /// How long it lives, where that is known.
    pub(super) life: Option<Duration>,
    /// How much of its life had passed when it was requested.
    pub(super) spent: Duration,
    /// Whether it is a new one, and not one read from the storage.
    pub(super) new: bool,
}

/// The owner of a token; decides what is logged.
#[derive(Debug)]
pub(super) enum TokenOwner {
    /// An account's: its poller logs when it cannot be read.
    Account(AccountName),
    /// A partner's: its failures are logged here and nowhere else.
    Partner(String),
}

/// The token in use and the state of its renewal.
#[derive(Debug)]
pub(super) struct CachedToken {
    owner: TokenOwner,
    state: Mutex<State>,
}

type AttemptResult = Option<Result<Token, TokenError>>;

#[derive(Debug, Default)]
struct State {
    current: Option<CurrentToken>,
    /// How the last attempt failed, if it did.
    failure: Option<RenewalFailure>,
    /// The attempt in progress.
    renewal: Option<watch::Receiver<AttemptResult>>,
    /// Number of tokens obtained so far.
    count: u64,
    last_renewed: Option<Stamp>,
    /// How often in a row a recent token was replaced because it was refused.
    quick_refusals: u32,
    /// When the token in use replaced such a one.
    quickly_refused_at: Option<Stamp>,
}

#[derive(Debug)]
struct CurrentToken {
    token: Token,
    asked: Stamp,
    life: Option<Duration>,
    spent: Duration,
    /// Age at which it is to be renewed.
    renew_after: Option<Duration>,
    /// Whether upstream has refused it.
    refused: bool,
}

#[derive(Debug, Clone)]
struct RenewalFailure {
    error: TokenError,
    at: Stamp,
    first: Stamp,
    times: u32,
    pause: Duration,
    /// The kinds of failure that were reported since it began.
    kinds: Vec<(Outcome, bool)>,
    /// Whether it was logged although the account can still be read.
    logged: bool,
}

/// What to do for a caller that needs a token.
#[derive(Debug)]
enum Step {
    Use(Token),
    Fail(TokenError),
    Wait(watch::Receiver<AttemptResult>),
    /// Start an attempt; the token is used meanwhile.
    Renew(Option<Token>),
}

/// Ends an attempt even if its task is cancelled or panics.
struct RenewalAttempt {
    cached: Arc<CachedToken>,
    result: watch::Sender<AttemptResult>,
    finished: bool,
}

impl ObtainedToken {
    /// A new token.
    pub(super) fn new(token: Token, asked: Stamp, life: Option<Duration>) -> Self {
        Self { token, asked, life, spent: Duration::ZERO, new: true }
    }
}

impl CachedToken {
    /// No token yet.
    pub(super) fn new(owner: TokenOwner) -> Arc<Self> {
        Arc::new(Self { owner, state: Mutex::default() })
    }

    /// The token that is requested. `attempt` obtains a new one if one is needed; it runs in a task of
    /// its own, one of `tasks` where these are given, and receives the token in use.
    pub(super) async fn token<F>(
        self: &Arc<Self>,
        request: TokenRequest<'_>,
        tasks: Option<&TaskTracker>,
        attempt: impl FnOnce(Option<Token>) -> F,
    ) -> Result<Token, TokenError>
    where
        F: Future<Output = Result<ObtainedToken, TokenError>> + Send + 'static,
    {
        let (mut finished, meanwhile) = {
            let mut state = self.state();
            match state.step(request, Stamp::now()) {
                Step::Use(token) => return Ok(token),
                Step::Fail(error) => return Err(error),
                Step::Wait(finished) => (finished, None),
                Step::Renew(meanwhile) => {
                    let (result, finished) = watch::channel(None);
                    state.renewal = Some(finished.clone());
                    let renewal =
                        RenewalAttempt { cached: Arc::clone(self), result, finished: false };
                    let attempt =
                        attempt(state.current.as_ref().map(|current| current.token.clone()));
                    let task = async move {
                        let result = attempt.await;
                        renewal.finish(result);
                    };
                    // The end of the process does not wait for tasks outside `tasks`.
                    drop(match tasks {
                        Some(tasks) => tasks.spawn(task),
                        None => tokio::spawn(task),
                    });
                    (finished, meanwhile)
                }
            }
        };
        if let Some(token) = meanwhile {
            return Ok(token);
        }
        let finished = finished.wait_for(Option::is_some).await.ok();
        finished
            .and_then(|finished| finished.clone())
            .unwrap_or(Err(TokenError::Pending(Duration::ZERO)))
    }

    /// Ends the pause after a failure, because what caused it may have changed.
    pub(super) fn end_pause(&self) {
        if let Some(failure) = &mut self.state().failure {
            failure.pause = Duration::ZERO;
        }
    }

    /// Makes the next caller renew the token in use.
    pub(super) fn renew_soon(&self) {
        self.end_pause();
        if let Some(current) = &mut self.state().current {
            current.renew_after = Some(Duration::ZERO);
        }
    }

    /// Whether the last attempt has failed.
    pub(super) fn is_failing(&self) -> bool {
        self.state().failure.is_some()
    }

    /// Whether there is a token that has not expired.
    pub(super) fn is_valid(&self, now: Stamp) -> bool {
        self.state().current.as_ref().is_some_and(|current| !current.has_ended(now))
    }

    /// Whether there is one that upstream has not refused either.
    pub(super) fn is_good(&self, now: Stamp) -> bool {
        self.state().is_good(now)
    }

    /// The token in use, unless it has expired.
    pub(super) fn unexpired(&self, now: Stamp) -> Option<Token> {
        let state = self.state();
        let current = state.current.as_ref().filter(|current| !current.has_ended(now))?;
        Some(current.token.clone())
    }

    /// When a new token was obtained last, in unix time.
    pub(super) fn last_renewed(&self) -> Option<Duration> {
        self.state().last_renewed.map(|at| at.unix_at(Stamp::now()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn finish(&self, result: Result<ObtainedToken, TokenError>) -> Result<Token, TokenError> {
        let now = Stamp::now();
        let mut state = self.state();
        let earlier = state.failure.take();
        let result = match result {
            Ok(fresh) => Ok(state.take(fresh, self.owner.name(), now)),
            Err(error) => Err(state.fail(error, earlier.as_ref(), now)),
        };
        let good = state.is_good(now);
        if let Some(failure) = &mut state.failure {
            failure.logged |= good && !failure.error.is_shared();
        }
        let failure = state.failure.clone();
        drop(state);
        self.owner.report(earlier.as_ref(), failure.as_ref(), good, now);
        result
    }
}

impl RenewalAttempt {
    fn finish(mut self, result: Result<ObtainedToken, TokenError>) {
        self.finished = true;
        let result = self.cached.finish(result);
        // All callers may have stopped waiting.
        let _ = self.result.send(Some(result));
        self.cached.state().renewal = None;
    }
}

impl Drop for RenewalAttempt {
    fn drop(&mut self) {
        if !self.finished {
            self.cached.state().renewal = None;
        }
    }
}

impl State {
    /// The policy. A token that has not expired is used, and renewed meanwhile once it is due. Another one
    /// is needed by a caller to whom it was refused, unless young tokens were refused lately; and by every
    /// caller once it was refused and so was the last attempt to renew it.
    ///
    /// There is one attempt at a time, and none in the pause after a failure: a caller that needs another
    /// token gets the error then.
    fn step(&mut self, request: TokenRequest<'_>, now: Stamp) -> Step {
        let was_refused = self.note_refusal(request, now);
        let paused = self.failure.as_ref().is_some_and(|failure| failure.holds(now));
        let may_renew = self.renewal.is_none() && !paused;
        let current = self.current.as_ref().filter(|current| !current.has_ended(now));
        if let Some(current) = current {
            let token = current.token.clone();
            if was_refused && self.would_be_refused_again(current, now) {
                return Step::Use(token);
            }
            let failed_for_good = self.failure.as_ref().is_some_and(RenewalFailure::is_definite);
            let unusable = was_refused || (current.refused && failed_for_good);
            if !unusable {
                let renews = current.is_due(now) && may_renew;
                return if renews { Step::Renew(Some(token)) } else { Step::Use(token) };
            }
        }
        match (&self.failure, &self.renewal) {
            (Some(failure), renewal) if paused || renewal.is_some() => {
                Step::Fail(failure.error.clone())
            }
            (_, Some(renewal)) => Step::Wait(renewal.clone()),
            (_, None) => Step::Renew(None),
        }
    }

    /// Whether the caller was refused with the token in use, which is recorded.
    fn note_refusal(&mut self, request: TokenRequest<'_>, now: Stamp) -> bool {
        let TokenRequest::Replacement(refused) = request else { return false };
        let current = self.current.as_mut().filter(|current| !current.has_ended(now));
        let Some(current) = current.filter(|current| current.token == *refused) else {
            return false;
        };
        current.refused = true;
        true
    }

    /// Whether new tokens are refused lately, so that another one would not help.
    fn would_be_refused_again(&self, current: &CurrentToken, now: Stamp) -> bool {
        let lately = |at: Stamp| at.age(now) < refused_pause(self.quick_refusals);
        let free = self.renewal.is_none();
        free && current.is_recent(now) && self.quickly_refused_at.is_some_and(lately)
    }

    /// Whether there is a token that has neither expired nor was refused.
    fn is_good(&self, now: Stamp) -> bool {
        self.current.as_ref().is_some_and(|current| !current.has_ended(now) && !current.refused)
    }

    fn take(&mut self, fresh: ObtainedToken, owner: &str, now: Stamp) -> Token {
        let ObtainedToken { token, asked, life, spent, new } = fresh;
        let renew_after = life.map(|life| renewal_after(life, owner, self.count));
        let quickly_refused =
            self.current.as_ref().is_some_and(|current| current.refused && current.is_recent(now));
        self.quick_refusals =
            if quickly_refused { self.quick_refusals.saturating_add(1) } else { 0 };
        self.quickly_refused_at = quickly_refused.then_some(now);
        if new {
            self.count += 1;
            self.last_renewed = Some(now);
        }
        let given = token.clone();
        self.current =
            Some(CurrentToken { token, asked, life, spent, renew_after, refused: false });
        given
    }

    fn fail(
        &mut self,
        error: TokenError,
        earlier: Option<&RenewalFailure>,
        now: Stamp,
    ) -> TokenError {
        let times = earlier.map_or(0, |earlier| earlier.times).saturating_add(1);
        let first = earlier.map_or(now, |earlier| earlier.first);
        let pause = error.pause(times);
        let mut failure = RenewalFailure {
            error: error.clone(),
            at: now,
            first,
            times,
            pause,
            kinds: Vec::new(),
            logged: false,
        };
        if let Some(earlier) = earlier {
            failure.kinds.clone_from(&earlier.kinds);
            failure.logged = earlier.logged;
        }
        if !failure.kinds.contains(&failure.kind()) {
            failure.kinds.push(failure.kind());
        }
        self.failure = Some(failure);
        error
    }
}

impl CurrentToken {
    fn spent(&self, now: Stamp) -> Duration {
        self.spent.saturating_add(self.asked.age(now))
    }

    fn has_ended(&self, now: Stamp) -> bool {
        self.life.is_some_and(|life| self.spent(now) >= life)
    }

    fn is_due(&self, now: Stamp) -> bool {
        self.renew_after.is_some_and(|after| self.spent(now) >= after)
    }

    /// Whether it is so recent that upstream has no reason to refuse it.
    fn is_recent(&self, now: Stamp) -> bool {
        self.spent(now) < self.life.map_or(RECENT, |life| life / 2)
    }
}

impl RenewalFailure {
    fn holds(&self, now: Stamp) -> bool {
        self.at.age(now) < self.pause
    }

    /// Whether it is a refusal that does not end by itself.
    fn is_definite(&self) -> bool {
        matches!(self.error.outcome(), Outcome::Unauthorized | Outcome::Forbidden)
    }

    /// What has to differ for a failure to be logged again.
    fn kind(&self) -> (Outcome, bool) {
        (self.error.outcome(), self.error.login_needed())
    }
}

impl TokenOwner {
    fn name(&self) -> &str {
        match self {
            Self::Account(account) => account.as_str(),
            Self::Partner(partner) => partner,
        }
    }

    /// Logs one line when attempts begin to fail or have a reason that is new since then, and one when
    /// they succeed again; for an account only while its token is `good`, because otherwise its poller does.
    fn report(
        &self,
        earlier: Option<&RenewalFailure>,
        failure: Option<&RenewalFailure>,
        good: bool,
        now: Stamp,
    ) {
        let known = earlier.map_or(0, |earlier| earlier.kinds.len());
        let is_new = failure.is_some_and(|failure| failure.kinds.len() > known);
        match (self, failure) {
            (Self::Partner(partner), Some(failure)) if is_new => {
                let problem = &failure.error;
                warn!(partner, %problem, "the login of the partner fails, for all of its accounts");
            }
            (Self::Partner(partner), None) => {
                if let Some(earlier) = earlier {
                    let down_for = text::elapsed(earlier.first.age(now));
                    info!(partner, down_for, "the login of the partner works again");
                }
            }
            (Self::Account(account), None) => {
                if let Some(earlier) = earlier.filter(|earlier| earlier.logged) {
                    let down_for = text::elapsed(earlier.first.age(now));
                    info!(%account, down_for, "the token can be renewed again");
                }
            }
            (Self::Account(account), Some(failure))
                if is_new && good && !failure.error.is_shared() =>
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
