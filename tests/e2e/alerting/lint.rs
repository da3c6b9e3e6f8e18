//! What a linter of rules would ask for, and what only we can: every metric and label is one that the
//! exporter has, as docs/metrics.md tells (which tests/it holds to the program). `make judges` asks pint;
//! what else that would find by asking a server, `queries` does with a real one.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::promql::names;
use super::rules::{self, Rule};

/// What Prometheus itself adds.
const PROMETHEUS_METRICS: [&str; 2] = ["up", "ALERTS"];
/// Labels of targets and alerts, and the one label of the configuration that the rules know.
const PROMETHEUS_LABELS: [&str; 5] = ["job", "instance", "alertname", "alertstate", "area"];
const TEAM: &str = "team";

/// A metric of docs/metrics.md.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) counter: bool,
    pub(super) labels: BTreeSet<String>,
}

/// What docs/metrics.md tells in its tables.
pub(super) fn documented() -> BTreeMap<String, Metric> {
    let row = Regex::new(r"(?m)^\| `(\w+)` \| (gauge|counter|histogram) \| ([\w, ]*)\|").unwrap();
    let page = include_str!("../../../docs/metrics.md");
    let rows = row
        .captures_iter(page)
        .map(|row| (row[1].to_owned(), row[2].to_owned(), row[3].to_owned()));
    let metrics = rows.map(|(name, kind, labels): (String, String, String)| {
        let mut labels: BTreeSet<String> = labels
            .split(',')
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        if name == "wazzup_user_info" {
            labels.insert(TEAM.to_owned());
        }
        (name, Metric { counter: kind == "counter", labels })
    });
    metrics.collect()
}

/// Recorded by the rules, or by the operator's own.
fn recorded(rules: &[Rule]) -> BTreeSet<String> {
    let mut recorded: BTreeSet<String> =
        rules.iter().filter_map(|rule| rule.record.clone()).collect();
    let overrides = recorded.iter().filter_map(|name| name.strip_suffix(":threshold"));
    let overrides: Vec<_> = overrides.map(|name| format!("{name}:override")).collect();
    recorded.extend(overrides);
    recorded
}

/// The expressions of a rule: its own, and those that its texts ask.
fn expressions(rule: &Rule) -> Vec<String> {
    let asked = Regex::new(r#"printf "([^"]*)""#).unwrap();
    let texts = rule.annotations.values();
    let asked =
        texts.flat_map(|text| asked.captures_iter(text)).filter(|asked| asked[1].contains('{'));
    let asked = asked.map(|asked| asked[1].replace("%q", "''"));
    std::iter::once(rule.expr.clone()).chain(asked).collect()
}

#[test]
fn rules_name_only_metrics_and_labels_that_there_are() {
    let (rules, documented) = (rules::all(), documented());
    let recorded = recorded(&rules);
    let mut labels: BTreeSet<&str> = PROMETHEUS_LABELS.into_iter().chain([TEAM]).collect();
    labels.extend(documented.values().flat_map(|metric| metric.labels.iter().map(String::as_str)));
    for rule in &rules {
        for expression in expressions(rule) {
            let found = names(&expression);
            let name = rule.name();
            for label in &found.grouped {
                assert!(
                    labels.contains(label.as_str()),
                    "{name} groups by an unknown label, {label}"
                );
            }
            for (metric, matched) in &found.selectors {
                let own = documented.get(metric);
                let known = own.is_some()
                    || recorded.contains(metric)
                    || PROMETHEUS_METRICS.contains(&metric.as_str());
                assert!(known, "{name} uses {metric}, which neither the exporter nor a rule has");
                for label in matched {
                    let fits = own
                        .map_or(labels.contains(label.as_str()), |own| own.labels.contains(label));
                    assert!(fits, "{name} matches {label}, which {metric} does not have");
                }
            }
        }
    }
}

#[test]
fn counters_are_looked_at_over_time_only_and_nothing_else_is() {
    let documented = documented();
    let over_time = Regex::new(r"(?:increase|rate|changes)\(\s*(\w+)(?:\{[^}]*\})?\[").unwrap();
    for rule in rules::all() {
        let mut bare = rule.expr.clone();
        for found in over_time.captures_iter(&rule.expr) {
            let counter = documented.get(&found[1]).is_some_and(|metric| metric.counter);
            assert!(counter, "{} takes {} for a counter", rule.name(), &found[1]);
            bare = bare.replace(&found[0], "");
        }
        for (metric, _) in names(&bare).selectors {
            let counter = documented.get(&metric).is_some_and(|metric| metric.counter);
            assert!(!counter, "{} compares the bare counter {metric}", rule.name());
        }
    }
}

#[test]
fn what_is_recorded_is_used() {
    let rules = rules::all();
    let used: BTreeSet<String> = rules
        .iter()
        .flat_map(expressions)
        .flat_map(|expression| names(&expression).selectors)
        .map(|(metric, _)| metric)
        .collect();
    let dashboard = include_str!("../../../grafana/dashboards/team-backlog.json");
    let unused: Vec<_> = rules.iter().filter_map(|rule| rule.record.as_ref()).collect();
    let unused = unused.into_iter().filter(|name| !used.contains(*name));
    let unused: Vec<_> = unused.filter(|name| !dashboard.contains(&format!("{name}{{"))).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// A name in a label would make a new alert of every change of it, and silence a rule that joins it.
#[test]
fn names_of_people_are_asked_for_and_never_joined() {
    for rule in rules::alerts() {
        assert!(!names(&rule.expr).grouped.contains("name"), "{}", rule.name());
        let text = &rule.annotations["summary"];
        let of_user = text.contains("$labels.user");
        assert_eq!(
            of_user,
            text.contains(r#"label "name" }}{{ else }}{{ $labels.user }}"#),
            "{text}"
        );
    }
}
