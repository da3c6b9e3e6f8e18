//! The error for a response with another status than the expected one.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use url::Url;

use super::error::{Error, HTML_PAGE, OTHER_BODY, UNREAD_BODY};
use super::json::{Object as JsonObject, legible};
use crate::text;

/// Longest text of upstream that is repeated, in characters.
const DETAIL_MAX: usize = 200;
/// Longest pause that upstream may ask for (docs/upstream.md, "Limits and refusals").
const RETRY_AFTER_MAX: Duration = Duration::from_hours(6);

/// What an answer with another status says, and its `body` unless that could not be read to its end; `mask` takes
/// out secrets that it may repeat.
pub fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: Option<&[u8]>,
    mask: impl Fn(&str) -> String,
) -> Error {
    let (code, detail) = body.map(|body| parse_error(body, &mask)).unwrap_or_default();
    let detail = match (headers.get(LOCATION).filter(|_| status.is_redirection()), body) {
        (Some(target), _) => {
            let target = parse_target(target.as_bytes(), mask);
            format!("redirected to {target}, which is not followed; check base_url")
        }
        (None, None) => UNREAD_BODY.to_owned(),
        (None, Some(body)) if is_html(headers, body) => HTML_PAGE.to_owned(),
        (None, Some(body)) if !is_documented(body) => OTHER_BODY.to_owned(),
        (None, Some(_)) => detail,
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| parse_retry_after(text, time_of(headers)));
    Error::Status { status: status.as_u16(), code, detail, retry_after }
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared =
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    declared || body.trim_ascii_start().starts_with(b"<")
}

/// Whether a body has a form that refusals of the API have: nothing, or an object.
fn is_documented(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.is_empty() || JsonObject::parse(&legible(body)).is_some()
}

/// The code in a refusal's body, in small letters without separators, because its spelling varies; and
/// what the body says, for people. Empty where it says nothing that the API documents.
///
/// `mask` takes out secrets that upstream repeats. It sees the text after unescaping, which could
/// hide them, and before the cut, which could leave half of one.
fn parse_error(body: &[u8], mask: impl Fn(&str) -> String) -> (Option<String>, String) {
    let text = legible(body);
    let Some(body) = JsonObject::parse(&text) else { return Default::default() };
    let nested = body.object("error");
    let inner = nested.as_ref();
    let word =
        |names: &[&str]| inner.and_then(|inner| inner.text(names)).or_else(|| body.text(names));
    let code = word(&["code"]).filter(|code| code.parse::<u32>().is_err());
    let code = code.or_else(|| body.text(&["error"])).or_else(|| word(&["code"]));
    let words = word(&["detail", "description", "error_description", "message", "title"]);
    let [code, words] = [code, words].map(|part| part.map(|part| mask(&part)));
    let parts = [code.as_ref(), words.as_ref()].into_iter().flatten();
    let parts: Vec<String> = parts.map(|part| text::one_line(part, DETAIL_MAX)).collect();
    let plain = |code: String| {
        let letters = code.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    (code.map(plain), parts.join(": "))
}

/// Where a redirect leads, without the query and fragment, which may repeat anything.
fn parse_target(location: &[u8], mask: impl Fn(&str) -> String) -> String {
    match str::from_utf8(location).ok().and_then(|text| text.parse::<Url>().ok()) {
        Some(url) => text::one_line(&mask(&url.origin().ascii_serialization()), DETAIL_MAX),
        None => "another place".to_owned(),
    }
}

/// Upstream's own time where the response has it, because our clock may differ.
fn time_of(headers: &HeaderMap) -> SystemTime {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now)
}

