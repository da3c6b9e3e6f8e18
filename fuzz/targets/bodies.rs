//! Every body of Wazzup24's API. What is read of a counter is what stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::account::Api;
use wazzup_exporter::api::{
    parse_channels, parse_counter, parse_reset, parse_roles, parse_users, parse_webhooks,
};

fuzz_target!(|body: &[u8]| {
    for api in [Api::V2, Api::V3] {
        if let Ok(reading) = parse_counter(api, body) {
            let digits = reading.count.to_string();
            let text = String::from_utf8_lossy(body);
            // A number that was made up would be in no body; exponents and fractions are refused.
            assert!(text.contains(&digits), "{digits} is not in {text}");
        }
    }
    if let Ok(users) = parse_users(body) {
        assert!(users.list.len() <= users.rows);
    }
    if let Ok(channels) = parse_channels(body) {
        assert!(channels.list.len() <= channels.rows);
    }
    let _ = (parse_roles(body), parse_webhooks(body), parse_reset(body));
});
