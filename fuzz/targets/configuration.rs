//! The configuration: a problem has a place, and no secret of the file is in the text of any.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::config;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = config::parse(bytes, Path::new("config.yaml")) {
        assert!(!error.problems.is_empty());
        // To YAML a carriage return alone ends a line as well.
        let lines = bytes.iter().filter(|byte| b"\r\n".contains(byte)).count() as u32 + 2;
        for problem in &error.problems {
            let inside = problem.spot.at.is_none_or(|(line, _)| (1..=lines).contains(&line));
            assert!(inside, "{problem:?}");
        }
    }
});
