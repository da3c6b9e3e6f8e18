//! The counter of one user. A body that is not exactly a counter must never become a number.

use std::ops::Range;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::account::Api;
use crate::counter::{COUNT_MAX, CounterType, Reading};
use crate::transport::{JsonObject, Malformed, legible};

/// Unix times that a server may have: seconds from 2015 to 2099. Milliseconds are none.
const SERVER_TIMES: Range<i64> = 1_420_070_400..4_102_444_800;

/// Reads the response to a request for a user's counter.
///
/// # Errors
/// Everything that is not JSON of the documented shape with a whole number from 0 to
/// [`COUNT_MAX`].
pub fn parse_counter(api: Api, body: &[u8]) -> Result<Reading, Malformed> {
    let text = legible(body);
    let whole: JsonObject<'_> = serde_json::from_str(&text)?;
    let error = whole.value(&["error"]).map(RawValue::get);
    if error.is_some_and(|error| !matches!(error, "false" | "0" | "\"\"" | "[]" | "{}")) {
        return Err(Malformed::WithError);
    }
    match api {
        // {"data":{"counter":5,"type":"red"},"meta":{"timestamp":1759499127}}
        Api::V2 => {
            let data = whole.object("data").ok_or(Malformed::Missing("data"))?;
            let (count, kind) = figures(&data, "counter")?;
            Ok(Reading { count, kind, server_time: time_in(&whole), last_message: None })
        }
        // {"counterV2":7,"type":"red","lastMsgDateTime":"2023-05-25T12:30:46.000Z"}
        Api::V3 => {
            let (count, kind) = figures(&whole, "counterV2")?;
            let last_message = whole.text(&["lastMsgDateTime"]).and_then(|text| moment(&text));
            Ok(Reading { count, kind, server_time: None, last_message })
        }
    }
}

/// The time of the server's clock that an answer of v2 carries, in unix seconds, if it is one.
pub(super) fn time_in(whole: &JsonObject<'_>) -> Option<i64> {
    let time = whole.object("meta")?.text(&["timestamp"])?.parse().ok();
    time.filter(|time| SERVER_TIMES.contains(time))
}

/// The counter and its type. A missing type is no answer to rely on; `null` has been seen, and is an
/// unknown type like every word that is not documented.
fn figures(fields: &JsonObject<'_>, counter: &str) -> Result<(u64, CounterType), Malformed> {
    let count = fields.value(&[counter]).and_then(|raw| raw.get().parse().ok());
    let count = count.filter(|count| *count <= COUNT_MAX).ok_or(Malformed::NotACount)?;
    let kind = fields.text_or_null("type").ok_or(Malformed::Missing("type"))?;
    let kind = match kind.map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("red") => CounterType::Red,
        Some("grey") => CounterType::Grey,
        _ => CounterType::Other,
    };
    Ok((count, kind))
}

/// A time as `2023-05-25T12:30:46.000Z`, since 1970.
fn moment(text: &str) -> Option<Duration> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    u64::try_from(millis).ok().map(Duration::from_millis)
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
        for kind in [r#""blue""#, "null", r#""""#] {
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
    fn types_are_read_in_either_case() {
        for (kind, expected) in
            [("RED", CounterType::Red), ("Red", CounterType::Red), ("GREY", CounterType::Grey)]
        {
            let body = RECORDED.replace("red", kind);
            assert_eq!(parse_counter(Api::V2, body.as_bytes()).unwrap().kind, expected, "{kind}");
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
            r#"{"data":{"counter":0,"type":"red"},"error":"TOO_MANY_REQUESTS"}"#,
            r#"{"data":{"counter":0,"type":"red"},"error":{"code":"INTERNAL"}}"#,
            &RECORDED[..RECORDED.len() - 1],
            &format!("{RECORDED}{RECORDED}"),
        ] {
            assert!(parse_counter(Api::V2, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_strange_meta_costs_only_the_clock() {
        // Milliseconds are no time of this century.
        let millis = r#"{"timestamp":1759499127000}"#;
        for meta in ["[]", "7", "null", r#"{"timestamp":"soon"}"#, millis] {
            let body = format!(r#"{{"data":{{"counter":5,"type":"grey"}},"meta":{meta}}}"#);
            assert_eq!(
                parse_counter(Api::V2, body.as_bytes()).unwrap().server_time,
                None,
                "{meta}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_parser(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_counter(Api::V2, &body);
        }

        #[test]
        fn no_cut_of_a_good_answer_is_a_counter(length in 0..RECORDED.len()) {
            prop_assert!(parse_counter(Api::V2, &RECORDED.as_bytes()[..length]).is_err());
        }
    }
}
