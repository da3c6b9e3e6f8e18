//! The guards between a request and the reset: functions of values, in the order of the contract.
//!
//! [`token`](super::token) comes before them; then [`request`], [`turn`] and, once everybody has been
//! read, [`extent`]. The first guard that does not hold is the answer ([`Refusal`]), and what comes
//! after it is not looked at.

use std::time::Duration;

use serde::Deserialize;

use super::cooldown::{Odd, Wait};
use crate::account::AccountId;
use crate::metrics::RefusalCode;
use crate::text;

/// Longest body, in bytes; the longest good one has about a thousand.
pub const BODY_MAX: usize = 4096;
/// Longest reason, in characters.
const REASON_MAX: usize = 500;

/// What a good body asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The account's number, to be sure which one is meant.
    pub(super) confirm: Option<String>,
    /// Why, for the audit log.
    pub(super) reason: Option<String>,
    /// Whether to do everything but the reset.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// How many messages the caller knows of.
    pub(super) expected_unanswered: Option<u64>,
}

/// Why a request with a valid token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("send the body as Content-Type: application/json")]
    UnsupportedMediaType,
    #[error("the body is longer than {BODY_MAX} bytes or broke off; send {EXAMPLE}")]
    BodyTooLarge,
    #[error("{0}; send {EXAMPLE}")]
    InvalidBody(String),
    #[error(
        "confirm is not the account_id of {account}; look it up in the configuration, be sure that \
         this is the account to clear, and send its eight digits"
    )]
    ConfirmationMismatch { account: String },
    #[error(
        "a reset of this account is under way; wait for its end and look at the figures before \
         asking for another"
    )]
    InProgress,
    #[error(
        "locked: the last reset was answered with the number of another account. Find out whose \
         token this account has, and restart the exporter when that is mended"
    )]
    Locked,
    #[error("{}", cooldown(.0))]
    Cooldown(Wait),
    #[error(
        "not everybody can be read, so nobody knows what would be cleared: {0}. Mend that, or remove \
         users whom Wazzup24 does not know from the configuration, and ask again"
    )]
    IncompleteReading(String),
    #[error(
        "{total} messages are unanswered ({red} red, {grey} grey, {other} of an unknown type), and \
         more than {allowed} are not cleared unless their number is known: look at them, and if all \
         of that is to go, send expected_unanswered of at least {total}"
    )]
    TooMany { total: u64, red: u64, grey: u64, other: u64, allowed: u64 },
    #[error("{0}; nothing was sent. Look at the account, and ask again if it is still wanted")]
    Interrupted(&'static str),
    #[error("{0}; nothing was sent")]
    Storage(String),
}

const EXAMPLE: &str = r#"{"confirm":"78231464","reason":"…","dry_run":false,"expected_unanswered":1234}, of which only confirm is needed"#;

/// What the request itself says: the type, the body, the confirmation.
pub(super) fn request(
    account: &str,
    account_id: Option<&AccountId>,
    content_type: Option<&[u8]>,
    body: Option<&[u8]>,
) -> Result<Ask, Refusal> {
    if !content_type.is_some_and(is_json) {
        return Err(Refusal::UnsupportedMediaType);
    }
    let ask = parse(body.ok_or(Refusal::BodyTooLarge)?)?;
    let confirmed = ask.confirm.as_deref().and_then(|text| AccountId::parse(text).ok());
    if confirmed.is_none() || confirmed.as_ref() != account_id {
        return Err(Refusal::ConfirmationMismatch { account: account.to_owned() });
    }
    Ok(ask)
}

/// Whether it is the account's turn.
pub(super) fn turn(busy: bool, locked: bool, wait: Option<Wait>) -> Result<(), Refusal> {
    if busy {
        return Err(Refusal::InProgress);
    }
    if locked {
        return Err(Refusal::Locked);
    }
    wait.map_or(Ok(()), |wait| Err(Refusal::Cooldown(wait)))
}

/// How much would be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) red: u64,
    pub(super) grey: u64,
    pub(super) other: u64,
}

/// Whether it is known how much would be cleared, and not too much. `denied` is what upstream's clock
/// has against it, which is known only now.
pub(super) fn extent(
    read: Result<Extent, String>,
    denied: Option<Wait>,
    max_unanswered: u64,
    expected: Option<u64>,
) -> Result<Extent, Refusal> {
    let extent = read.map_err(Refusal::IncompleteReading)?;
    if let Some(wait) = denied {
        return Err(Refusal::Cooldown(wait));
    }
    let Extent { red, grey, other } = extent;
    let total = red.saturating_add(grey).saturating_add(other);
    let allowed = max_unanswered.max(expected.unwrap_or(0));
    if total > allowed {
        return Err(Refusal::TooMany { total, red, grey, other, allowed });
    }
    Ok(extent)
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

fn parse(body: &[u8]) -> Result<Ask, Refusal> {
    let invalid = |what: String| Refusal::InvalidBody(what);
    // A struct may be written as an array, which no documentation says.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(invalid("the body is no JSON object".to_owned()));
    }
    let ask: Ask = serde_json::from_slice(body).map_err(|error| {
        // Its own words may repeat what was sent, a token in the wrong place included.
        let what =
            if error.is_data() { "has a key or a value that is not known" } else { "is not JSON" };
        invalid(format!("the body {what}, at line {} column {}", error.line(), error.column()))
    })?;
    let reason = ask.reason.as_deref().unwrap_or_default();
    if reason.chars().nth(REASON_MAX).is_some() {
        return Err(invalid(format!("reason is longer than {REASON_MAX} characters")));
    }
    Ok(ask)
}

fn cooldown(wait: &Wait) -> String {
    let (since, left) = (text::timestamp(wait.since), text::duration_up(wait.left));
    let what = format!("the last reset of this account was asked for at {since}");
    match wait.odd {
        None => format!("{what}; the next may follow in {left}"),
        Some(Odd::BeforeTheReset) => format!(
            "{what}, which is later than now by the clock of this machine: one of the two is wrong. \
             Correct the clock; in any case the next may follow in {left} of the exporter running"
        ),
        Some(Odd::UpstreamDenies) => format!(
            "{what}; by the clock of this machine the cooldown is over, by that of Wazzup24 it is \
             not. Correct the clock; the next may follow in {left}"
        ),
    }
}

impl Refusal {
    pub(super) fn code(&self) -> RefusalCode {
        match self {
            Self::UnsupportedMediaType => RefusalCode::UnsupportedMediaType,
            Self::BodyTooLarge => RefusalCode::BodyTooLarge,
            Self::InvalidBody(_) => RefusalCode::InvalidBody,
            Self::ConfirmationMismatch { .. } => RefusalCode::ConfirmationMismatch,
            Self::InProgress => RefusalCode::ResetInProgress,
            Self::Locked => RefusalCode::Locked,
            Self::Cooldown(_) => RefusalCode::Cooldown,
            Self::IncompleteReading(_) => RefusalCode::IncompleteReading,
            Self::TooMany { .. } => RefusalCode::TooManyUnanswered,
            Self::Interrupted(_) => RefusalCode::Interrupted,
            Self::Storage(_) => RefusalCode::StorageFailed,
        }
    }

    /// How long to wait before asking again, where waiting helps.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Cooldown(wait) => Some(wait.left),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
