//! Every query of every rule, asked of a real Prometheus that scrapes the demo's companies, to whom also
//! happens what the demo leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use wazzup_exporter::simulator::{Settings, Simulator};

use super::promql::selectors;
use super::{grafana, prometheus_folder, rules};
use crate::prometheus::Prometheus;
use crate::support::exporter::Exporter;
use crate::support::upstream::serve;
use crate::support::wait::until;

/// What this world cannot show: resets and account files, of which there are none here, and a log that is always read.
const NOT_HERE: [&str; 4] = [
    "wazzup_exporter_account_file_up",
    "wazzup_reset_last_success_timestamp_seconds",
    "wazzup_reset_unresolved",
    "wazzup_exporter_log_lines_dropped_total",
];

/// Recorded only while users are skipped or gone, accounts are gone, resets are unresolved, or figures are lost. The unit
/// tests of the rules show them.
const RARELY: [&str; 7] = [
    "wazzup_account:users_skipped:last15m",
    "wazzup_account:reset_unresolved:last15m",
    "wazzup_account:missing:now",
    "wazzup_account:removed_timestamp_seconds:now",
    "wazzup_user:gone:now",
    "wazzup_user:red_messages:held",
    "wazzup_user:red_since_timestamp_seconds:held",
];

/// Alerts that fire in this world, with the labels that they have beside name, severity and area.
const FIRING: [(&str, &[&str]); 14] = [
    ("WazzupRedTooLong", &["account", "team", "user"]),
    ("WazzupRedTooMany", &["account", "team", "user"]),
    ("WazzupRedGrowing", &["account", "team", "user"]),
    ("WazzupRedPastTarget", &["account", "team", "user"]),
    ("WazzupCounterUntrusted", &["account", "reason", "user"]),
    ("WazzupChannelDown", &["account", "channel", "transport"]),
    ("WazzupReadingStale", &["account", "user"]),
    ("WazzupAccountFailing", &["account", "reason"]),
    ("WazzupLoginNeeded", &["account", "reason"]),
    ("WazzupAccountDown", &["account"]),
    ("WazzupTokenEnds", &["account"]),
    ("WazzupThrottled", &["account"]),
    ("WazzupSweepSlow", &["account"]),
    ("WazzupTargetDown", &["instance", "job"]),
];

/// The labels of what is recorded. A team is only where the configuration gives one.
const RECORDED: [(&str, &[&str]); 29] = [
    ("wazzup:rules_evaluated:now", &[]),
    ("wazzup_user:info:seen", &["account", "name", "team", "user"]),
    ("wazzup_user:info:last15m", &["account", "name", "team", "user"]),
    ("wazzup_account:reported:now", &["account"]),
    ("wazzup_account:seen_timestamp_seconds:now", &["account", "job"]),
    ("wazzup_account:failing:last15m", &["account", "reason"]),
    ("wazzup_user:untrusted:last15m", &["account", "reason", "user"]),
    ("wazzup_list:unread:last15m", &["account", "list"]),
    ("wazzup_channel:down:last15m", &["account", "channel", "transport"]),
    ("wazzup_account:token_expiry_timestamp_seconds:last15m", &["account"]),
    ("wazzup_user:red_messages:now", &["account", "user"]),
    ("wazzup_user:team:last15m", &["account", "team", "user"]),
    ("wazzup_user:red_messages:last15m", &["account", "team", "user"]),
    ("wazzup_user:not_counted:last15m", &["account", "user"]),
    ("wazzup_team:red_messages:last15m", &["account", "team"]),
    ("wazzup_team:red_messages:avg15m", &["account", "team"]),
    ("wazzup_team:red_messages_came:rate5m", &["account", "team"]),
    ("wazzup_team:red_messages_answered:rate5m", &["account", "team"]),
    ("wazzup_user:red_since_timestamp_seconds:now", &["account", "user"]),
    ("wazzup_user:red_age_seconds:last15m", &["account", "team", "user"]),
    ("wazzup_account:working_time:last15m", &["account"]),
    ("wazzup_user:off_duty:last15m", &["account", "user"]),
    ("wazzup_user:off_duty:last30m", &["account", "user"]),
    ("wazzup_user:alert_firing:now", &["account", "alertname", "team", "user"]),
    ("wazzup_account:red_tolerated_messages:threshold", &["account"]),
    ("wazzup_account:red_messages:threshold", &["account"]),
    ("wazzup_account:red_growth_messages:threshold", &["account"]),
    ("wazzup_account:red_age_seconds:threshold", &["account"]),
    ("wazzup_account:token_left_seconds:threshold", &["account"]),
];

