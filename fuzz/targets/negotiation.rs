//! `Accept` and `Accept-Encoding`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::exposition::{accepts_gzip, negotiate};

fuzz_target!(|header: &str| {
    let _ = (negotiate(header), accepts_gzip(header));
    // Space and case say nothing.
    let spaced = header.replace(',', " , ").to_ascii_uppercase();
    assert_eq!(accepts_gzip(header), accepts_gzip(&spaced), "{header:?}");
});
