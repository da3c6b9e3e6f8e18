//! A token as it is sent: checked, and shown nowhere.
//!
//! Its claims are read and not verified: only upstream can verify them, and only upstream relies on them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::TokenError;
use crate::text;

/// A token that is fit to be sent.
#[derive(Debug, Clone)]
pub struct Token {
    /// Shared: a request takes copies of its token, and each copy of a secret would have to be wiped.
    secret: Arc<SecretString>,
    pub(crate) header: HeaderValue,
    pub(super) claims: Arc<Claims>,
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
        Ok(Self { secret: Arc::new(secret.into()), header, claims: Arc::new(Claims::of(secret)) })
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

    /// Whether its own claim says that it has ended at `unix`, a time since 1970.
    pub(crate) fn has_ended(&self, unix: Duration) -> bool {
        self.claims.end.is_some_and(|end| end <= unix)
    }

    /// Replaces the token in `text`, in case upstream repeats it to us.
    pub(crate) fn mask(&self, text: &str) -> String {
        text::mask(text, self.secret.expose_secret())
    }

    pub(crate) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

/// Longest account number that is repeated, in characters; a real one has eight.
const NUMBER_MAX: usize = 32;

/// The claims that matter here; all of them may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// When it ends, in unix time.
    pub(super) end: Option<Duration>,
    /// Wazzup's number of the account that it is good for; seen in tokens of white-label partners.
    pub(super) account: Option<String>,
}

impl Claims {
    /// Reads the claims of a token; none of one that is not a JWT.
    pub(super) fn of(token: &str) -> Self {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Self::default();
        };
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let end = claims.get("exp").and_then(Value::as_f64).filter(|exp| *exp > 0.0);
        let end = end.and_then(|exp| Duration::try_from_secs_f64(exp).ok());
        let account = match claims.get("child_id") {
            Some(Value::String(text)) if !text.is_empty() => Some(number(text)),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Self { end, account }
    }
}

/// An account's number as the configuration stores it: without the hyphen of Wazzup's cabinet.
fn number(text: &str) -> String {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    text::one_line(&digits, NUMBER_MAX)
}

/// What is known of an account's token, apart from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenTimes {
    /// When reading ends unless a person acts, in unix time; `None` where that is unknown, or where
    /// a new token can always be had.
    pub expiry: Option<Duration>,
    /// When the token was last renewed, in unix time.
    pub last_refresh: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(payload: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn reads_the_end_and_the_account() {
        for (payload, end, account) in [
            (r#"{"exp":1759499127,"child_id":"78231464"}"#, Some(1_759_499_127), Some("78231464")),
            (r#"{"exp":1759499127.0,"child_id":78231464}"#, Some(1_759_499_127), Some("78231464")),
            (r#"{"child_id":"7823-1464"}"#, None, Some("78231464")),
            (r#"{"exp":"soon","child_id":null}"#, None, None),
            (r#"{"exp":-1,"child_id":""}"#, None, None),
            (r#"{"exp":1e300}"#, None, None),
            ("[]", None, None),
        ] {
            let expected =
                Claims { end: end.map(Duration::from_secs), account: account.map(str::to_owned) };
            assert_eq!(Claims::of(&token(payload)), expected, "{payload}");
        }
    }

    #[test]
    fn other_tokens_have_no_claims() {
        for token in ["opaque", "a.b", "a.b.c.d", "..", "e30.!!.e30"] {
            assert_eq!(Claims::of(token), Claims::default(), "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_token_breaks_the_reader(text in ".*", payload in ".*") {
            let _ = Claims::of(&text);
            let _ = Claims::of(&token(&payload));
        }
    }
}
