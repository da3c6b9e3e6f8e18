//! The error for a response with another status than the expected one.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use url::Url;

use super::error::Error;
use crate::text;

/// Longest text of upstream that is repeated, in characters.
const DETAIL_MAX: usize = 200;
/// Longest pause that upstream may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// The bodies of refusals, in the two spellings that are known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: Option<String>,
    error: Option<String>,
    detail: Option<String>,
    description: Option<String>,
    title: Option<String>,
}

/// What a response with another status says; `mask` takes out secrets that it may repeat.
pub fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    mask: impl Fn(&str) -> String,
) -> Error {
    let detail = match headers.get(LOCATION).filter(|_| status.is_redirection()) {
        Some(target) => {
            let target = parse_target(target.as_bytes());
            format!("redirected to {target}, which is not followed; check base_url")
        }
        None => parse_error(body, mask),
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
    Error::Status { status: status.as_u16(), detail, retry_after }
}

/// The message in a refusal's body; empty where the body is not one that the API documents.
///
/// `mask` takes out secrets that upstream repeats. It sees the text after unescaping, which could
/// hide them, and before the cut, which could leave half of one.
fn parse_error(body: &[u8], mask: impl Fn(&str) -> String) -> String {
    let error: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let code = error.code.or(error.error);
    let words = error.detail.or(error.description).or(error.title);
    let parts = [code, words].into_iter().flatten();
    let parts: Vec<String> = parts.map(|part| text::one_line(&mask(&part), DETAIL_MAX)).collect();
    parts.join(": ")
}

/// Where a redirect leads, without the query and fragment, which may repeat anything.
fn parse_target(location: &[u8]) -> String {
    match str::from_utf8(location).ok().and_then(|text| text.parse::<Url>().ok()) {
        Some(url) => text::one_line(&url.origin().ascii_serialization(), DETAIL_MAX),
        None => "another place".to_owned(),
    }
}

/// How long a `Retry-After` header asks to wait, in seconds or until an HTTP date; bounded.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refusals_are_explained_in_either_spelling() {
        let v2 =
            r#"{"code":"VALIDATION_FAILED","title":"t","detail":"no\nsuch\u0000id","errors":[]}"#;
        assert_eq!(parse_error(v2.as_bytes(), str::to_owned), "VALIDATION_FAILED: no such id");
        let v3 = r#"{"error":"INVALID_APIKEY","description":"bad key","data":{}}"#;
        assert_eq!(parse_error(v3.as_bytes(), str::to_owned), "INVALID_APIKEY: bad key");
        assert_eq!(parse_error(b"<html>", str::to_owned), "");
    }

    #[test]
    fn recorded_refusals_are_understood() {
        // See tests/fixtures/README.md.
        for (body, code) in [
            (
                include_str!("../../tests/fixtures/v2-error-401.json"),
                "OAUTH_TOKEN_UNKNOWN_OR_REVOKED",
            ),
            (include_str!("../../tests/fixtures/v2-error-validation.json"), "VALIDATION_FAILED"),
            (include_str!("../../tests/fixtures/v3-error-401.json"), "INVALID_APIKEY"),
            (include_str!("../../tests/fixtures/error-429.json"), "TOO_MANY_REQUESTS"),
        ] {
            let error = parse_error(body.as_bytes(), str::to_owned);
            assert!(error.starts_with(code), "{error}");
        }
    }

    #[test]
    fn secrets_are_masked_however_they_are_escaped_and_before_the_cut() {
        let mask = |text: &str| text.replace("s3cr/et", "<secret>");
        let escaped = br#"{"detail":"bad s3cr\/et, \u00733cr/et"}"#;
        assert_eq!(parse_error(escaped, mask), "bad <secret>, <secret>");
        let long = format!(r#"{{"detail":"{}s3cr/et"}}"#, "x".repeat(DETAIL_MAX - 3));
        assert!(!parse_error(long.as_bytes(), mask).contains("s3"));
    }

    #[test]
    fn of_a_redirect_only_the_host_is_shown() {
        assert_eq!(parse_target(b"https://host:8/path?token=s3cret#f"), "https://host:8");
        assert_eq!(parse_target(b"/v2/?token=s3cret"), "another place");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let parse = |text| parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(parse("300"), Some(300));
        assert_eq!(parse(" 0 "), Some(0));
        assert_eq!(parse("99999999999"), Some(900));
        assert_eq!(parse("Sun, 09 Sep 2001 01:47:10 GMT"), Some(30));
        assert_eq!(parse("Sun, 09 Sep 2001 01:46:30 GMT"), Some(0));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-5"), None);
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_parser(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_error(&body, str::to_owned);
        }
    }
}
