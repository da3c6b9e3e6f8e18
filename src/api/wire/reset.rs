//! The response to a reset.

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::transport::Malformed;

/// `{"data":{"account_id":"78231464","cleared":true},"meta":{"timestamp":1759499164}}`
#[derive(Deserialize)]
struct ResetEnvelope {
    data: ClearResponse,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// What upstream says of a reset.
#[derive(Debug, Clone, Deserialize)]
pub struct ClearResponse {
    /// Whose counters it is about, as upstream writes it; digits where it is a number.
    #[serde(deserialize_with = "digits")]
    pub account_id: String,
    /// Whether they are cleared.
    pub cleared: bool,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// A text, or a number written as the eight digits of an account.
fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let digits = match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => number.as_u64().map(|number| format!("{number:08}")),
        _ => None,
    };
    digits.ok_or_else(|| D::Error::custom("account_id is not the number of an account"))
}

/// Reads the response to a reset.
///
/// # Errors
/// Everything that is not JSON of the documented shape.
pub fn parse_reset(body: &[u8]) -> Result<ClearResponse, Malformed> {
    let envelope: ResetEnvelope = serde_json::from_slice(body)?;
    Ok(envelope.data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_whole_answer_says_that_an_account_is_cleared() {
        let body = r#"{"data":{"account_id":"78231464","cleared":true},"meta":{"timestamp":1}}"#;
        let response = parse_reset(body.as_bytes()).unwrap();
        assert_eq!((response.account_id.as_str(), response.cleared), ("78231464", true));
        for (number, digits) in [("78231464", "78231464"), ("1234567", "01234567")] {
            let body = format!(r#"{{"data":{{"account_id":{number},"cleared":true}}}}"#);
            let response = parse_reset(body.as_bytes()).unwrap();
            assert_eq!((response.account_id.as_str(), response.cleared), (digits, true));
        }
        for other in [
            "",
            "{}",
            r#"{"data":{}}"#,
            r#"{"data":{"cleared":true}}"#,
            r#"{"data":{"account_id":"78231464"}}"#,
            r#"{"data":{"account_id":"78231464","cleared":1}}"#,
            r#"{"data":{"account_id":"78231464","cleared":"true"}}"#,
            r#"{"data":{"account_id":78231464.5,"cleared":true}}"#,
            r#"{"data":{"account_id":["78231464"],"cleared":true}}"#,
            r#"{"data":["78231464",true]}"#,
            r#"{"account_id":"78231464","cleared":true}"#,
            &body[..body.len() - 1],
        ] {
            assert!(parse_reset(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_parser(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_reset(&body);
        }
    }
}
