//! The pages that alerts link to.

use std::collections::BTreeSet;

use regex::Regex;

use super::lint::documented;
use super::root;
use super::rules::alerts;

/// What each page tells, in this order.
const HEADINGS: [&str; 4] = ["## What it means", "## Confirm", "## What to do", "## Silence"];

#[test]
fn every_runbook_belongs_to_an_alert_and_tells_all_that_it_should() {
    let files = std::fs::read_dir(root().join("docs/runbooks")).unwrap();
    let pages: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
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
        assert!(silence.contains(&format!("amtool silence add alertname={name}")), "{name}");
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
