//! The body of an order to reset: no refusal repeats what was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::fuzzing::reset_refusal;

fuzz_target!(|body: &[u8]| {
    let marked = [br#"{"confirm":"do-not-repeat-this","#, body].concat();
    for refusal in [reset_refusal(body), reset_refusal(&marked)].into_iter().flatten() {
        assert!(!refusal.contains("do-not-repeat-this"), "{refusal}");
    }
});
