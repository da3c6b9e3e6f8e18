//! Requests for tokens as they are written: HTTP's basic login, and a JSON body for each grant.
//!
//! Read for `oauth`, which decides about them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use serde_json::Value;

use super::endpoint::Endpoint;

/// The requested token and what is shown for it.
pub(super) enum Grant {
    /// A partner's machine token.
    Machine { scope: String },
    /// An account's token for a machine token.
    Exchange { machine_token: String, account_id: String, scope: String },
    /// An account's first tokens for the code of a person's login.
    Code { code: String, redirect_uri: String, client_id: String, verifier: String },
    /// An account's next tokens.
    Refresh { token: String, client_id: String },
}

/// User name and password.
pub(super) fn basic(head: &Parts) -> Option<(String, String)> {
    let (scheme, encoded) = head.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
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
    let data = |name| Data { name, value: body.get(name) };
    match body.get("grant_type").and_then(Value::as_str) {
        Some("client_credentials") => {
            (Endpoint::MachineToken, machine(&data("client_credentials_data")))
        }
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            (Endpoint::Exchange, exchange(&data("token_exchange_data")))
        }
        Some("authorization_code") => (Endpoint::Code, code(&data("authorize_code_data"))),
        Some("refresh_token") => (Endpoint::Refresh, refresh(&data("refresh_token_data"))),
        _ => wrong("grant_type is missing or none of those known"),
    }
}

fn machine(data: &Data<'_>) -> Result<Grant, String> {
    Ok(Grant::Machine { scope: data.text("scope")? })
}

fn exchange(data: &Data<'_>) -> Result<Grant, String> {
    if data.text("subject_token_type")? != "urn:wazzup:oauth:token-type:machine_token" {
        return Err(data.fault("subject_token_type", "is not that of a machine token"));
    }
    let account_id = data.text("requested_subject")?;
    if account_id.len() != 8 || !account_id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(data.fault("requested_subject", "must be eight digits"));
    }
    Ok(Grant::Exchange {
        machine_token: data.text("subject_token")?,
        account_id,
        scope: data.text("scope")?,
    })
}

fn code(data: &Data<'_>) -> Result<Grant, String> {
    let verifier = data.text("code_verifier")?;
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(data.fault("code_verifier", "must be 43 to 128 letters, digits and -._~"));
    }
    Ok(Grant::Code {
        code: data.text("code")?,
        redirect_uri: data.text("redirect_uri")?,
        client_id: data.text("client_id")?,
        verifier,
    })
}

fn refresh(data: &Data<'_>) -> Result<Grant, String> {
    Ok(Grant::Refresh { token: data.text("refresh_token")?, client_id: data.text("client_id")? })
}

/// The part of a body that belongs to one grant.
struct Data<'a> {
    name: &'static str,
    value: Option<&'a Value>,
}

impl Data<'_> {
    fn text(&self, key: &str) -> Result<String, String> {
        let text = self.value.and_then(|data| data.get(key)).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.fault(key, "is missing or no text"))
    }

    fn fault(&self, key: &str, fault: &str) -> String {
        format!("{}.{key} {fault}", self.name)
    }
}
