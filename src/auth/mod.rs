//! The bearer token of an account, from where the configuration says.
//!
//! A [`TokenSource`] belongs to one account's client and is asked at the start of every sweep; what
//! it shares with others and what outlives it is in [`Tokens`]. Each way to a token has a file:
//! `file`, `command`, `partner` (white label) and `oauth` (label) with its `journal`; `cell` decides
//! when a token is renewed and that only one attempt is made at a time, `endpoint` speaks with
//! upstream. A token is a secret: it is in no log, no error and no `Debug` output.

mod cell;
mod command;
mod endpoint;
mod error;
mod file;
mod journal;
mod jwt;
mod oauth;
mod partner;
mod registry;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

pub use self::command::CommandError;
pub use self::error::{LoginReason, TokenError};
pub use self::registry::{LoggedIn, Tokens};

use self::cell::{Cell, Want};
use self::endpoint::Asker;
use self::file::SecretFile;
use self::jwt::Claims;
use self::oauth::{Renewer, count};
use self::partner::Desk;
use crate::account::{Account, AccountId};
use crate::blocking::lock;

/// How long somebody who needs a token waits for it, beside the time limit of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A token that is fit to be sent.
#[derive(Debug, Clone)]
pub struct Token {
    secret: SecretString,
    header: HeaderValue,
}

/// What is known of an account's token, apart from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenFacts {
    /// When reading ends unless a person acts, in unix time; `None` where that is unknown, or where
    /// a new token can always be had.
    pub expiry: Option<Duration>,
    /// When the token was last renewed, in unix time.
    pub last_refresh: Option<Duration>,
}

/// Gives an account's token.
#[derive(Debug)]
pub struct TokenSource {
    account: Arc<Account>,
    asker: Asker,
    way: Way,
    /// The end of a token that nobody renews.
    end: Mutex<Option<Duration>>,
}

/// Where the token comes from.
#[derive(Debug)]
enum Way {
    Fixed(SecretString),
    File(SecretFile),
    Command { words: Arc<[String]>, cell: Arc<Cell> },
    Partner { desk: Arc<Desk>, cell: Arc<Cell> },
    OAuth(Arc<Renewer>),
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

impl Token {
    fn new(secret: &str, place: impl Fn() -> String) -> Result<Self, TokenError> {
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unusable { place: place() });
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| TokenError::Unusable { place: place() })?;
        header.set_sensitive(true);
        Ok(Self { secret: secret.into(), header })
    }

    /// Whether it has the form of the tokens of v2: three parts, separated by dots (docs/upstream.md,
    /// "Tokens"). The keys of v3 have none.
    pub fn is_jwt(&self) -> bool {
        self.expose().split('.').count() == 3
            && self.expose().split('.').all(|part| !part.is_empty())
    }

    /// The value of the `Authorization` header; marked as sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Replaces the token in `text`, in case upstream repeats it to us.
    pub(super) fn mask(&self, text: &str) -> String {
        text.replace(self.secret.expose_secret(), "<secret>")
    }

    fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

impl TokenSource {
    fn new(account: Arc<Account>, asker: Asker, way: Way) -> Self {
        Self { account, asker, way, end: Mutex::default() }
    }

    /// The token to use now.
    pub(super) async fn token(&self) -> Result<Token, TokenError> {
        self.wanted(Want::Any).await
    }

    /// Another token than one that was refused, if there is one; otherwise that one.
    pub(super) async fn other_token(&self, refused: &Token) -> Result<Token, TokenError> {
        self.wanted(Want::OtherThan(refused)).await
    }

    /// What is known of the token.
    pub(super) fn facts(&self) -> TokenFacts {
        match &self.way {
            Way::Fixed(_) | Way::File(_) => {
                let expiry = *lock(&self.end);
                TokenFacts { expiry, last_refresh: None }
            }
            Way::Command { cell, .. } | Way::Partner { cell, .. } => {
                TokenFacts { expiry: None, last_refresh: cell.last_new() }
            }
            Way::OAuth(renewer) => {
                let facts = renewer.facts();
                TokenFacts { expiry: facts.end, last_refresh: facts.renewed }
            }
        }
    }

    async fn wanted(&self, want: Want<'_>) -> Result<Token, TokenError> {
        let patience = PATIENCE.saturating_add(self.account.poll.timeout);
        let token = timeout(patience, self.of_way(want)).await;
        let token = token.map_err(|_| TokenError::Pending(patience))??;
        let claims = Claims::of(token.expose());
        let wanted = self.account.account_id.as_ref().map(AccountId::as_str);
        if let (Some(found), Some(wanted)) = (claims.account, wanted)
            && found != wanted
        {
            return Err(TokenError::OtherAccount { found, wanted: wanted.to_owned() });
        }
        *lock(&self.end) = claims.end;
        Ok(token)
    }

    async fn of_way(&self, want: Want<'_>) -> Result<Token, TokenError> {
        match &self.way {
            Way::Fixed(secret) => {
                Token::new(secret.expose_secret(), || "of the configuration".to_owned())
            }
            // Read each time, so that a replaced one is picked up.
            Way::File(file) => {
                let place = || format!("in {}", file.path().display());
                Token::new(file.read().await?.expose_secret().trim(), place)
            }
            Way::Command { words, cell } => {
                let attempt = |_| {
                    let (words, asker) = (Arc::clone(words), self.asker.clone());
                    async move {
                        let result = command::run(&words).await;
                        count(&asker, &result);
                        result
                    }
                };
                cell.token(want, None, attempt).await
            }
            Way::Partner { desk, cell } => {
                let number = self.account.account_id.clone().ok_or(TokenError::NoAccountId)?;
                let attempt = |_| {
                    let (desk, asker) = (Arc::clone(desk), self.asker.clone());
                    async move {
                        let result = desk.exchange(asker.clone(), number).await;
                        count(&asker, &result);
                        result
                    }
                };
                cell.token(want, None, attempt).await
            }
            Way::OAuth(renewer) => renewer.token(&self.asker, want).await,
        }
    }
}

#[cfg(test)]
mod tests;
