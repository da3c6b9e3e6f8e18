//! What is stored for the next process: tokens, trends and the time of the last reset, of an older program, of a newer one,
//! or broken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::fuzzing::{uses_last_reset, uses_saved_trends, uses_stored_tokens};

fuzz_target!(|bytes: &[u8]| {
    uses_stored_tokens(bytes);
    uses_saved_trends(bytes);
    uses_last_reset(bytes);
});
