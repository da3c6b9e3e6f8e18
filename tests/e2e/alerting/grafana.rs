//! The same alerts for Grafana's own alerting, made from the rules. `GENERATE=1` (`make generated`) writes
//! the file; without it, it has to be what would be written.
//!
//! What differs, because Grafana has other means:
//!
//! - Its texts cannot ask queries. The names of people are joined, with an empty one where there is none,
//!   so that no alert is lost to a missing name; other asked figures are left out.
//! - It fires on what is not 0. A Prometheus alert fires on what is there, 0 included: `is_number`.
//! - It keeps no series of firing alerts, so alerts on a backlog end with the working hours.

use std::path::PathBuf;

use regex::Regex;
use serde_yaml::{Mapping, Value};

use super::root;
use super::rules::{self, Rule};

/// The uid of the data source, as grafana/provisioning/datasources has it.
const DATA_SOURCE: &str = "prometheus";
const HEADER: &str = "\
# Made from deploy/prometheus/rules/alerts.yaml by `make generated`; change that, not this.
# The alerts for Grafana's own alerting. The recording rules and thresholds have to be in the Prometheus, or what
# speaks its language, behind the data source with the uid `prometheus`; docs/alerting.md tells more.
";

fn file() -> PathBuf {
    root().join("grafana/provisioning/alerting/wazzup.yaml")
}

/// The alert's expression, with the name of the user as a label where it has a user.
pub(super) fn expression(rule: &Rule) -> String {
    let expression = rule.expr.trim_end();
    if !rule.annotations["summary"].contains("$labels.user") {
        return expression.to_owned();
    }
    let indented = expression.replace('\n', "\n  ");
    format!(
        "(\n  {indented}\n)\n  * on (account, user) group_left (name)\n(\n  wazzup_user:info:last15m\n  \
         or on (account, user) group by (account, user) (last_over_time(wazzup_user_up[15m]))\n)"
    )
}

/// A text without queries.
fn text(prometheus: &str) -> String {
    let name = Regex::new(
        r#"\{\{-? with printf "wazzup_user:info[^}]*\}[^}]*\| query -?\}\}.*?\{\{ else \}\}(.*?)\{\{ end \}\}"#,
    );
    let text = name.unwrap();
    let text = text
        .replace_all(prometheus, "{{ if $$labels.name }}{{ $$labels.name }}{{ else }}$1{{ end }}");
    let asked = r#" *\{\{-? with printf "[^"]*"[^}]*\| query -?\}\}.*?(?:\{\{ else \}\}(.*?))?\{\{ end \}\}"#;
    let text = Regex::new(asked).unwrap().replace_all(&text, |found: &regex::Captures<'_>| {
        let instead = found.get(1).map_or("", |instead| instead.as_str());
        if instead.is_empty() { String::new() } else { format!(" {instead}") }
    });
    Regex::new(r"\$value\b").unwrap().replace_all(&text, "$$values.A.Value").into_owned()
}

fn mapping(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Mapping(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect::<Mapping>())
}

fn alert(rule: &Rule) -> Value {
    let seconds = mapping([("from", 600.into()), ("to", 0.into())]);
    let asked = mapping([
        ("refId", "A".into()),
        ("expr", expression(rule).into()),
        ("instant", true.into()),
        ("range", false.into()),
    ]);
    let judged = mapping([
        ("refId", "fires".into()),
        ("type", "math".into()),
        ("expression", "is_number($A)".into()),
    ]);
    let data =
        [("A", DATA_SOURCE, asked), ("fires", "__expr__", judged)].map(|(id, source, model)| {
            mapping([
                ("refId", id.into()),
                ("relativeTimeRange", seconds.clone()),
                ("datasourceUid", source.into()),
                ("model", model),
            ])
        });
    let texts =
        rule.annotations.iter().map(|(key, value)| (key.as_str().into(), text(value).into()));
    let labels =
        rule.labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    let mut alert = vec![
        ("uid", uid(rule.name()).into()),
        ("title", rule.name().into()),
        ("condition", "fires".into()),
        ("data", Value::Sequence(data.into())),
        // No series is no alert. That there is nothing at all is told by an alert of its own.
        ("noDataState", "OK".into()),
        ("execErrState", "Error".into()),
        ("for", rule.hold.as_deref().unwrap_or("0s").into()),
    ];
    alert.extend(rule.keep.as_deref().map(|keep| ("keepFiringFor", keep.into())));
    alert.push(("annotations", Value::Mapping(texts.collect())));
    alert.push(("labels", Value::Mapping(labels.collect())));
    mapping(alert)
}

/// `WazzupRedTooLong` as `wazzup-red-too-long`.
fn uid(name: &str) -> String {
    let words = Regex::new("([a-z])([A-Z])").unwrap();
    words.replace_all(name, "$1-$2").to_lowercase()
}

fn generated() -> String {
    let alerts = rules::alerts();
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for rule in &alerts {
        match groups.last_mut() {
            Some((name, rules)) if *name == rule.group => rules.push(alert(rule)),
            _ => groups.push((rule.group.clone(), vec![alert(rule)])),
        }
    }
    let groups = groups.into_iter().map(|(name, rules)| {
        mapping([
            ("orgId", 1.into()),
            ("name", name.into()),
            ("folder", "Wazzup".into()),
            ("interval", "1m".into()),
            ("rules", Value::Sequence(rules)),
        ])
    });
    let file = mapping([("apiVersion", 1.into()), ("groups", Value::Sequence(groups.collect()))]);
    format!("{HEADER}{}", serde_yaml::to_string(&file).unwrap())
}

#[test]
fn the_alerts_for_grafana_are_what_the_rules_make() {
    crate::support::generated::check(file(), &generated(), "make generated");
}

#[test]
fn grafanas_texts_ask_nothing_and_lose_nobody() {
    for rule in rules::alerts() {
        for text in rule.annotations.values().map(|one| text(one)) {
            for unknown in ["| query", "| first", "$value ", "printf \"wazzup", "  ", " , "] {
                assert!(!text.contains(unknown), "{}: {text}", rule.name());
            }
            assert_eq!(
                text.matches("{{ if").count() + text.matches("{{ with").count(),
                text.matches("{{ end }}").count(),
                "{text}"
            );
        }
        let uid = uid(rule.name());
        assert!(uid.len() <= 40, "{uid} is too long for Grafana");
    }
    let rules = rules::alerts();
    let red = rules.iter().find(|rule| rule.name() == "WazzupRedTooLong").unwrap();
    let summary = "{{ if $labels.name }}{{ $labels.name }}{{ else }}{{ $labels.user }}{{ end }} \
                   ({{ $labels.account }}{{ with $labels.team }}, {{ . }}{{ end }}): {{ $values.A.Value }} red";
    assert_eq!(text(&red.annotations["summary"]), summary);
}
