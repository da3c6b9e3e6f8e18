//! A token that is renewed by one attempt at a time, however many callers need it.
//!
//! A [`CachedToken`] holds the token in use. [`CachedToken::token`] returns it, starts a renewal ahead
//! of its expiry, or waits for the attempt in progress. Attempts run in tasks of their own, so that a
//! caller that is dropped does not cancel one. After a failure there is a pause, then one caller starts
//! the next attempt; while the token in use is not valid, the other callers get the last error.
//!
//! Renewal is driven by callers: a token that is not requested is not renewed.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
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

/// A token as its source returned it.
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

/// An owner of a token, for which it is renewed; decides what is logged.
pub(super) enum TokenOwner {
    /// An account's: its poller logs when it cannot be read.
    Account(AccountName),
    /// A partner's: its failures are logged here and nowhere else.
    Partner(String),
}

/// The token in use and the state of its renewal.
pub(super) struct CachedToken {
    /// The attempts; the end of the process waits for those of refresh tokens.
    tasks: TaskTracker,
    state: Mutex<State>,
}

type AttemptResult = Option<Result<Token, TokenError>>;

#[derive(Default)]
struct State {
    current: Option<CurrentToken>,
    /// How the attempts failed since the last one that succeeded, if they did.
    failure: Option<RenewalFailure>,
    /// The attempt in progress.
    renewal: Option<watch::Receiver<AttemptResult>>,
    /// Number of tokens obtained so far.
    count: u64,
    last_renewed: Option<Stamp>,
    /// When the token in use replaced a recent one that was refused, and how many in a row did.
    quick_refusals: Option<(Stamp, u32)>,
}

struct CurrentToken {
    obtained: ObtainedToken,
    /// Age at which it is to be renewed.
    renew_after: Option<Duration>,
    /// Whether upstream has refused it.
    refused: bool,
}

struct RenewalFailure {
    error: TokenError,
    at: Stamp,
    first: Stamp,
    times: u32,
    pause: Duration,
    /// Whether the failure that was logged, if one was, needs a person to log in.
    logged: Option<bool>,
}

/// What to do for a caller that needs a token.
enum Step {
    Use(Token),
    Fail(TokenError),
    Wait(watch::Receiver<AttemptResult>),
    /// Start an attempt; the token is used meanwhile.
    Renew(Option<Token>),
}

impl ObtainedToken {
    /// A new token.
    pub(super) fn new(token: Token, asked: Stamp, life: Option<Duration>) -> Self {
        Self { token, asked, life, spent: Duration::ZERO, new: true }
    }
}