/// Somebody who answers nobody while messages keep coming.
const GROWING: (&str, &str) = ("uyut-mebel", "103");

/// The demo, and what it leaves out.
struct World {
    api: Simulator,
    exporter: Exporter,
    prometheus: Prometheus,
    /// What the exporter keeps.
    _data: TempDir,
}

/// Starts it.
async fn world() -> World {
    let (api, url) = serve(Settings::demo(1).with_label_accounts()).await;
    for account in ["nomad-travel", "uyut-mebel"] {
        api.set(account, "101", 30, "red").unwrap();
    }
    api.set(GROWING.0, GROWING.1, 1, "red").unwrap();
    api.set("smile-dental", "103", 3, "violet").unwrap();
    for fault in [
        "status=500,account=smile-dental,user=101",
        "account=karavan-shop,endpoint=counter,probability=0.2,retry_after=429:1",
        "latency=1500ms..1600ms,account=zebra-print",
    ] {
        api.add_fault(fault.parse().unwrap());
    }
    let yaml = api.exporter_config(&url, "1s");
    // He is configured, and not known any more.
    api.remove_user("smile-dental", "102").unwrap();
    let open = "{timezone: UTC, days: mon-sun, from: '00:00', to: '24:00'}".to_owned();
    let yaml = with_hours(&yaml, "nomad-travel", &closed_now());
    let yaml = with_hours(&yaml, GROWING.0, &open);
    let data = tempfile::tempdir().unwrap();
    let flags = [format!("--storage.path={}", data.path().display())];
    let exporter = Exporter::configured(&api, &yaml, &flags);
    // Port 1 of loopback stands for an exporter that is down.
    let folder = prometheus_folder(exporter.address, "127.0.0.1:1", &overrides());
    let file = folder.path().join("prometheus.yaml");
    let address = exporter.address.to_string();
    let config = std::fs::read_to_string(&file).unwrap();
    let config = config.replace(&address, &format!("{address}\", \"127.0.0.1:1"));
    std::fs::write(&file, config).unwrap();
    World { api, exporter, prometheus: Prometheus::configured(folder).await, _data: data }
}

fn with_hours(yaml: &str, account: &str, hours: &str) -> String {
    let start = format!("- name: {account}\n");
    let start = if yaml.contains(&start) { start } else { format!("- name: \"{account}\"\n") };
    assert!(yaml.contains(&start), "{account} is not in {yaml}");
    yaml.replace(&start, &format!("{start}    working_hours: {hours}\n"))
}

/// Half an hour, twelve hours from now.
fn closed_now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hour = (now / 3600 + 12) % 24;
    format!("{{timezone: UTC, days: mon-sun, from: '{hour:02}:00', to: '{hour:02}:30'}}")
}

