//! An exporter of many accounts that something happens to, and what must not happen to them.

use super::support::exporter::Exporter;
use super::support::samples::{Samples, value};

pub(crate) const ACCOUNTS: usize = 100;

/// The names of so many accounts.
pub(crate) fn names() -> Vec<String> {
    (0..ACCOUNTS).map(|number| format!("account-{number}")).collect()
}

/// When the user `u0` of each account was read last.
pub(crate) fn last_successes(samples: &Samples) -> Vec<f64> {
    let of = |account: String| {
        let series = format!(
            r#"wazzup_user_last_success_timestamp_seconds{{account="{account}",user="u0"}}"#
        );
        value(samples, &series).unwrap_or_default()
    };
    names().into_iter().map(of).collect()
}

/// Waits until each account was read again, `seconds` after it was in `before`.
pub(crate) async fn until_read_again(
    exporter: &Exporter,
    before: &Samples,
    seconds: f64,
) -> Samples {
    let before = last_successes(before);
    exporter
        .until("readings of all", |samples| {
            let pairs = last_successes(samples).into_iter().zip(&before);
            pairs.into_iter().all(|(now, before)| now > before + seconds)
        })
        .await
}

/// Asserts that each account can be read, and that none of `counters` has counted for one.
pub(crate) fn assert_undisturbed(before: &Samples, after: &Samples, counters: &[&str]) {
    for account in names() {
        let series = |name: &str| format!(r#"{name}{{account="{account}"}}"#);
        assert_eq!(value(after, &series("wazzup_up")), Some(1.0), "{account}");
        for counter in counters {
            let series = series(counter);
            assert_eq!(after.get(&series), before.get(&series), "{series}");
        }
    }
}

/// Asserts that an exporter has no thread for each account.
pub(crate) fn assert_few_threads(exporter: &Exporter, most: usize) {
    let pid = exporter.process.pid().as_raw_nonzero();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    assert!(threads <= most, "{threads} threads");
}
