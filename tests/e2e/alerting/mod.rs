//! The rules and examples in `deploy`, the alerts for Grafana and the runbooks: in step with each other,
//! judged by promtool and amtool, and at work with a real Prometheus and a real Alertmanager.
//!
//! Tests that wait for alerts take the files of `deploy` as they are, but for addresses and [`shortened`].

mod alertmanager;
mod grafana;
mod lint;
mod messages;
mod notified;
mod promql;
mod queries;
mod receiver;
mod rules;
mod runbooks;
mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use regex::{Captures, Regex};
use tempfile::TempDir;

/// The folder `deploy` of the repository.
fn deploy() -> PathBuf {
    root().join("deploy")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How long an alert has to hold, how long it goes on, how often a group is evaluated, and how long Alertmanager gathers and waits:
/// a tenth of a second for each minute or hour, a hundredth for each second. What a rule looks back over
/// stays as it is.
fn shortened(yaml: &str) -> String {
    let keys = "for|keep_firing_for|interval|group_wait|group_interval|repeat_interval";
    let durations = Regex::new(&format!(r"(?m)\b({keys}): (\d+)([smhd])$")).unwrap();
    let short = |found: &Captures<'_>| {
        let number: u64 = found[2].parse().unwrap();
        let each = if &found[3] == "s" { 10 } else { 100 };
        format!("{}: {}ms", &found[1], number * each)
    };
    durations.replace_all(yaml, short).into_owned()
}

/// A folder with the shipped `prometheus.yaml` and rules, which scrapes and evaluates twice a second.
pub(crate) fn prometheus_folder(
    exporter: SocketAddr,
    alertmanager: &str,
    more_rules: &str,
) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    for (name, text) in rules::files() {
        std::fs::write(rules.join(name), shortened(&text)).unwrap();
    }
    std::fs::write(rules.join("more.yaml"), more_rules).unwrap();
    let yaml = std::fs::read_to_string(deploy().join("prometheus/prometheus.yaml")).unwrap();
    let replaced = [
        ("_interval: 30s", "_interval: 500ms"),
        ("localhost:10117", &exporter.to_string()),
        ("localhost:9093", alertmanager),
    ];
    let yaml = replaced.iter().fold(yaml, |yaml, (from, to)| {
        assert!(yaml.contains(from), "{from} is not in {yaml}");
        yaml.replace(from, to)
    });
    std::fs::write(folder.path().join("prometheus.yaml"), yaml).unwrap();
    folder
}

#[test]
fn only_what_tests_would_have_to_wait_for_is_shortened() {
    let yaml = "for: 30m\n  keep_firing_for: 5m\ngroup_wait: 30s\nrepeat_interval: 7d\nexpr: x[30m]\nsummary: for: 5m!";
    let short = "for: 3000ms\n  keep_firing_for: 500ms\ngroup_wait: 300ms\nrepeat_interval: 700ms\nexpr: x[30m]\nsummary: for: 5m!";
    assert_eq!(shortened(yaml), short);
}
