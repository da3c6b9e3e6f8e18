//! The claims of a token, read and not verified: only upstream can verify them, and only upstream
//! relies on them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::text;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
