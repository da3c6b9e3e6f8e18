//! The web configuration, which names other files: those of an empty folder, and whatever the input finds.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use wazzup_exporter::web_config;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|bytes: &[u8]| {
    let file = FOLDER.path().join("web.yml");
    std::fs::write(&file, bytes).unwrap();
    if let Err(error) = web_config::load(&file) {
        assert!(!error.problems.is_empty());
    }
});
