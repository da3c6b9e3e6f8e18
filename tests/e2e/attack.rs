//! `make attack` in small: every wave is withstood. How much it costs is measured elsewhere.

use std::path::Path;
use std::process::Command;

use super::support::process::run;

#[test]
fn hostile_clients_keep_nobody_from_scraping() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/attack.py");
    let mut command = Command::new("python3");
    command.arg(script).env("EXPORTER", env!("CARGO_BIN_EXE_wazzup-exporter"));
    let settings =
        [("PRINT", "1"), ("ACCOUNTS", "2"), ("USERS", "10"), ("INTERVAL", "1s"), ("SECONDS", "1")];
    for (name, value) in settings {
        command.env(format!("ATTACK_{name}"), value);
    }
    let ran = run("python3", &mut command, b"");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}
