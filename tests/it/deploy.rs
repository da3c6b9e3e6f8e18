//! What is shipped for systemd fits the program, and systemd has nothing to say about it.

use std::path::Path;
use std::process::Command;

use super::cli::{run, text};

const UNITS: [&str; 2] = ["wazzup-exporter.service", "wazzup-exporter.socket"];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_environment_file_has_variables_that_exist() {
    let help = run(&["--help"]);
    let help = text(&help.stdout);
    let environment = file("wazzup-exporter.env");
    let mut variables = 0;
    for line in environment.lines().chain(file(UNITS[1]).lines()) {
        let line = line.trim_start_matches(['#', ' ']);
        let Some((name, _)) = line.split_once('=').filter(|_| line.starts_with("WAZZUP_")) else {
            continue;
        };
        variables += 1;
        assert!(help.contains(&format!("[env: {name}]")), "{name}");
    }
    assert!(variables > 5, "{environment}");
    let flags = file(UNITS[0]);
    let flags = flags.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    for flag in flags.split(' ').filter_map(|word| word.strip_prefix("--")) {
        let (flag, _) = flag.split_once('=').unwrap();
        assert!(help.contains(&format!("--{flag} ")), "{flag}");
    }
}

#[test]
fn systemd_takes_the_units_and_finds_them_guarded() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        // systemd looks whether the program is there.
        let start = format!("ExecStart={} --", env!("CARGO_BIN_EXE_wazzup-exporter"));
        let unit = file(name).replace("ExecStart=wazzup-exporter --", &start);
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    let units = UNITS.map(|name| folder.path().join(name));
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).args(if arguments[0] == "verify" {
            &units[..]
        } else {
            &units[..1]
        });
        command.output()
    };
    let verified = match analyze(&["verify", "--man=no"]) {
        Ok(verified) => verified,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("not checked: systemd-analyze, of Debian's package systemd, is not installed");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let output = format!("{}{}", text(&verified.stdout), text(&verified.stderr));
    assert!(verified.status.success() && output.is_empty(), "{output}");
    // In tenths; 100 is not guarded at all.
    let judged = analyze(&["security", "--offline=true", "--threshold=14"]).unwrap();
    assert!(judged.status.success(), "{}{}", text(&judged.stdout), text(&judged.stderr));
}
