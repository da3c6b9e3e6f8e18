//! The pages that alerts link to.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;
use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, UserSpec};

use super::alertmanager::Alertmanager;
use super::lint::documented;
use super::receiver::Receiver;
use super::rules::alerts;
use super::{deploy, prometheus_folder, root};
use crate::prometheus::Prometheus;
use crate::support::exporter::Exporter;
use crate::support::files::write_config;
use crate::support::process::{Process, peer, run};
use crate::support::upstream::serve;
use crate::support::wait::until;

/// Commands that are not run, by how they begin, and why.
const NOT_RUN: [(&str, &str); 1] =
    [("journalctl ", "it needs a machine whose systemd has started the exporter")];

/// Commands that end with 1 where they have found something, which is what they are for.
const FINDS: [&str; 1] = ["wazzup-exporter doctor"];

/// What each page tells, in this order.
const HEADINGS: [&str; 4] = ["## What it means", "## Confirm", "## What to do", "## Silence"];

#[test]
fn every_runbook_belongs_to_an_alert_and_tells_all_that_it_should() {
    let files = std::fs::read_dir(root().join("docs/runbooks")).unwrap();
    let pages: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    let expected = alerts().iter().map(|alert| format!("{}.md", alert.name())).collect();
    assert_eq!(pages, expected);
    for alert in alerts() {
        let name = alert.name();
        let page = root().join(format!("docs/runbooks/{name}.md"));
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let headings: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        let confirm = between(&page, "## Confirm", "## What to do");
        let commands = confirm.lines().filter(|line| line.starts_with("$ ")).count();
        assert_eq!(commands, 2, "{name}: commands to confirm");
        let silence = between(&page, "## Silence", "\0");
        let command =
            format!("amtool silence add --alertmanager.url=$ALERTMANAGER alertname={name}");
        assert!(silence.contains(&command), "{name}");
    }
}

#[test]
fn runbooks_speak_of_metrics_that_there_are() {
    let known = documented();
    let word = Regex::new(r"\bwazzup_[a-z0-9_]+[a-z0-9]\b[:*]?").unwrap();
    for alert in alerts() {
        let page = root().join(format!("docs/runbooks/{}.md", alert.name()));
        let page = std::fs::read_to_string(page).unwrap();
        // What is recorded has a colon, and is looked at in tests/it.
        for found in
            word.find_iter(&page).map(|found| found.as_str()).filter(|name| !name.ends_with(':'))
        {
            assert!(known.contains_key(found), "{}: {found}", alert.name());
        }
    }
}

#[test]
fn the_index_names_every_alert_with_its_severity_and_how_long_it_has_to_hold() {
    let page = std::fs::read_to_string(root().join("docs/alerting.md")).unwrap();
    for alert in alerts() {
        let (name, severity) = (alert.name(), &alert.labels["severity"]);
        let hold = alert.hold.as_deref().unwrap_or("at once");
        let row = format!("| [{name}](runbooks/{name}.md) | {severity} | {hold} |");
        assert!(page.contains(&row), "docs/alerting.md lacks the row {row}");
    }
}

fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = page.split_once(from).unwrap();
    rest.split_once(to).map_or(rest, |(part, _)| part)
}

/// Every command of every page, with the page.
fn commands() -> BTreeSet<(String, String)> {
    let pages = alerts().into_iter().map(|alert| alert.name().to_owned());
    let commands = pages.flat_map(|name| {
        let page = root().join(format!("docs/runbooks/{name}.md"));
        let page = std::fs::read_to_string(page).unwrap();
        let lines = page.lines().filter_map(|line| line.strip_prefix("$ "));
        lines.map(|line| (name.clone(), line.to_owned())).collect::<Vec<_>>()
    });
    commands.collect()
}

/// A folder for PATH with the programs under the names that the pages call them by.
fn programs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let programs = [
        ("promtool", peer("PROMTOOL", "promtool")),
        ("amtool", peer("AMTOOL", "amtool")),
        ("wazzup-exporter", env!("CARGO_BIN_EXE_wazzup-exporter").to_owned()),
    ];
    for (name, program) in programs {
        // Only those that are not in PATH have a folder.
        if Path::new(&program).is_absolute() {
            std::os::unix::fs::symlink(program, folder.path().join(name)).unwrap();
        }
    }
    folder
}

/// Readings of `acme` fail, one user is not known, and a channel may be anything: what the pages are about.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_runs_as_it_is_written() {
    let user = |id, red| UserSpec::new(id, "Anna", Role::SalesRep).pinned(red, "red");
    let account = AccountSpec::new("acme", "12345678", "token-of-acme");
    let settings = Settings {
        accounts: vec![account.user(user("1", 7)).user(user("2", 0))],
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    };
    let (api, url) = serve(settings).await;
    let yaml = api.exporter_config(&url, "1s");
    let folder = tempfile::tempdir().unwrap();
    let (config, storage) = (write_config(folder.path(), &yaml), folder.path().join("data"));
    api.write_secrets(folder.path()).unwrap();
    let storage = storage.display().to_string();
    let exporter = Exporter::configured(&api, &yaml, &[format!("--storage.path={storage}")]);
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver).await;
    let rules = prometheus_folder(exporter.address, &alertmanager.address(), "");
    let prometheus = Prometheus::configured(rules).await;
    let processes: [&Process; 3] = [&exporter.process, &prometheus.process, &alertmanager.process];
    api.remove_user("acme", "2").unwrap();
    api.add_fault("status=500,probability=0.5,endpoint=counter".parse().unwrap());
    until("a user who is not known", &processes, async || {
        let found = prometheus.query("wazzup_user_untrusted").await?;
        if found.is_empty() { Err("none".to_owned()) } else { Ok(()) }
    })
    .await;

    let programs = programs();
    let path = std::env::var("PATH").unwrap();
    let mut failed = Vec::new();
    for (page, line) in commands() {
        if NOT_RUN.iter().any(|(start, _)| line.starts_with(start)) {
            continue;
        }
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &line])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", programs.path().display()))
            .env("PROMETHEUS", prometheus.address())
            .env("ALERTMANAGER", format!("http://{}", alertmanager.address()))
            .env("EXPORTER", exporter.url(""))
            .env("RULES", deploy().join("prometheus/rules"))
            .env("WAZZUP_EXPORTER_CONFIG_FILE", &config)
            .env("WAZZUP_EXPORTER_STORAGE_PATH", &storage);
        let output = run("bash", &mut command, b"");
        let finds = FINDS.iter().any(|start| line.starts_with(start));
        let code = output.status.code();
        if !(code == Some(0) || finds && code == Some(1)) {
            let told =
                [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out)).concat();
            failed.push(format!("{page}: {line}\n{code:?} {told}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_commands_take_from_the_environment_is_explained_in_one_place() {
    let place = std::fs::read_to_string(root().join("docs/runbooks/README.md")).unwrap();
    let variable = Regex::new(r"\$([A-Z_]+)").unwrap();
    for (page, line) in commands() {
        for found in variable.captures_iter(&line) {
            assert!(place.contains(&format!("export {}=", &found[1])), "{page}: {line}");
        }
        assert!(!line.contains("://"), "{page}: an address in {line}");
    }
}
