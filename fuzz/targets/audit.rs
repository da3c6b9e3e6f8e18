//! The record of resets, of which lines may be broken: those that are not are read, and printed as they were.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::reset::{AuditLine, each_line};

fuzz_target!(|log: &[u8]| {
    let mut lines: Vec<AuditLine> = Vec::new();
    each_line(log, |line| lines.push(line)).unwrap();
    let mut written = Vec::new();
    for line in &lines {
        serde_json::to_writer(&mut written, line).unwrap();
        written.push(b'\n');
    }
    let mut again = 0;
    each_line(&*written, |_| again += 1).unwrap();
    assert_eq!(again, lines.len());
});
