//! The Grafana dashboards: every query of every panel and variable, against a real Prometheus.

mod grafana;
mod joins;
mod pictures;
mod queries;

use std::path::Path;
use std::process::Command;

use super::support::process::run;

/// Files of `grafana/dashboards`, without their ending.
const NAMES: [&str; 3] = ["team-backlog", "manager", "exporter-health"];

#[test]
fn the_dashboards_are_what_their_source_makes() {
    let python = std::env::var("OPENMETRICS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/source/build.py");
    let output = run(&python, Command::new(&python).arg(script).arg("--check"), b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn grafanas_own_types_know_everything_in_the_dashboards() {
    let python = std::env::var("OPENMETRICS_PYTHON").unwrap_or_else(|_| {
        panic!("OPENMETRICS_PYTHON must name a Python that has grafana-foundation-sdk; see `make setup`")
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = NAMES.map(|name| root.join(format!("grafana/dashboards/{name}.json")));
    let mut read = Command::new(&python);
    let output = run(&python, read.arg(root.join("tests/e2e/read_dashboards.py")).args(files), b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let unknown: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    // The text of a variable's query, which Grafana itself writes beside the query, and what the data source for
    // Prometheus reads of an annotation: the SDK leaves both out.
    let left_out = ["/definition", "/titleFormat", "/useValueForTime"];
    let expected =
        |one: &&String| left_out.iter().any(|key| one.ends_with(&format!("{key} is not known")));
    let unexpected: Vec<_> = unknown.iter().filter(|one| !expected(one)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