impl CachedToken {
    /// No token yet. Attempts to obtain one are among `tasks`.
    pub(super) fn new(tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self { tasks, state: Mutex::default() })
    }

    /// The token in use, or another one than that which upstream has `refused`. `attempt` obtains a new one if
    /// one is needed for this `owner`, one of maybe several; it runs in a task of its own, and receives
    /// the token in use.
    pub(super) async fn token<F>(
        self: &Arc<Self>,
        owner: TokenOwner,
        refused: Option<&Token>,
        attempt: impl FnOnce(Option<Token>) -> F,
    ) -> Result<Token, TokenError>
    where
        F: Future<Output = Result<ObtainedToken, TokenError>> + Send + 'static,
    {
        let mut finished = {
            let mut state = self.state();
            match state.step(refused, Stamp::now()) {
                Step::Use(token) => return Ok(token),
                Step::Fail(error) => return Err(error),
                Step::Wait(finished) => finished,
                Step::Renew(meanwhile) => {
                    let current = state.current.as_ref();
                    let current = current.map(|current| current.obtained.token.clone());
                    let finished = self.begin(owner, attempt(current));
                    state.renewal = Some(finished.clone());
                    if let Some(token) = meanwhile {
                        return Ok(token);
                    }
                    finished
                }
            }
        };
        let result = finished.wait_for(Option::is_some).await.ok();
        let result = result.and_then(|result| result.clone());
        result.unwrap_or(Err(TokenError::Pending(Duration::ZERO)))
    }

    /// Begins an attempt; its result arrives at the receiver.
    fn begin(
        self: &Arc<Self>,
        owner: TokenOwner,
        attempt: impl Future<Output = Result<ObtainedToken, TokenError>> + Send + 'static,
    ) -> watch::Receiver<AttemptResult> {
        let (result, finished) = watch::channel(None);
        let cached = Arc::clone(self);
        self.tasks.spawn(async move {
            // A panic is logged by its hook, and must not keep the next attempt from being made.
            let obtained = AssertUnwindSafe(attempt).catch_unwind().await;
            let token = match obtained {
                Ok(obtained) => cached.finish(&owner, obtained),
                Err(_) => cached.give_up(),
            };
            // All callers may have stopped waiting.
            let _ = result.send(Some(token));
        });
        finished
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

    /// Whether there is a token that has neither expired nor was refused.
    pub(super) fn is_good(&self, now: Stamp) -> bool {
        self.state().is_good(now)
    }

    /// The token in use, unless it has expired.
    pub(super) fn unexpired(&self, now: Stamp) -> Option<Token> {
        self.state().unexpired(now).map(|current| current.obtained.token.clone())
    }

    /// When a new token was obtained last, in unix time.
    pub(super) fn last_renewed(&self) -> Option<Duration> {
        self.state().last_renewed.map(|at| at.unix_at(Stamp::now()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn give_up(&self) -> Result<Token, TokenError> {
        self.state().renewal = None;
        Err(TokenError::Pending(Duration::ZERO))
    }

    /// Records how an attempt ended. One line is logged when attempts begin to fail or begin to need a person, and
    /// one when they succeed again.
    fn finish(
        &self,
        owner: &TokenOwner,
        obtained: Result<ObtainedToken, TokenError>,
    ) -> Result<Token, TokenError> {
        let now = Stamp::now();
        let mut state = self.state();
        state.renewal = None;
        match obtained {
            Ok(obtained) => {
                let failure = state.failure.take().filter(|failure| failure.logged.is_some());
                let token = state.take(obtained, owner.name(), now);
                drop(state);
                if let Some(failure) = failure {
                    owner.log_end(failure.first.age(now));
                }
                Ok(token)
            }
            Err(error) => {
                let concerns_owner = owner.has_to_log(&error, state.is_good(now));
                let failure = state.fail(&error, now);
                let needs = Some(error.login_needed());
                let logs = concerns_owner && failure.logged < needs;
                failure.logged = if logs { needs } else { failure.logged };
                drop(state);
                if logs {
                    owner.log_failure(&error);
                }
                Err(error)
            }
        }
    }
}

impl State {
    /// The policy. A token that has not expired is used, and renewed meanwhile once it is due. Another one
    /// is needed by a caller to which it was refused, unless young tokens were refused lately; and by every
    /// caller once it was refused and so was the last attempt to renew it.
    ///
    /// There is one attempt at a time, and none in the pause after a failure: a caller that needs another
    /// token gets the error then.
    fn step(&mut self, refused: Option<&Token>, now: Stamp) -> Step {
        let was_refused = self.note_refusal(refused, now);
        let paused = self.failure.as_ref().is_some_and(|failure| failure.holds(now));
        if let Some(current) = self.unexpired(now) {
            let token = current.obtained.token.clone();
            if was_refused && self.would_be_refused_again(current, now) {
                return Step::Use(token);
            }
            let failed = self.failure.as_ref().map(|failure| failure.error.outcome());
            let failed_for_good =
                matches!(failed, Some(Outcome::Unauthorized | Outcome::Forbidden));
            let unusable = was_refused || (current.refused && failed_for_good);
            if !unusable {
                let renews = current.is_due(now) && self.renewal.is_none() && !paused;
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
    fn note_refusal(&mut self, refused: Option<&Token>, now: Stamp) -> bool {
        let Some(refused) = refused else { return false };
        let current = self.current.as_mut().filter(|current| !current.has_ended(now));
        let current = current.filter(|current| current.obtained.token == *refused);
        current.map(|current| current.refused = true).is_some()
    }

    /// Whether new tokens are refused lately, so that another one would not help.
    fn would_be_refused_again(&self, current: &CurrentToken, now: Stamp) -> bool {
        let lately = |(at, times): (Stamp, u32)| at.age(now) < refused_pause(times);
        let free = self.renewal.is_none();
        free && current.is_recent(now) && self.quick_refusals.is_some_and(lately)
    }

    fn unexpired(&self, now: Stamp) -> Option<&CurrentToken> {
        self.current.as_ref().filter(|current| !current.has_ended(now))
    }

    fn is_good(&self, now: Stamp) -> bool {
        self.unexpired(now).is_some_and(|current| !current.refused)
    }

    fn take(&mut self, obtained: ObtainedToken, owner: &str, now: Stamp) -> Token {
        let renew_after = obtained.life.map(|life| renewal_after(life, owner, self.count));
        let is_quick = |earlier: &CurrentToken| earlier.refused && earlier.is_recent(now);
        let times = self.quick_refusals.map_or(0, |(_, times)| times).saturating_add(1);
        let quick = self.current.as_ref().is_some_and(is_quick);
        self.quick_refusals = quick.then_some((now, times));
        if obtained.new {
            self.count += 1;
            self.last_renewed = Some(now);
        }
        let token = obtained.token.clone();
        self.current = Some(CurrentToken { obtained, renew_after, refused: false });
        token
    }

    fn fail(&mut self, error: &TokenError, now: Stamp) -> &mut RenewalFailure {
        let failure = self.failure.get_or_insert_with(|| RenewalFailure {
            error: error.clone(),
            at: now,
            first: now,
            times: 0,
            pause: Duration::ZERO,
            logged: None,
        });
        failure.times = failure.times.saturating_add(1);
        (failure.error, failure.at) = (error.clone(), now);
        failure.pause = error.pause(failure.times);
        failure
    }
}

impl CurrentToken {
    fn spent(&self, now: Stamp) -> Duration {
        self.obtained.spent.saturating_add(self.obtained.asked.age(now))
    }

    fn has_ended(&self, now: Stamp) -> bool {
        self.obtained.life.is_some_and(|life| self.spent(now) >= life)
    }

    fn is_due(&self, now: Stamp) -> bool {
        self.renew_after.is_some_and(|after| self.spent(now) >= after)
    }

    /// Whether it is so recent that upstream has no reason to refuse it.
    fn is_recent(&self, now: Stamp) -> bool {
        self.spent(now) < self.obtained.life.map_or(RECENT, |life| life / 2)
    }
}

impl RenewalFailure {
    fn holds(&self, now: Stamp) -> bool {
        self.at.age(now) < self.pause
    }
}

impl TokenOwner {
    fn name(&self) -> &str {
        match self {
            Self::Account(account) => account.as_str(),
            Self::Partner(partner) => partner,
        }
    }

    /// Whether a failure is logged here: for an account only while its token is `good`, because otherwise
    /// its poller does.
    fn has_to_log(&self, error: &TokenError, good: bool) -> bool {
        matches!(self, Self::Partner(_)) || (good && !error.is_shared())
    }

    fn log_failure(&self, problem: &TokenError) {
        match self {
            Self::Partner(partner) => {
                warn!(partner, %problem, "the login of the partner fails, for all of its accounts");
            }
            Self::Account(account) => {
                warn!(%account, %problem, "cannot renew the token; the old one is still good");
            }
        }
    }

    fn log_end(&self, down_for: Duration) {
        let down_for = text::elapsed(down_for);
        match self {
            Self::Partner(partner) => {
                info!(partner, down_for, "the login of the partner works again");
            }
            Self::Account(account) => info!(%account, down_for, "the token can be renewed again"),
        }
    }
}

#[cfg(test)]
mod tests;
