//! The claims in a token, which are read and believed in nothing that matters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::fuzzing::account_named_in;

fuzz_target!(|token: &str| {
    if let Some(account) = account_named_in(token) {
        assert!(!account.contains(['\n', '\r']) && account.chars().count() <= 64, "{account:?}");
    }
});
