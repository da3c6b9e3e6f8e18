//! How much memory lists of users take that are as large as they may be, or made to be a burden.

use wazzup_exporter::simulator::Simulator;

use super::support::exporter::Exporter;
use super::support::samples::value;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::until;

const MIB: usize = 1 << 20;

/// The largest amount of memory that the process has had, in bytes.
fn peak(exporter: &Exporter) -> usize {
    let pid = exporter.process.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

fn assert_peak(exporter: &Exporter, most: usize, what: &str) {
    let peak = peak(exporter);
    assert!(peak < most, "{what}: {} MiB", peak / MIB);
}

/// Exporters that ask these accounts for their users, who are answered with `list`.
async fn start(accounts: &[&str], list: &str) -> (Simulator, Exporter) {
    let (api, url) = serve(still(accounts, 1)).await;
    api.add_fault(format!("endpoint=users,body={list}").parse().unwrap());
    let yaml = configuration(&api, &url, "interval: 1s, timeout: 50s");
    let yaml = yaml.replace("\n    users:", "\n    discover_users: {enabled: true}\n    users:");
    let exporter = Exporter::configured(&api, &yaml, &[]);
    (api, exporter)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_people_fit() {
    let person = |number: usize| {
        format!(r#"{{"id":"{number}","name":"Name of number {number}","phone":"7701{number:07}"}}"#)
    };
    let people: Vec<String> = (0..100_000).map(person).collect();
    let (_api, exporter) = start(&["acme"], &format!(r#"{{"data":[{}]}}"#, people.join(","))).await;
    let skipped = r#"wazzup_account_users_skipped{account="acme",reason="over_max_users"}"#;
    exporter.until("the list", |samples| value(samples, skipped) >= Some(99_000.0)).await;
    assert_peak(&exporter, 100 * MIB, "a list of 100,000");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_made_to_be_a_burden_are_bounded_and_stop_nothing() {
    let filled = |row: &str, size: usize| {
        let rows = vec![row; size / (row.len() + 1)].join(",");
        format!(r#"{{"data":[{rows}]}}"#)
    };
    let largest = 24 * MIB - 100;
    for (what, list) in [
        ("rows that are none", filled("7", largest)),
        ("empty rows", filled("{}", largest)),
        ("one row again and again", filled(r#"{"id":"1"}"#, largest)),
        (
            "rows of many fields",
            filled(&format!(r#"{{{}"id":"1"}}"#, r#""a":0,"#.repeat(MIB)), largest),
        ),
        (
            "a row nested in itself",
            format!(r#"{{"data":[{}1{}]}}"#, "[".repeat(largest / 2), "]".repeat(largest / 2)),
        ),
        ("a long name", format!(r#"{{"data":[{{"id":"1","name":"{}"}}]}}"#, "n".repeat(largest))),
        ("more than is read", filled(r#"{"id":"1"}"#, 32 * MIB)),
    ] {
        let accounts = ["acme", "globex", "initech"];
        let (api, exporter) = start(&accounts, &list).await;
        let asked = |account: &&str| {
            let series =
                format!(r#"wazzup_api_requests_total{{account="{account}",endpoint="users"#);
            move |samples: &super::support::samples::Samples| {
                samples.iter().any(|(name, count)| name.starts_with(&series) && count != "0")
            }
        };
        let asked = accounts.each_ref().map(asked);
        until(what, &[&exporter.process], async || {
            // Both are answered while lists are read.
            assert_eq!(exporter.get("/-/healthy").await.status(), 200);
            let samples = exporter.scrape().await;
            asked.iter().all(|asked| asked(&samples)).then_some(()).ok_or_else(String::new)
        })
        .await;
        assert_peak(&exporter, 300 * MIB, what);
        drop(api);
    }
}
