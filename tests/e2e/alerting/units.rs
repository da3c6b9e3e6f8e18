//! promtool on the rules, their unit tests and the configuration; and that no alert is without tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_yaml::Value;

use super::rules::{alerts, files};
use super::{deploy, root};
use crate::support::process::{promtool, run};

/// Unit tests that are about more than one alert: what several rules have to hold to together.
const SCENARIOS: [&str; 7] =
    ["doubt", "gaps", "lists", "overrides", "prometheus-away", "recording", "removed-accounts"];

fn tests() -> Vec<PathBuf> {
    let files = std::fs::read_dir(deploy().join("prometheus/tests")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn has_to_succeed(command: &mut Command) -> String {
    let output = run("promtool", command, b"");
    let told = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out)).concat();
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn promtool_finds_no_fault_in_rules_and_configuration() {
    let folder = deploy().join("prometheus");
    let rules = files().into_iter().map(|(name, _)| folder.join("rules").join(name));
    has_to_succeed(promtool().args(["check", "rules", "--lint=all", "--lint-fatal"]).args(rules));
    let told =
        has_to_succeed(promtool().args(["check", "config"]).arg(folder.join("prometheus.yaml")));
    assert!(told.contains(&format!("{} rule files found", files().len())), "{told}");
}

#[test]
fn the_unit_tests_of_the_rules_hold() {
    has_to_succeed(promtool().args(["test", "rules"]).args(tests()));
}

/// Prometheus evaluates groups in an order of its own.
#[test]
fn gaps_are_bridged_whichever_group_is_evaluated_first() {
    let folder = deploy().join("prometheus");
    let yaml = std::fs::read_to_string(folder.join("tests/gaps.yaml")).unwrap();
    let recording = "[wazzup-recording, wazzup-thresholds, ";
    let rules = folder.join("rules/*.yaml");
    let last = yaml
        .replace(recording, "[")
        .replace("wazzup-exporter]", "wazzup-exporter, wazzup-recording, wazzup-thresholds]")
        .replace("../rules/*.yaml]", &format!("{}]", rules.display()));
    assert!(yaml.contains(recording) && last.contains(", wazzup-recording, "), "{last}");
    let copy = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(copy.path(), last).unwrap();
    has_to_succeed(promtool().args(["test", "rules"]).arg(copy.path()));
}

#[test]
fn every_alert_is_tested_while_it_fires_and_while_it_is_silent() {
    // Whether it fires, by alert, how often.
    let mut cases: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for file in tests() {
        let yaml = std::fs::read_to_string(&file).unwrap();
        let yaml: Value = serde_yaml::from_str(&yaml).unwrap();
        let tests = yaml["tests"].as_sequence().unwrap().iter();
        for case in tests.filter_map(|test| test["alert_rule_test"].as_sequence()).flatten() {
            let alert = case["alertname"].as_str().unwrap().to_owned();
            let fires = !case["exp_alerts"].as_sequence().unwrap().is_empty();
            *cases.entry((alert, fires)).or_default() += 1;
        }
        let name = file.file_stem().unwrap().to_str().unwrap();
        let own = SCENARIOS.contains(&name) || alerts().iter().any(|alert| alert.name() == name);
        assert!(own, "{name} is no alert");
    }
    let names: Vec<_> = alerts().iter().map(|alert| alert.name().to_owned()).collect();
    for name in &names {
        for fires in [true, false] {
            assert!(
                cases.contains_key(&(name.clone(), fires)),
                "{name}: no case where fires={fires}"
            );
        }
    }
    let strange: Vec<_> = cases.keys().filter(|(name, _)| !names.contains(name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn every_alert_says_what_it_is_and_what_to_do() {
    for alert in alerts() {
        let name = alert.name();
        assert!(name.starts_with("Wazzup"), "{name}");
        let keys: Vec<_> = alert.annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, ["description", "runbook_url", "summary"], "{name}");
        let severity = ["critical", "warning", "info"].contains(&alert.labels["severity"].as_str());
        let areas = ["backlog", "trust", "account", "exporter"];
        let area = areas.contains(&alert.labels["area"].as_str());
        assert!(severity && area && alert.labels.len() == 2, "{name}: {:?}", alert.labels);
        assert!(alert.annotations["description"].ends_with('.'), "{name}");
        assert!(!alert.annotations["summary"].ends_with('.'), "{name}");
        // The base is a placeholder, and one search finds all of them.
        let page = format!("https://runbooks.example.com/wazzup-exporter/{name}.md");
        assert_eq!(alert.annotations["runbook_url"], page);
        assert!(root().join(format!("docs/runbooks/{name}.md")).is_file(), "{name} has no runbook");
    }
}
