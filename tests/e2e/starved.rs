//! Accounts whose upstream hangs, beside others that must not notice.

use super::support::exporter::Exporter;
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{configuration, serve, still};

const HUNG: usize = 80;
const HEALTHY: usize = 5;
const USERS: usize = 20;

/// The users of healthy accounts of whom a counter is shown.
fn shown(samples: &Samples) -> usize {
    let users = (0..HEALTHY).flat_map(|account| (0..USERS).map(move |user| (account, user)));
    users
        .filter(|(account, user)| {
            let series = counter(&format!("healthy-{account}"), &format!("u{user}"), "red");
            samples.contains_key(&series)
        })
        .count()
}

fn sweeps(samples: &Samples, result: &str) -> Vec<f64> {
    let of = |account| {
        let series =
            format!(r#"wazzup_sweeps_total{{account="healthy-{account}",result="{result}"}}"#);
        value(samples, &series).unwrap_or_default()
    };
    (0..HEALTHY).map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hung_accounts_take_no_reading_from_healthy_ones() {
    let hung = (0..HUNG).map(|number| format!("hung-{number}"));
    let healthy = (0..HEALTHY).map(|number| format!("healthy-{number}"));
    let names: Vec<String> = hung.clone().chain(healthy).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut settings = still(&names, USERS);
    settings.faults = hung.map(|name| format!("hang,account={name}").parse().unwrap()).collect();
    let (api, url) = serve(settings).await;
    let poll = "interval: 2s, timeout: 2s, stale_after: 6s";
    let yaml = format!("max_in_flight: 64\n{}", configuration(&api, &url, poll));
    let exporter = Exporter::configured(&api, &yaml, &[]);
    exporter.until("all counters", |samples| shown(samples) == HEALTHY * USERS).await;
    // Each scrape on the way has them all, and they are read again and again.
    let mut least = HEALTHY * USERS;
    let samples = exporter
        .until("ten sweeps of all", |samples| {
            least = least.min(shown(samples));
            sweeps(samples, "ok").iter().all(|ok| *ok >= 10.0)
        })
        .await;
    assert_eq!(least, HEALTHY * USERS);
    for result in ["partial", "failed"] {
        assert_eq!(sweeps(&samples, result), [0.0; HEALTHY], "{result}");
    }
}
