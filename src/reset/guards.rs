//! The guards between a request and the reset: functions of values, in the order of the contract.
//!
//! [`token`](super::token) comes before them; then [`request`], [`availability`] and, once every user has
//! been read, [`complete`] and [`unanswered`]. The first guard that does not hold is the reply ([`Refusal`]);
//! those after it are not evaluated.

use std::time::Duration;

use serde::Deserialize;

use super::cooldown::CooldownLeft;
use super::request::Figures;
use crate::account::AccountId;
use crate::metrics::RefusalCode;
use crate::poller::FullReadError;
use crate::storage::StorageError;
use crate::text;

/// Longest body, in bytes; the longest good one has about a thousand.
pub const BODY_MAX: usize = 4096;
/// Longest reason, in characters.
const REASON_MAX: usize = 500;

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestBody {
    /// The account's number, as a confirmation.
    pub(super) confirm: Option<String>,
    /// Why, for the audit log.
    pub(super) reason: Option<String>,
    /// Whether to do everything except the reset.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// The number of unanswered messages that the caller expects.
    pub(super) expected_unanswered: Option<u64>,
}

/// Why a request with a valid token is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: RefusalCode,
    /// Why, and what to do.
    pub(super) message: String,
    /// How long to wait before trying again, where waiting helps.
    pub(super) retry_after: Option<Duration>,
}

const EXAMPLE: &str = r#"{"confirm":"78231464","reason":"…","dry_run":false,"expected_unanswered":1234}, of which only confirm is needed"#;

/// Guards on the request itself: content type, body, confirmation.
pub(super) fn request(
    account: &str,
    account_id: Option<&AccountId>,
    content_type: Option<&[u8]>,
    body: Option<&[u8]>,
) -> Result<RequestBody, Refusal> {
    if !content_type.is_some_and(is_json) {
        let message = "send the body as Content-Type: application/json";
        return Err(Refusal::new(RefusalCode::UnsupportedMediaType, message));
    }
    let body = parse(body.ok_or_else(|| {
        let what = format!("the body is longer than {BODY_MAX} bytes or incomplete");
        Refusal::new(RefusalCode::BodyTooLarge, format!("{what}; send {EXAMPLE}"))
    })?)?;
    let confirmed = body.confirm.as_deref().and_then(|text| AccountId::parse(text).ok());
    if confirmed.is_none() || confirmed.as_ref() != account_id {
        return Err(mismatch(account));
    }
    Ok(body)
}

fn mismatch(account: &str) -> Refusal {
    let message = format!(
        "confirm is not the account_id of {account}; look it up in the configuration, be sure that this is \
         the account to clear, and send its eight digits"
    );
    Refusal::new(RefusalCode::ConfirmationMismatch, message)
}

/// Guards on the account: no reset in flight, not locked, cooldown over.
pub(super) fn availability(
    busy: bool,
    locked: bool,
    wait: Option<CooldownLeft>,
) -> Result<(), Refusal> {
    if busy {
        let message = "a reset of this account is under way; wait for its end and check the figures before \
            requesting another";
        return Err(Refusal::new(RefusalCode::ResetInProgress, message));
    }
    if locked {
        let message = "locked: the response to the last reset named another account. Find out which account \
            the token belongs to, correct it, and restart the exporter";
        return Err(Refusal::new(RefusalCode::Locked, message));
    }
    wait.map_or(Ok(()), |wait| {
        let refusal = Refusal::new(RefusalCode::Cooldown, cooldown(&wait));
        Err(Refusal { retry_after: Some(wait.left), ..refusal })
    })
}

/// The guard that every user could be read.
pub(super) fn complete<T>(read: Result<T, FullReadError>) -> Result<T, Refusal> {
    read.map_err(|error| match error {
        FullReadError::Stopped => Refusal::poller_ended(),
        FullReadError::Incomplete(reason) => {
            let message = format!(
                "not every user can be read, so it is unknown what would be cleared: {reason}. Fix that, or \
                 remove users that Wazzup24 does not know from the configuration, and try again"
            );
            Refusal::new(RefusalCode::IncompleteReading, message)
        }
    })
}

/// The guard that not too many messages are unanswered.
pub(super) fn unanswered(
    counted: &Figures,
    max_unanswered: u64,
    expected: Option<u64>,
) -> Result<(), Refusal> {
    let Figures { red, grey, other, total, .. } = *counted;
    let allowed = max_unanswered.max(expected.unwrap_or(0));
    if total > allowed {
        let message = format!(
            "{total} messages are unanswered ({red} red, {grey} grey, {other} of an unknown type), and \
             more than {allowed} are not cleared unless their number is expected: check them, and if all \
             of them are to be cleared, send expected_unanswered of at least {total}"
        );
        return Err(Refusal::new(RefusalCode::TooManyUnanswered, message));
    }
    Ok(())
}

/// `application/json`, at most with a charset, which JSON is always UTF-8 in.
fn is_json(content_type: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(content_type) else { return false };
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let charset = |part: &str| {
        let charset = part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        charset.is_some_and(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"))
    };
    kind.eq_ignore_ascii_case("application/json") && parts.all(charset)
}

/// Why a body is refused, in words, if it is.
#[cfg(fuzzing)]
pub fn body_refusal(bytes: &[u8]) -> Option<String> {
    parse(bytes).err().map(|refusal| refusal.message)
}

fn parse(bytes: &[u8]) -> Result<RequestBody, Refusal> {
    let invalid =
        |what: String| Refusal::new(RefusalCode::InvalidBody, format!("{what}; send {EXAMPLE}"));
    // serde would also accept an array, which is not documented.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(invalid("the body is not a JSON object".to_owned()));
    }
    let body: RequestBody = serde_json::from_slice(bytes).map_err(|error| {
        // The error's text may repeat what was sent, such as a token in the wrong place.
        let what = if error.is_data() { "has an unknown key or value" } else { "is not JSON" };
        invalid(format!("the body {what}, at line {} column {}", error.line(), error.column()))
    })?;
    let reason = body.reason.as_deref().unwrap_or_default();
    if reason.chars().nth(REASON_MAX).is_some() {
        return Err(invalid(format!("reason is longer than {REASON_MAX} characters")));
    }
    Ok(body)
}

fn cooldown(wait: &CooldownLeft) -> String {
    let (since, left) = (text::timestamp(wait.since), text::duration_up(wait.left));
    let what = format!("the last reset of this account was requested at {since}");
    if !wait.clock_behind {
        return format!("{what}; the next may follow in {left}");
    }
    format!(
        "{what}, which was later than now by the clock of this machine when the exporter started: one \
         of the two is wrong, so the whole cooldown counts from then. Correct the clock; the next may \
         follow in {left}"
    )
}

impl Refusal {
    fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The poller has ended before the reset was decided.
    pub(super) fn poller_ended() -> Self {
        Self::interrupted("the account's poller has ended or was restarted")
    }

    pub(super) fn interrupted(why: &str) -> Self {
        let message =
            format!("{why}; nothing was sent. Check the account, and try again if needed");
        Self::new(RefusalCode::Interrupted, message)
    }

    /// The journal cannot be read or written.
    pub(super) fn storage(problem: impl Into<String>) -> Self {
        Self::new(RefusalCode::StorageFailed, problem)
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::storage(error.to_string())
    }
}

#[cfg(test)]
mod tests;