/// Every threshold of every account so low, or of tokens so high, that it is passed.
fn overrides() -> String {
    let mut yaml = "groups:\n  - name: overrides\n    rules:\n".to_owned();
    for (name, value) in [
        ("red_tolerated_messages", "0"),
        ("red_messages", "10"),
        ("red_growth_messages", "1"),
        ("red_age_seconds", "1"),
        ("token_left_seconds", "1e9"),
    ] {
        let expression = format!("{value} * group by (account) (wazzup_account_info)");
        let rule =
            format!("      - record: wazzup_account:{name}:override\n        expr: {expression}\n");
        yaml.write_str(&rule).unwrap();
    }
    yaml
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_rules_finds_what_it_is_for() {
    let World { api, exporter, prometheus, _data } = world().await;
    let processes = [&exporter.process, &prometheus.process];
    let rules = rules::all();
    let wanted: BTreeSet<String> = rules.iter().flat_map(|rule| selectors(&rule.expr)).collect();
    let shown =
        |one: &&String| !NOT_HERE.contains(&one.as_str()) && !RARELY.contains(&one.as_str());
    for selector in wanted.iter().filter(shown) {
        let mut more = 1;
        until(&format!("series of {selector}"), &processes, async || {
            more += 1;
            api.set(GROWING.0, GROWING.1, more, "red").unwrap();
            let found = prometheus.query(selector).await?;
            if found.is_empty() { Err("none".to_owned()) } else { Ok(()) }
        })
        .await;
    }
    for (name, expected) in RECORDED {
        let found = prometheus.query(name).await.unwrap();
        assert!(!found.is_empty(), "{name}");
        for (labels, value) in found {
            let labels: Vec<_> =
                labels.keys().map(String::as_str).filter(|label| *label != "__name__").collect();
            assert!(
                labels == expected || without_team(expected) == labels,
                "{name} has the labels {labels:?}"
            );
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{name} is {value}");
        }
    }
    let names: BTreeSet<_> = rules.iter().filter_map(|rule| rule.record.as_deref()).collect();
    assert_eq!(names, RECORDED.iter().map(|(name, _)| *name).chain(RARELY).collect());
}

fn without_team<'a>(labels: &[&'a str]) -> Vec<&'a str> {
    labels.iter().copied().filter(|label| *label != "team").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_with_the_labels_and_texts_that_they_promise() {
    let World { api, exporter, prometheus, _data } = world().await;
    let processes = [&exporter.process, &prometheus.process];
    let mut seen = BTreeMap::new();
    let mut more = 1;
    for (name, expected) in FIRING {
        until(&format!("{name} to fire"), &processes, async || {
            more += 1;
            api.set(GROWING.0, GROWING.1, more, "red").unwrap();
            let firing = firing(&prometheus).await?;
            let Some(alert) = firing.into_iter().find(|one| one["labels"]["alertname"] == name)
            else {
                return Err("it does not".to_owned());
            };
            seen.insert(name, (alert, expected));
            Ok(())
        })
        .await;
    }
    for (name, (alert, expected)) in seen {
        let labels = alert["labels"].as_object().unwrap().keys().map(String::as_str);
        let common = ["alertname", "area", "severity"];
        let labels: Vec<_> = labels.filter(|label| !common.contains(label)).collect();
        let fits = labels == expected || labels == without_team(expected);
        assert!(fits, "{name} has the labels {labels:?}");
        for (key, text) in alert["annotations"].as_object().unwrap() {
            let text = text.as_str().unwrap();
            let broken = ["error expanding", "{{", "<no value>", "  ", "()", " ,", ": ,"];
            let broken = broken.iter().find(|part| text.contains(**part));
            assert_eq!(broken, None, "{key} of {name}: {text}");
        }
    }
    // What Grafana would ask finds the same people, by name.
    for rule in
        rules::alerts().iter().filter(|rule| FIRING.iter().any(|(name, _)| *name == rule.name()))
    {
        let found = prometheus.query(&grafana::expression(rule)).await.unwrap();
        let users = found.iter().filter(|(labels, _)| labels.contains_key("user"));
        let named = users.clone().filter(|(labels, _)| labels.contains_key("name")).count();
        assert!(!found.is_empty() && named == users.count(), "{}: {found:?}", rule.name());
    }
    // No rule failed on the way, and none is unknown to Prometheus.
    let groups = prometheus.api("api/v1/rules", &[]).await.unwrap();
    let groups = groups["groups"].as_array().unwrap().iter();
    let found: Vec<_> = groups.flat_map(|group| group["rules"].as_array().unwrap()).collect();
    for rule in &found {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    assert_eq!(found.len(), rules::all().len() + 5);
}

async fn firing(prometheus: &Prometheus) -> Result<Vec<Value>, String> {
    let mut answer = prometheus.api("api/v1/alerts", &[]).await?;
    let alerts = answer["alerts"].as_array_mut().ok_or("no list")?;
    Ok(alerts.drain(..).filter(|alert| alert["state"] == "firing").collect())
}