/// How long a `Retry-After` header asks to wait, in seconds or until an HTTP date; bounded.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit()) {
        // More digits than there is room for are a long time, too.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()
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
        assert_eq!(parse_error(v2.as_bytes(), str::to_owned).1, "VALIDATION_FAILED: no such id");
        let v3 = r#"{"error":"INVALID_APIKEY","description":"bad key","data":{}}"#;
        assert_eq!(parse_error(v3.as_bytes(), str::to_owned).1, "INVALID_APIKEY: bad key");
        assert_eq!(parse_error(b"<html>", str::to_owned), (None, String::new()));
        for (body, code, words) in [
            (
                r#"{"error":{"code":"NO_SUCH_ACCOUNT","description":"account not found"}}"#,
                Some("nosuchaccount"),
                "NO_SUCH_ACCOUNT: account not found",
            ),
            (r#"{"code":400,"message":"bad id"}"#, Some("400"), "400: bad id"),
            (
                r#"{"code":null,"error":"invalid_grant","data":[]}"#,
                Some("invalidgrant"),
                "invalid_grant",
            ),
            (r#"{"code":[],"detail":7,"title":"cut \ud83d"}"#, None, "7"),
        ] {
            let expected = (code.map(str::to_owned), words.to_owned());
            assert_eq!(parse_error(body.as_bytes(), str::to_owned), expected, "{body}");
        }
    }

    #[test]
    fn a_page_of_something_in_front_is_not_of_the_api() {
        let html =
            HeaderMap::from_iter([(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap())]);
        for (headers, body) in [(HeaderMap::new(), " <!doctype html>"), (html, "Forbidden")] {
            let error =
                refusal(StatusCode::NOT_FOUND, &headers, Some(body.as_bytes()), str::to_owned);
            assert!(!error.is_of_the_api() && error.to_string().contains("HTML"), "{error}");
        }
    }

    #[test]
    fn a_404_of_the_api_means_an_unknown_user_also_without_a_body() {
        for (body, unknown, of_the_api) in [
            (Some(""), true, false),
            (Some(" {} "), true, false),
            (Some(r#"{"code":"NOT_FOUND"}"#), true, true),
            (Some("404 page not found"), false, false),
            (Some("<html></html>"), false, false),
            (Some("[]"), false, false),
            // What was cut off may have said anything.
            (None, false, false),
        ] {
            let bytes = body.map(str::as_bytes);
            let answered = |status| refusal(status, &HeaderMap::new(), bytes, str::to_owned);
            let error = answered(StatusCode::NOT_FOUND);
            assert_eq!(
                (error.is_unknown_user(), error.is_of_the_api()),
                (unknown, of_the_api),
                "{body:?}"
            );
            assert!(!answered(StatusCode::GONE).is_unknown_user(), "{body:?}");
        }
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
            let error = parse_error(body.as_bytes(), str::to_owned).1;
            assert!(error.starts_with(code), "{error}");
        }
    }

    #[test]
    fn secrets_are_masked_however_they_are_escaped_and_before_the_cut() {
        let mask = |text: &str| text.replace("s3cr/et", "<secret>");
        let escaped = br#"{"detail":"bad s3cr\/et, \u00733cr/et"}"#;
        assert_eq!(parse_error(escaped, mask).1, "bad <secret>, <secret>");
        let long = format!(r#"{{"detail":"{}s3cr/et"}}"#, "x".repeat(DETAIL_MAX - 3));
        assert!(!parse_error(long.as_bytes(), mask).1.contains("s3"));
    }

    #[test]
    fn of_a_redirect_only_the_host_is_shown() {
        let target = |location: &str| {
            parse_target(location.as_bytes(), |text: &str| text::mask(text, "S3cret"))
        };
        assert_eq!(target("https://host:8/path?token=S3cret#f"), "https://host:8");
        assert_eq!(target("https://S3cret.host/"), "https://<secret>.host");
        assert_eq!(target("/v2/?token=S3cret"), "another place");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let parse = |text| parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(parse("300"), Some(300));
        assert_eq!(parse(" 0 "), Some(0));
        assert_eq!(parse("99999999999"), Some(6 * 3600));
        assert_eq!(parse("99999999999999999999999"), Some(6 * 3600));
        assert_eq!(parse("3600"), Some(3600));
        assert_eq!(parse("Sun, 09 Sep 2001 01:47:10 GMT"), Some(30));
        assert_eq!(parse("Sun, 09 Sep 2001 01:46:30 GMT"), Some(0));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-5"), None);
    }

    #[test]
    fn a_date_is_read_against_the_clock_of_upstream() {
        let date = |text: &str| text.parse().expect("a header");
        let headers = HeaderMap::from_iter([
            (DATE, date("Sun, 09 Sep 2001 01:46:40 GMT")),
            (RETRY_AFTER, date("Sun, 09 Sep 2001 01:47:10 GMT")),
        ]);
        let refused = refusal(StatusCode::TOO_MANY_REQUESTS, &headers, Some(b""), str::to_owned);
        let Error::Status { retry_after, .. } = refused else { panic!("{refused}") };
        assert_eq!(retry_after, Some(Duration::from_secs(30)));
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_parser(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_error(&body, str::to_owned);
        }
    }
}
