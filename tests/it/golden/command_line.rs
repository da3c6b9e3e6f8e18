//! What the command line shows: help, version, and what it says of bad usage.

use super::{check, mask, outcome, program, section};

/// Bad usage of every kind.
const BAD: [&[&str]; 30] = [
    &["--no-such-flag"],
    &["no-such-command"],
    &["chek-config"],
    &["--conf.file=x"],
    &["--web.listen-address=nonsense"],
    &["--web.listen-address="],
    &["--web.admin-listen-address=nonsense"],
    &["--web.telemetry-path=metrics"],
    &["--web.telemetry-path=/-/ready"],
    &["--web.route-prefix=/a b"],
    &["--web.external-url=ftp://example.com/"],
    &["--web.external-url=https://u:p@example.com/"],
    &["--web.external-url=https://example.com/?x"],
    &["--web.external-url=https://example.com/%20/"],
    &["--web.config.file=/nonexistent/web.yml"],
    &["--web.enable-admin-api", "--web.admin-listen-address=:10118"],
    &["--config.file=/nonexistent/config.yaml"],
    &["--config.auto-reload-interval=1ms"],
    &["--log.level=loud"],
    &["--log.format=xml"],
    &["reset"],
    &["reset", "acme"],
    &["reset", "--history", "--dry-run"],
    &["reset", "acme", "--confirm=1", "--url=ftp://x"],
    &["login"],
    &["healthcheck", "--url=file:///etc/passwd"],
    &["healthcheck", "--url=http://127.0.0.1:9/-/healthy"],
    &["demo", "--speed=-1"],
    &["simulator", "--fault=explode"],
    &["simulator", "--users=3"],
];

const COMMANDS: [&str; 8] =
    ["demo", "check-config", "poll", "doctor", "login", "reset", "healthcheck", "simulator"];

fn printed(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{arguments:?}");
    mask(std::str::from_utf8(&output.stdout).unwrap(), &[])
}

#[test]
fn help() {
    check("command-line/help.txt", &printed(&["--help"]));
    check("command-line/help-short.txt", &printed(&["-h"]));
    for command in COMMANDS {
        check(&format!("command-line/help-{command}.txt"), &printed(&[command, "--help"]));
        assert!(printed(&["--help"]).contains(command));
    }
    check("command-line/version.txt", &printed(&["--version"]));
}

#[test]
fn bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let config = "accounts: [{name: acme, auth: {token: x}, users: [{id: '1'}]}]\n";
    std::fs::write(folder.path().join("config.yaml"), config).unwrap();
    let mut shown = String::new();
    for arguments in BAD {
        let output = program().args(arguments).current_dir(folder.path()).output().unwrap();
        section(&mut shown, &arguments.join(" "), &outcome(&output, &[]));
    }
    check("command-line/bad-usage.txt", &shown);
}
