//! The response to a reset.

use serde_json::value::RawValue;

use crate::transport::{JsonObject, Malformed};

/// What upstream says of a reset.
#[derive(Debug, Clone)]
pub struct ClearResponse {
    /// Whose counters it is about, as upstream writes it; digits where it is a number.
    pub account_id: String,
    /// Whether they are cleared.
    pub cleared: bool,
}

/// Reads the response to a reset:
/// `{"data":{"account_id":"78231464","cleared":true},"meta":{"timestamp":1759499164}}`.
///
/// # Errors
/// Everything that is not JSON of the documented shape.
pub fn parse_reset(body: &[u8]) -> Result<ClearResponse, Malformed> {
    let whole: JsonObject<'_> = serde_json::from_slice(body)?;
    let data = whole.object("data").ok_or(Malformed::Missing("data"))?;
    let value = |name| data.value(&[name]).map(RawValue::get).ok_or(Malformed::Missing(name));
    let account_id = value("account_id")?;
    let account_id = match account_id.parse::<u64>() {
        // The eight digits of an account.
        Ok(number) => format!("{number:08}"),
        Err(_) => serde_json::from_str(account_id)?,
    };
    let cleared = serde_json::from_str(value("cleared")?)?;
    Ok(ClearResponse { account_id, cleared })
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
