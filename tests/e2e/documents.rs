//! What the documentation hands to other programs: the schema of the configuration for editors, and
//! queries for Prometheus.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wazzup_exporter::config;

use super::support::process::{promtool, run};

/// An account with these keys and a user.
fn account(keys: &str) -> String {
    format!("accounts: [{{name: acme, auth: {{token: x}}, users: [{{id: '1'}}], {keys}}}]")
}

/// A configuration with these keys beside an account.
fn beside(keys: &str) -> String {
    format!("{keys}\n{}", account(""))
}

const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// Configurations that work.
fn good() -> Vec<String> {
    let mut good = vec![EXAMPLE.to_owned(), account("")];
    good.extend(
        [
            "poll: {interval: 1m30s, timeout: 500ms, concurrency: 1024, stale_after: 168h}",
            "poll:\nexport:\naccount_files:\npartners:",
            "max_in_flight: 65536",
            "export: {user_names: false, channel_names: true, profile: minimal}",
        ]
        .map(beside),
    );
    good.extend(
        [
            "api: v3",
            "account_id: 7823-1464",
            "base_url: 'http://127.0.0.1:1/path'",
            "base_url: 'http://example.com', allow_insecure_http: true",
            "rate_limit: {requests: 1, per: 1s}",
            "tls: {insecure_skip_verify: true}, proxy_url: 'http://user:secret@proxy:3128'",
            "poll: {interval: 2h}",
            "labels: {region: north, _x: y}",
            "working_hours: {timezone: Asia/Almaty, days: 'mon-fri,sun', from: '22:00', to: '24:00'}",
            "discover_users: {enabled: true, include: ['id: 7.*'], exclude: [], max_users: 5}",
            "discover_users: {labels: [{match: 'x', set: {team: sales}}]}",
            "channels: {enabled: false, refresh_interval: 100ms}",
        ]
        .map(account),
    );
    good.push("accounts: [{name: a, auth: {token: x}, discover_users: {enabled: true}}]".into());
    good
}

/// Configurations that do not.
fn bad() -> Vec<String> {
    let mut bad: Vec<String> = [
        "{}",
        "[]",
        "accounts: [{name: a, users: [{id: '1'}]}]",
        "accounts: [{auth: {token: x}, users: [{id: '1'}]}]",
        "accounts: [{name: a, auth: {token: x}}]",
        "accounts: [{name: a, auth: {token: x}, users: []}]",
        "accounts: [{name: a, auth: {token: x}, discover_users: {enabled: false}}]",
        "accounts: [{name: a, auth: {}, users: [{id: '1'}]}]",
        "accounts: [{name: a, auth: {token: x, token_env: X}, users: [{id: '1'}]}]",
        "accounts: [{name: a, auth: {token: 'x y'}, users: [{id: '1'}]}]",
        "accounts: [{name: a, auth: {token_command: []}, users: [{id: '1'}]}]",
        "accounts: [{name: a, auth: {partner: main}, users: [{id: '1'}]}]",
        "accounts: [{name: ' a', auth: {token: x}, users: [{id: '1'}]}]",
        "accounts: [{name: a, auth: {token: x}, users: [{id: 1}]}]",
        "accounts: [{name: a, auth: {token: x}, users: [{name: Anna}]}]",
        "accounts: [{name: a, auth: {token: x}, users: [{id: '..'}]}]",
    ]
    .map(str::to_owned)
    .into();
    bad.extend(
        [
            "pol: {interval: 30s}",
            "poll: {interval: 30}",
            "poll: {interval: '-5s'}",
            "poll: {interval: 30 s}",
            "poll: {concurrency: 0}",
            "max_in_flight: 65537",
            "max_in_flight: '8'",
            "export: {user_names: 'yes'}",
            "export: {profile: tiny}",
            "partners: {main: {email: a@example.com}}",
            "partners: {main: {email: 'a:b', password_file: x}}",
            "account_files: accounts.yaml",
        ]
        .map(beside),
    );
    bad.extend(
        [
            "api: v1",
            "account_id: '123'",
            "account_id: 78231464",
            "base_url: example.com",
            "base_url: 'https://example.com/?x=1'",
            "base_url: 'https://user@example.com'",
            "rate_limit: {requests: 0}",
            "proxy_url: 'socks5://proxy:1080'",
            "tls: {verify: false}",
            "labels: {account: x}",
            "labels: {__x: y}",
            "labels: {a-b: c}",
            "labels: {a: 1}",
            "labels: {a: ''}",
            "working_hours: {timezone: Asia/Almaty, days: mon-fri, from: '09:00'}",
            "working_hours: {timezone: Asia/Almaty, days: mon-fri, from: '9:00', to: '18:00'}",
            "discover_users: {enabled: true, max_users: 0}",
            "discover_users: {labels: [{match: 'x'}]}",
            "channels: {enabled: 1}",
            "reset: {enabled: true}",
        ]
        .map(account),
    );
    bad
}

#[test]
fn the_schema_takes_what_the_program_takes() {
    let schema = include_str!("../../docs/config.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let (good, bad) = (good(), bad());
    let texts: Vec<&String> = good.iter().chain(&bad).collect();
    let documents: Vec<Value> =
        texts.iter().map(|text| serde_yaml::from_str(text).unwrap()).collect();
    let python = std::env::var("OPENMETRICS_PYTHON").unwrap_or_else(|_| {
        panic!(
            "OPENMETRICS_PYTHON must name a Python interpreter that has the package jsonschema; \
             `make test` installs one and sets it"
        )
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/validate.py");
    let input = json!({"schema": schema, "documents": documents}).to_string();
    let output = run(&python, Command::new(&python).arg(script), input.as_bytes());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{python}:\n{complaint}");
    let errors: Vec<Option<String>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(errors.len(), texts.len());
    for (index, (text, error)) in texts.into_iter().zip(errors).enumerate() {
        let read = config::parse(text.as_bytes(), Path::new("test.yaml"));
        let expected = index < good.len();
        let (by_schema, by_program) = (error.is_none(), read.is_ok());
        assert_eq!(
            (by_schema, by_program),
            (expected, expected),
            "schema: {error:?}, program: {:?}\n{text}",
            read.err()
        );
    }
}

#[test]
fn the_queries_in_the_documentation_are_promql() {
    let mut rules = "groups:\n- name: documentation\n  rules:\n".to_owned();
    let mut count = 0;
    for page in [
        include_str!("../../README.md"),
        include_str!("../../docs/metrics.md"),
        include_str!("../../docs/channels-and-roles.md"),
    ] {
        for block in page.split("```promql\n").skip(1) {
            let (query, _) = block.split_once("```").unwrap();
            let query = query.trim_end().replace('\n', "\n      ");
            write!(rules, "  - record: query:{count}\n    expr: |\n      {query}\n").unwrap();
            count += 1;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, rules).unwrap();
    let checked = run("promtool", promtool().args(["check", "rules"]).arg(file), b"");
    let [stdout, stderr] =
        [&checked.stdout, &checked.stderr].map(|out| String::from_utf8_lossy(out));
    assert!(checked.status.success() && count > 5, "{stdout}{stderr}");
    assert!(stdout.contains(&format!("{count} rules found")), "{stdout}");
}
