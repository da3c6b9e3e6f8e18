//! The login of a technical partner, and the accounts' tokens that come from it (white label).
//!
//! A [`PartnerLogin`] serves all accounts of one partner: it holds the one machine token, sends one
//! login at a time, and has a limit of its own, so that requests for tokens never wait behind readings.
//! A login that fails is one failure: it is logged once and retried with growing pauses, whichever
//! account needs a token; the other accounts get the last error.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::cached_token::{CachedToken, ObtainedToken, TokenOwner};
use super::endpoint::{BasicAuth, Grant, GrantedTokens, TokenClient};
use super::error::TokenError;
use super::secret_file::SecretFile;
use super::token::Token;
use crate::account::{AccountId, Partner, RateLimit};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::limit::{GlobalLimit, Lane, Limiter, Pace, Permit};
use crate::metrics::{Outcome, Tally};
use crate::transport::Error;

/// Requests of one partner for tokens in flight at the same time.
const CONCURRENCY: usize = 8;
/// How often a request that waits for its permit checks whether upstream has asked for a pause.
const PAUSE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Where the tokens of a partner's accounts come from.
pub(super) struct PartnerLogin {
    pub(super) partner: Arc<Partner>,
    limiter: Limiter,
    machine: Arc<CachedToken>,
    password: SecretFile,
    /// The login that gave the machine token.
    login: Mutex<Option<BasicAuth>>,
}

impl PartnerLogin {
    /// A login that has requested nothing yet. Must be called within a runtime.
    pub(super) fn new(partner: Arc<Partner>, limit: RateLimit) -> Self {
        // A limit of its own: a token must not wait until other accounts' hung requests time out.
        let global = GlobalLimit::new(CONCURRENCY);
        let pace = Arc::new(Pace::new(limit));
        let limiter = Limiter::new(CONCURRENCY, pace, global, Arc::new(Tally::default()));
        let machine = CachedToken::new(TaskTracker::new());
        let password = SecretFile::new("password file", partner.password_file.clone());
        Self { partner, limiter, machine, password, login: Mutex::default() }
    }

    /// A token of the account of this number, which is one of this partner.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        token_client: &TokenClient,
        number: Option<AccountId>,
    ) -> Result<ObtainedToken, TokenError> {
        let account = number.expect("without one the configuration is refused");
        let mut machine = self.machine(token_client, None).await?;
        let mut renewed = false;
        loop {
            let grant = Grant::Exchange {
                machine: &machine,
                account: &account,
                scope: &self.partner.scope,
            };
            // The login that gave the machine token.
            let login = lock(&self.login).clone().ok_or(TokenError::Pending(Duration::ZERO))?;
            let permit = self.permit().await?;
            let refused = match self.request(token_client, permit, &login, &grant).await {
                Ok(granted) => return Ok(granted.access),
                Err(refused) => refused,
            };
            if refused.outcome() == Outcome::Unauthorized && !renewed {
                let refused = Some(&machine);
                let other = self.machine(token_client, refused).await?;
                renewed = true;
                if other != machine {
                    machine = other;
                    continue;
                }
            }
            let what = "cannot exchange the partner's token for the account's";
            return Err(TokenError::refused(what, refused));
        }
    }

    async fn machine(
        self: &Arc<Self>,
        token_client: &TokenClient,
        refused: Option<&Token>,
    ) -> Result<Token, TokenError> {
        if self.machine.is_failing() && self.password.has_changed().await {
            self.machine.end_pause();
        }
        let attempt = |_| Arc::clone(self).log_in(token_client.clone());
        let owner = TokenOwner::Partner(self.partner.name.clone());
        self.machine.token(owner, refused, attempt).await.map_err(|source| match source {
            // The reason is not known yet.
            TokenError::Pending(_) => source,
            source => {
                let partner = self.partner.name.clone();
                TokenError::Partner { partner, source: Box::new(source) }
            }
        })
    }

    async fn log_in(
        self: Arc<Self>,
        token_client: TokenClient,
    ) -> Result<ObtainedToken, TokenError> {
        let login = self.read_login().await?;
        let permit = self.permit().await?;
        let grant = Grant::Machine { scope: &self.partner.scope };
        let granted = self.request(&token_client, permit, &login, &grant).await;
        let granted = granted.map_err(|refused| TokenError::refused("cannot log in", refused))?;
        *lock(&self.login) = Some(login);
        Ok(granted.access)
    }

    /// The partner's login as it is now.
    pub(super) async fn read_login(&self) -> Result<BasicAuth, TokenError> {
        Ok(BasicAuth::new(&self.partner.email, self.password.read().await?))
    }

    /// When the pause ends that upstream has asked for.
    pub(super) fn paused_until(&self) -> Option<Stamp> {
        self.limiter.paused_until()
    }

    /// Waits for a permit to send one request, but not while upstream has asked for a pause: that may
    /// last, and the caller should learn of it.
    pub(super) async fn permit(&self) -> Result<Permit, TokenError> {
        let mut permit = std::pin::pin!(self.limiter.acquire(Lane::Urgent));
        while !self.limiter.paused() {
            if let Ok(permit) = timeout(PAUSE_CHECK_INTERVAL, &mut permit).await {
                return Ok(permit);
            }
        }
        Err(TokenError::Paused)
    }

    /// Sends a request for tokens.
    pub(super) async fn request(
        &self,
        token_client: &TokenClient,
        permit: Permit,
        login: &BasicAuth,
        grant: &Grant<'_>,
    ) -> Result<GrantedTokens, Error> {
        token_client.request(permit, &self.limiter, login, grant).await
    }
}
