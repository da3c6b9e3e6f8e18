//! The JSON of the API, and nothing that is not in it.
//!
//! Shapes: docs/upstream.md. Parsers are functions over bytes: they see whatever a network can
//! send, and a body that is not exactly a counter must never become a number.

#[cfg(test)]
mod fixtures;
mod lists;

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

pub use self::lists::{
    ListedUser, UserPage, parse_channels, parse_roles, parse_users, parse_webhooks,
};

use super::error::Malformed;
use crate::account::Api;
use crate::counter::{COUNT_MAX, CounterType, Reading};

/// Longest text of upstream that is repeated, in characters.
const DETAIL_MAX: usize = 200;
/// Longest body that is shown as it came, in characters.
const BODY_SHOWN_MAX: usize = 2000;
/// Longest pause that upstream may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// `{"data":{"counter":5,"type":"red"},"meta":{"timestamp":1759499127}}`
#[derive(Deserialize)]
struct CounterAnswer {
    data: CounterData,
    meta: Option<Value>,
    /// A struct without a flattened rest may also be written as an array.
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// `{"counterV2":7,"type":"red","lastMsgDateTime":"2023-05-25T12:30:46.000Z"}`
#[derive(Deserialize)]
struct CounterAnswerV3 {
    #[serde(rename = "counterV2")]
    counter: Value,
    #[serde(rename = "type", deserialize_with = "Option::deserialize")]
    kind: Option<String>,
    #[serde(rename = "lastMsgDateTime")]
    last_message: Option<Value>,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

#[derive(Deserialize)]
struct CounterData {
    counter: Value,
    /// A missing type is no answer to rely on; `null` has been seen, and is an unknown type.
    #[serde(rename = "type", deserialize_with = "Option::deserialize")]
    kind: Option<String>,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// `{"data":{"account_id":"78231464","cleared":true},"meta":{"timestamp":1759499164}}`
#[derive(Deserialize)]
struct ResetEnvelope {
    data: ResetAnswer,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// What upstream says of a reset.
#[derive(Debug, Clone, Deserialize)]
pub struct ResetAnswer {
    /// Whose counters it is about, as upstream writes it.
    pub account_id: String,
    /// Whether they are cleared.
    pub cleared: bool,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// The bodies of refusals, in the two spellings that are known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    error: Option<String>,
    detail: Option<String>,
    description: Option<String>,
    title: Option<String>,
}

/// Reads the answer to a request for a user's counter.
///
/// # Errors
/// Everything that is not JSON of the documented shape with a whole number from 0 to
/// [`COUNT_MAX`].
pub fn parse_counter(api: Api, body: &[u8]) -> Result<Reading, Malformed> {
    match api {
        Api::V2 => {
            let answer: CounterAnswer = serde_json::from_slice(body)?;
            let server_time = answer.meta.as_ref().and_then(|meta| meta.get("timestamp")?.as_i64());
            let (count, kind) = figures(&answer.data.counter, answer.data.kind.as_deref())?;
            Ok(Reading { count, kind, server_time, last_message: None })
        }
        Api::V3 => {
            let answer: CounterAnswerV3 = serde_json::from_slice(body)?;
            let last_message =
                answer.last_message.as_ref().and_then(|value| moment(value.as_str()?));
            let (count, kind) = figures(&answer.counter, answer.kind.as_deref())?;
            Ok(Reading { count, kind, server_time: None, last_message })
        }
    }
}

/// Reads the answer to a reset.
///
/// # Errors
/// Everything that is not JSON of the documented shape.
pub fn parse_reset(body: &[u8]) -> Result<ResetAnswer, Malformed> {
    let envelope: ResetEnvelope = serde_json::from_slice(body)?;
    Ok(envelope.data)
}

fn figures(counter: &Value, kind: Option<&str>) -> Result<(u64, CounterType), Malformed> {
    let count = counter.as_u64().filter(|count| *count <= COUNT_MAX);
    let kind = match kind {
        Some("red") => CounterType::Red,
        Some("grey") => CounterType::Grey,
        _ => CounterType::Other,
    };
    Ok((count.ok_or(Malformed::NotACount)?, kind))
}

/// A time as `2023-05-25T12:30:46.000Z`, since 1970.
fn moment(text: &str) -> Option<Duration> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// What a refusal's body says, for people; empty where it says nothing that the API documents.
///
/// `mask` takes out secrets that upstream repeats. It sees the text after unescaping, which could
/// hide them, and before the cut, which could leave half of one.
pub(super) fn parse_problem(body: &[u8], mask: impl Fn(&str) -> String) -> String {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let code = problem.code.or(problem.error);
    let words = problem.detail.or(problem.description).or(problem.title);
    let parts = [code, words].into_iter().flatten();
    let parts: Vec<String> = parts.map(|text| clean(&mask(&text))).collect();
    parts.join(": ")
}

/// Where a redirect leads, without the query and fragment, which may repeat anything.
pub(super) fn parse_target(location: &[u8]) -> String {
    match str::from_utf8(location).ok().and_then(|text| text.parse::<Url>().ok()) {
        Some(url) => clean(&url.origin().ascii_serialization()),
        None => "another place".to_owned(),
    }
}

/// How long a `Retry-After` header asks to wait, in seconds or until an HTTP date; bounded.
pub(super) fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Makes a foreign body fit for a terminal: no control characters, not longer than a screen.
pub(super) fn printable(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let shown: String = letters.take(BODY_SHOWN_MAX).collect();
    if text.chars().nth(BODY_SHOWN_MAX).is_some() { shown + "…" } else { shown }
}

/// Makes foreign text fit for a log line and a page: one line, no control characters, not long.
pub(super) fn clean(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut cleaned: String = letters.take(DETAIL_MAX).collect();
    if text.chars().nth(DETAIL_MAX).is_some() {
        cleaned.push('…');
    }
    cleaned.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORDED: &str = r#"{"data":{"counter":5,"type":"red"},"meta":{"timestamp":1759499127}}"#;

    #[test]
    fn reads_the_documented_answer() {
        let reading = parse_counter(Api::V2, RECORDED.as_bytes()).unwrap();
        let expected = Reading {
            count: 5,
            kind: CounterType::Red,
            server_time: Some(1_759_499_127),
            last_message: None,
        };
        assert_eq!(reading, expected);
    }

    #[test]
    fn words_never_documented_are_an_unknown_type() {
        for kind in [r#""blue""#, "null", r#""""#, r#""RED""#] {
            let body = format!(r#"{{"data":{{"counter":5,"type":{kind}}},"extra":[1]}}"#);
            let expected = Reading {
                count: 5,
                kind: CounterType::Other,
                server_time: None,
                last_message: None,
            };
            assert_eq!(parse_counter(Api::V2, body.as_bytes()).unwrap(), expected, "{kind}");
        }
    }

    #[test]
    fn impossible_counters_never_become_numbers() {
        for counter in [
            "-1",
            "0.5",
            "5.0",
            "9007199254740993",
            "1e300",
            "\"5\"",
            "null",
            "true",
            "[5]",
            "1e999",
        ] {
            let body = format!(r#"{{"data":{{"counter":{counter},"type":"red"}}}}"#);
            assert!(parse_counter(Api::V2, body.as_bytes()).is_err(), "{counter}");
        }
        let body = r#"{"data":{"counter":9007199254740992,"type":"red"}}"#;
        assert_eq!(parse_counter(Api::V2, body.as_bytes()).unwrap().count, COUNT_MAX);
    }

    #[test]
    fn other_shapes_are_malformed() {
        for body in [
            "",
            "{}",
            "null",
            "<html></html>",
            r#"{"counter":5,"type":"red"}"#,
            r#"{"data":{"type":"red"}}"#,
            r#"{"data":{"counter":0}}"#,
            r#"{"data":{"counter":5,"type":7}}"#,
            r#"{"data":{"counter":5,"counter":0,"type":"red"}}"#,
            r#"{"data":[{"counter":5,"type":"red"}]}"#,
            r#"{"data":[5,"red"]}"#,
            r#"[{"counter":5,"type":"red"},{}]"#,
            &RECORDED[..RECORDED.len() - 1],
            &format!("{RECORDED}{RECORDED}"),
        ] {
            assert!(parse_counter(Api::V2, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_strange_meta_costs_only_the_clock() {
        for meta in ["[]", "7", "null", r#"{"timestamp":"soon"}"#] {
            let body = format!(r#"{{"data":{{"counter":5,"type":"grey"}},"meta":{meta}}}"#);
            assert_eq!(
                parse_counter(Api::V2, body.as_bytes()).unwrap().server_time,
                None,
                "{meta}"
            );
        }
    }

    #[test]
    fn only_a_whole_answer_says_that_an_account_is_cleared() {
        let body = r#"{"data":{"account_id":"78231464","cleared":true},"meta":{"timestamp":1}}"#;
        let answer = parse_reset(body.as_bytes()).unwrap();
        assert_eq!((answer.account_id.as_str(), answer.cleared), ("78231464", true));
        for other in [
            "",
            "{}",
            r#"{"data":{}}"#,
            r#"{"data":{"cleared":true}}"#,
            r#"{"data":{"account_id":"78231464"}}"#,
            r#"{"data":{"account_id":"78231464","cleared":1}}"#,
            r#"{"data":{"account_id":"78231464","cleared":"true"}}"#,
            r#"{"data":{"account_id":78231464,"cleared":true}}"#,
            r#"{"data":["78231464",true]}"#,
            r#"{"account_id":"78231464","cleared":true}"#,
            &body[..body.len() - 1],
        ] {
            assert!(parse_reset(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn refusals_are_explained_in_either_spelling() {
        let v2 =
            r#"{"code":"VALIDATION_FAILED","title":"t","detail":"no\nsuch\u0000id","errors":[]}"#;
        assert_eq!(parse_problem(v2.as_bytes(), str::to_owned), "VALIDATION_FAILED: no such id");
        let v3 = r#"{"error":"INVALID_APIKEY","description":"bad key","data":{}}"#;
        assert_eq!(parse_problem(v3.as_bytes(), str::to_owned), "INVALID_APIKEY: bad key");
        assert_eq!(parse_problem(b"<html>", str::to_owned), "");
        assert_eq!(clean(&"x".repeat(300)).chars().count(), DETAIL_MAX + 1);
    }

    #[test]
    fn secrets_are_masked_however_they_are_escaped_and_before_the_cut() {
        let mask = |text: &str| text.replace("s3cr/et", "<secret>");
        let escaped = br#"{"detail":"bad s3cr\/et, \u00733cr/et"}"#;
        assert_eq!(parse_problem(escaped, mask), "bad <secret>, <secret>");
        let long = format!(r#"{{"detail":"{}s3cr/et"}}"#, "x".repeat(DETAIL_MAX - 3));
        assert!(!parse_problem(long.as_bytes(), mask).contains("s3"));
    }

    #[test]
    fn of_a_redirect_only_the_host_is_told() {
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
        fn no_body_breaks_the_parsers(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_counter(Api::V2, &body);
            let _ = parse_problem(&body, str::to_owned);
            let _ = parse_reset(&body);
        }

        #[test]
        fn no_cut_of_a_good_answer_is_a_counter(length in 0..RECORDED.len()) {
            prop_assert!(parse_counter(Api::V2, &RECORDED.as_bytes()[..length]).is_err());
        }
    }
}
