//! The whole process is stopped for a while, as by SIGSTOP, a cgroup freezer or a suspend.

use std::time::Duration;

use rustix::process::Signal;

use super::many::{assert_undisturbed, names, until_read_again};
use super::support::exporter::Exporter;
use super::support::samples::value;
use super::support::upstream::{serve, still};

/// A poller is stuck when it is two timeouts and five seconds late.
const STUCK_AFTER: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_every_account_is_read_and_no_poller_counts_as_stuck() {
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (api, url) = serve(still(&names, 2)).await;
    let exporter = Exporter::polling(&api, &url, "interval: 2s, timeout: 1s");
    let ok = |name: &&str| format!(r#"wazzup_sweeps_total{{account="{name}",result="ok"}}"#);
    let sweeps: Vec<String> = names.iter().map(ok).collect();
    let swept = |samples: &_| sweeps.iter().all(|ok| value(samples, ok) >= Some(1.0));
    let before = exporter.until("a sweep of all", swept).await;

    exporter.signal(Signal::STOP);
    tokio::time::sleep(2 * STUCK_AFTER).await;
    exporter.signal(Signal::CONT);
    let away = 2.0 * STUCK_AFTER.as_secs_f64();
    let samples = until_read_again(&exporter, &before, away).await;
    assert_undisturbed(&before, &samples, &["wazzup_exporter_poller_restarts_total"]);
    assert!(!exporter.log().contains("stuck"), "{}", exporter.log());
}
