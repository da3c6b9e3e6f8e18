//! Requests for tokens as they are written: HTTP's basic login, and a JSON body for each grant.
//!
//! Read for `oauth`, which decides about them.

use std::collections::BTreeMap;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::endpoint::Endpoint;

/// The grants: their type, the tokens that they are for, and the texts that they come with.
const GRANTS: [(&str, Endpoint, &str, &[&str]); 4] = [
    ("client_credentials", Endpoint::MachineToken, "client_credentials_data", &["scope"]),
    (
        "urn:ietf:params:oauth:grant-type:token-exchange",
        Endpoint::Exchange,
        "token_exchange_data",
        &["subject_token", "subject_token_type", "requested_subject", "scope"],
    ),
    (
        "authorization_code",
        Endpoint::Code,
        "authorize_code_data",
        &["code", "redirect_uri", "client_id", "code_verifier"],
    ),
    ("refresh_token", Endpoint::Refresh, "refresh_token_data", &["refresh_token", "client_id"]),
];
const MACHINE_TOKEN: &str = "urn:wazzup:oauth:token-type:machine_token";

/// The texts of a grant by name.
pub(super) struct Grant(BTreeMap<&'static str, String>);

impl Grant {
    /// A text that grants of this type come with.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
}

/// User name and password.
pub(super) fn basic(head: &Parts) -> Option<(String, String)> {
    let (scheme, encoded) = head.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok();
    let login =
        String::from_utf8(decoded.filter(|_| scheme.eq_ignore_ascii_case("basic"))?).ok()?;
    let (email, password) = login.split_once(':')?;
    Some((email.to_owned(), password.to_owned()))
}

/// The grant in a body. Nothing of the body is repeated in an error: it may be a secret.
pub(super) fn read_grant(head: &Parts, body: &[u8]) -> (Endpoint, Result<Grant, String>) {
    let wrong = |detail: &str| (Endpoint::OtherGrant, Err(detail.to_owned()));
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return wrong("the content type must be application/json");
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return wrong("the body must be JSON");
    };
    let kind = body.get("grant_type").and_then(Value::as_str);
    let Some((_, endpoint, data, keys)) = GRANTS.iter().find(|(known, ..)| Some(*known) == kind)
    else {
        return wrong("grant_type is missing or none of those known");
    };
    let read = |key: &&'static str| {
        let text = body.get(data).and_then(|data| data.get(key)).and_then(Value::as_str);
        match text.map_or(Some("is missing or no text"), |text| fault(key, text)) {
            Some(fault) => Err(format!("{data}.{key} {fault}")),
            None => Ok((*key, text.unwrap_or_default().to_owned())),
        }
    };
    (*endpoint, keys.iter().map(read).collect::<Result<_, _>>().map(Grant))
}

/// What is wrong with a text.
fn fault(key: &str, text: &str) -> Option<&'static str> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let (holds, fault) = match key {
        "subject_token_type" => (text == MACHINE_TOKEN, "is not that of a machine token"),
        "requested_subject" => {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            (text.len() == 8 && digits, "must be eight digits")
        }
        "code_verifier" => {
            let fits = (43..=128).contains(&text.len()) && text.bytes().all(unreserved);
            (fits, "must be 43 to 128 letters, digits and -._~")
        }
        _ => (true, ""),
    };
    (!holds).then_some(fault)
}
