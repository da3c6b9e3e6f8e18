//! An account's token, from the kind of source that the configuration names.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{sleep, timeout};

use super::cached_token::{CachedToken, ObtainedToken, TokenOwner};
use super::command;
use super::endpoint::TokenClient;
use super::error::TokenError;
use super::oauth::OAuthRenewer;
use super::partner::PartnerLogin;
use super::secret_file::SecretFile;
use super::token::{Token, TokenTimes};
use crate::account::{Account, AccountId};
use crate::blocking::lock;
use crate::clock::Stamp;

/// How long a caller waits for a token, in addition to the time limit of a request.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Gives an account's token.
pub struct TokenSource {
    account: Arc<Account>,
    token_client: TokenClient,
    kind: TokenKind,
    /// The expiry of a token that is not renewed here.
    end: Mutex<Option<Duration>>,
}

/// Where the token comes from.
pub(super) enum TokenKind {
    Fixed(SecretString),
    File(SecretFile),
    Renewed(Arc<CachedToken>, Renewer),
}

/// How a new token is obtained.
#[derive(Clone)]
pub(super) enum Renewer {
    Command(Arc<[String]>),
    Partner(Arc<PartnerLogin>),
    OAuth(Arc<OAuthRenewer>),
}

impl Renewer {
    /// Obtains another token than the one in use, `current`, for the account of this number.
    async fn attempt(
        self,
        token_client: TokenClient,
        number: Option<AccountId>,
        current: Option<Token>,
    ) -> Result<ObtainedToken, TokenError> {
        let result = match self {
            Self::Command(words) => command::run(&words).await,
            Self::Partner(login) => login.exchange(&token_client, number).await,
            Self::OAuth(renewer) => renewer.renew(&token_client, current).await,
        };
        // Others make the attempt, or it goes on.
        let elsewhere = matches!(result, Err(TokenError::Partner { .. } | TokenError::Pending(_)));
        if !elsewhere && result.as_ref().map_or(true, |obtained| obtained.new) {
            token_client.tally.token_refresh(result.is_ok());
        }
        result
    }
}

impl TokenSource {
    pub(super) fn new(account: Arc<Account>, token_client: TokenClient, kind: TokenKind) -> Self {
        Self { account, token_client, kind, end: Mutex::default() }
    }

    /// The token to use now.
    pub(crate) async fn token(&self) -> Result<Token, TokenError> {
        self.requested(None).await
    }

    /// Another token than one that was refused, if there is one; otherwise that one.
    pub(crate) async fn other_token(&self, refused: &Token) -> Result<Token, TokenError> {
        self.requested(Some(refused)).await
    }

    /// The token to send now in place of `known`, which was good a while ago. A renewal that is due starts
    /// here; a token that has expired is waited for. One in a file is read again once it has ended, because it
    /// may have been replaced.
    pub(crate) async fn latest(&self, known: &Token) -> Result<Token, TokenError> {
        let ended = || known.has_ended(Stamp::now().unix);
        match self.kind {
            TokenKind::Fixed(_) => Ok(known.clone()),
            TokenKind::File(_) if !ended() => Ok(known.clone()),
            TokenKind::File(_) | TokenKind::Renewed(..) => self.token().await,
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
        matches!(self.kind, TokenKind::Renewed(..))
    }

    /// The same without waiting: nothing if there is only one that has expired, or is of another account.
    pub(crate) fn unexpired(&self, known: &Token) -> Option<Token> {
        match &self.kind {
            // It may have been renewed since `known` was checked.
            TokenKind::Renewed(cached, _) => {
                cached.unexpired(Stamp::now()).filter(|token| self.check(token).is_ok())
            }
            TokenKind::Fixed(_) | TokenKind::File(_) => Some(known.clone()),
        }
    }

    /// When the pause ends that the partner's token endpoint has asked for, if the account needs a token
    /// from there.
    pub(crate) fn paused_until(&self) -> Option<Stamp> {
        let TokenKind::Renewed(cached, renewer) = &self.kind else { return None };
        let login = match renewer {
            Renewer::Command(..) => return None,
            Renewer::Partner(login) => login,
            Renewer::OAuth(renewer) => &renewer.partner_login,
        };
        login.paused_until().filter(|_| !cached.is_good(Stamp::now()))
    }

    /// What is known of the token.
    pub(crate) fn times(&self) -> TokenTimes {
        match &self.kind {
            TokenKind::Renewed(_, Renewer::OAuth(renewer)) => renewer.times(),
            TokenKind::Renewed(cached, _) => {
                TokenTimes { expiry: None, last_refresh: cached.last_renewed() }
            }
            TokenKind::Fixed(_) | TokenKind::File(_) => {
                TokenTimes { expiry: *lock(&self.end), last_refresh: None }
            }
        }
    }

    async fn requested(&self, refused: Option<&Token>) -> Result<Token, TokenError> {
        let wait_max = WAIT_MAX.saturating_add(self.account.poll.timeout);
        let token = timeout(wait_max, self.of_kind(refused)).await;
        let token = token.map_err(|_| TokenError::Pending(wait_max))??;
        self.check(&token)?;
        *lock(&self.end) = token.claims.end;
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

    async fn of_kind(&self, refused: Option<&Token>) -> Result<Token, TokenError> {
        match &self.kind {
            TokenKind::Fixed(secret) => {
                Token::new(secret.expose_secret(), || "of the configuration".to_owned())
            }
            // Read each time, so that a replaced one is picked up.
            TokenKind::File(file) => {
                let place = || format!("in {}", file.path.display());
                Token::new(file.read().await?.expose_secret().trim(), place)
            }
            TokenKind::Renewed(cached, renewer) => {
                if let Renewer::OAuth(renewer) = renewer
                    && renewer.login.has_changed().await
                {
                    cached.renew_soon();
                }
                let (token_client, number) = (&self.token_client, &self.account.account_id);
                let attempt = |current| {
                    renewer.clone().attempt(token_client.clone(), number.clone(), current)
                };
                let owner = TokenOwner::Account(self.account.name.clone());
                cached.token(owner, refused, attempt).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
