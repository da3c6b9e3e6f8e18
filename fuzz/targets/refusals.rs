//! Refusals: status, `Retry-After`, `Date` and the words of the body. What is shown is one line, and bounded.
#![no_main]

use http::header::{CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use wazzup_exporter::transport::refusal;

fuzz_target!(|input: (u16, Vec<u8>, Vec<u8>, Vec<u8>, Option<Vec<u8>>)| {
    let (status, retry_after, date, kind, body) = input;
    let Ok(status) = StatusCode::from_u16(400 + status % 200) else { return };
    let mut headers = HeaderMap::new();
    for (name, value) in [(RETRY_AFTER, retry_after), (DATE, date), (CONTENT_TYPE, kind)] {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert(name, value);
        }
    }
    let text = refusal(status, &headers, body.as_deref(), str::to_owned).to_string();
    assert!(!text.contains(['\n', '\r', '\0']) && text.len() < 2_000, "{text:?}");
});
