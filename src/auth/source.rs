//! An account's token, from the kind of source that the configuration names.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{sleep, timeout};

use super::cached_token::{CachedToken, TokenRequest};
use super::command;
use super::endpoint::TokenClient;
use super::error::TokenError;
use super::leftover::Leftover;
use super::oauth::{OAuthRenewer, count};
use super::partner::PartnerLogin;
use super::secret_file::SecretFile;
use super::times::TokenTimes;
use super::token::Token;
use crate::account::{Account, AccountId};
use crate::blocking::lock;
use crate::clock::Stamp;

/// How long a caller waits for a token, in addition to the time limit of a request.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Gives an account's token.
#[derive(Debug)]
pub struct TokenSource {
    account: Arc<Account>,
    token_client: TokenClient,
    kind: TokenKind,
    /// The expiry of a token that is not renewed here.
    end: Mutex<Option<Duration>>,
}

/// Where the token comes from.
#[derive(Debug)]
pub(super) enum TokenKind {
    Fixed(SecretString),
    File(SecretFile),
    Command { words: Arc<[String]>, cached: Arc<CachedToken>, left: Arc<Leftover> },
    Partner { partner_login: Arc<PartnerLogin>, cached: Arc<CachedToken> },
    OAuth(Arc<OAuthRenewer>),
}

impl TokenSource {
    pub(super) fn new(account: Arc<Account>, token_client: TokenClient, kind: TokenKind) -> Self {
        Self { account, token_client, kind, end: Mutex::default() }
    }

    /// The token to use now.
    pub(crate) async fn token(&self) -> Result<Token, TokenError> {
        self.requested(TokenRequest::Current).await
    }

    /// Another token than one that was refused, if there is one; otherwise that one.
    pub(crate) async fn other_token(&self, refused: &Token) -> Result<Token, TokenError> {
        self.requested(TokenRequest::Replacement(refused)).await
    }

    /// The token to send now in place of `known`, which was good a while ago. A renewal that is due starts
    /// here; a token that has expired is waited for. One in a file is read again once it has ended, because it
    /// may have been replaced.
    pub(crate) async fn latest(&self, known: &Token) -> Result<Token, TokenError> {
        let ended = || known.has_ended(Stamp::now().unix);
        match self.kind {
            TokenKind::Fixed(_) => Ok(known.clone()),
            TokenKind::File(_) if !ended() => Ok(known.clone()),
            _ => self.token().await,
        }
    }

    /// Waits until the file that the token stands in is changed, and looks at it every so often (`period`).
    pub(crate) async fn replaced(&self, period: Duration) {
        let TokenKind::File(file) = &self.kind else { return pending().await };
        loop {
            sleep(period).await;
            if file.has_changed().await {
                return;
            }
        }
    }

    /// Whether it renews itself.
    pub(crate) fn renews_itself(&self) -> bool {
        self.cached().is_some()
    }

    /// The same without waiting: nothing if there is only one that has expired, or is of another account.
    pub(crate) fn at_hand(&self, known: &Token) -> Option<Token> {
        match self.cached() {
            // It may have been renewed since `known` was checked.
            Some(cached) => {
                cached.unexpired(Stamp::now()).filter(|token| self.check(token).is_ok())
            }
            None => Some(known.clone()),
        }
    }

    /// When the pause ends that the partner's token endpoint has asked for, if the account needs a token
    /// from there.
    pub(crate) fn paused_until(&self) -> Option<Stamp> {
        let login = match &self.kind {
            TokenKind::Partner { partner_login, .. } => &**partner_login,
            TokenKind::OAuth(renewer) => renewer.partner_login(),
            TokenKind::Fixed(_) | TokenKind::File(_) | TokenKind::Command { .. } => return None,
        };
        let good = self.cached().is_some_and(|cached| cached.is_good(Stamp::now()));
        login.paused_until().filter(|_| !good)
    }

    /// The token that renews itself, if it is of such a kind.
    fn cached(&self) -> Option<&CachedToken> {
        match &self.kind {
            TokenKind::Fixed(_) | TokenKind::File(_) => None,
            TokenKind::Command { cached, .. } | TokenKind::Partner { cached, .. } => Some(cached),
            TokenKind::OAuth(renewer) => Some(renewer.cached()),
        }
    }

    /// What is known of the token.
    pub(crate) fn times(&self) -> TokenTimes {
        match &self.kind {
            TokenKind::Fixed(_) | TokenKind::File(_) => {
                let expiry = *lock(&self.end);
                TokenTimes { expiry, last_refresh: None }
            }
            TokenKind::Command { cached, .. } | TokenKind::Partner { cached, .. } => {
                TokenTimes { expiry: None, last_refresh: cached.last_renewed() }
            }
            TokenKind::OAuth(renewer) => renewer.times(),
        }
    }

    async fn requested(&self, request: TokenRequest<'_>) -> Result<Token, TokenError> {
        let wait_max = WAIT_MAX.saturating_add(self.account.poll.timeout);
        let token = timeout(wait_max, self.of_kind(request)).await;
        let token = token.map_err(|_| TokenError::Pending(wait_max))??;
        self.check(&token)?;
        *lock(&self.end) = token.claims().end;
        Ok(token)
    }

    /// Whether a token names no other account than the configuration.
    fn check(&self, token: &Token) -> Result<(), TokenError> {
        let expected = self.account.account_id.as_ref().map(AccountId::as_str);
        match (token.account(), expected) {
            (Some(found), Some(expected)) if found != expected => {
                let (found, expected) = (found.to_owned(), expected.to_owned());
                Err(TokenError::OtherAccount { found, expected })
            }
            _ => Ok(()),
        }
    }

    async fn of_kind(&self, request: TokenRequest<'_>) -> Result<Token, TokenError> {
        match &self.kind {
            TokenKind::Fixed(secret) => {
                Token::new(secret.expose_secret(), || "of the configuration".to_owned())
            }
            // Read each time, so that a replaced one is picked up.
            TokenKind::File(file) => {
                let place = || format!("in {}", file.path().display());
                Token::new(file.read().await?.expose_secret().trim(), place)
            }
            TokenKind::Command { words, cached, left } => {
                let attempt = |_| {
                    let (words, left) = (Arc::clone(words), Arc::clone(left));
                    let token_client = self.token_client.clone();
                    async move {
                        let result = command::run(&words, &left).await;
                        count(&token_client, &result);
                        result
                    }
                };
                cached.token(request, None, attempt).await
            }
            TokenKind::Partner { partner_login, cached } => {
                let number = self.account.account_id.clone().ok_or(TokenError::NoAccountId)?;
                let attempt = |_| {
                    let (partner_login, token_client) =
                        (Arc::clone(partner_login), self.token_client.clone());
                    async move {
                        let result = partner_login.exchange(token_client.clone(), number).await;
                        count(&token_client, &result);
                        result
                    }
                };
                cached.token(request, None, attempt).await
            }
            TokenKind::OAuth(renewer) => renewer.token(&self.token_client, request).await,
        }
    }
}

#[cfg(test)]
mod tests;
