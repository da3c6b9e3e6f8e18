//! A token as it is sent: checked, and shown nowhere.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::error::TokenError;
use super::jwt::Claims;
use crate::text;

/// A token that is fit to be sent.
#[derive(Debug, Clone)]
pub struct Token {
    secret: SecretString,
    header: HeaderValue,
    claims: Arc<Claims>,
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

impl Token {
    pub(super) fn new(secret: &str, place: impl Fn() -> String) -> Result<Self, TokenError> {
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unusable { place: place() });
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| TokenError::Unusable { place: place() })?;
        header.set_sensitive(true);
        Ok(Self { secret: secret.into(), header, claims: Arc::new(Claims::of(secret)) })
    }

    /// Whether it has the form of the tokens of v2: three parts, separated by dots (docs/upstream.md,
    /// "Tokens"). The keys of v3 have none.
    pub fn is_jwt(&self) -> bool {
        self.expose().split('.').count() == 3
            && self.expose().split('.').all(|part| !part.is_empty())
    }

    /// Wazzup's number of the account that it is for, where it names it.
    pub fn account(&self) -> Option<&str> {
        self.claims.account.as_deref()
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether its own claim says that it has ended at `unix`, a time since 1970.
    pub(crate) fn has_ended(&self, unix: Duration) -> bool {
        self.claims.end.is_some_and(|end| end <= unix)
    }

    /// The value of the `Authorization` header; marked as sensitive.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Replaces the token in `text`, in case upstream repeats it to us.
    pub(crate) fn mask(&self, text: &str) -> String {
        text::mask(text, self.secret.expose_secret())
    }

    pub(super) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}
