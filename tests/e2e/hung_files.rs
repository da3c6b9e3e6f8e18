//! Files on a file system that stops responding while the exporter runs. Needs root and FUSE.

use std::collections::BTreeMap;

use rustix::process::Signal;

use super::many::{assert_few_threads, assert_undisturbed, names, until_read_again};
use super::support::exporter::Exporter;
use super::support::hanging_fs::HangingFs;
use super::support::samples::value;
use super::support::upstream::{configuration, serve, still};

const LOADED: &str = "wazzup_exporter_config_last_reload_successful";

/// Threads of an exporter whose files hang: a bounded number, and its usual ones.
const THREADS_MAX: usize = 90;

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_read_with_their_last_tokens_while_the_files_hang() {
    let names = names();
    let token = |name: &String| (name.clone(), format!("token-of-{name}\n"));
    let Some(files) = HangingFs::mount(names.iter().map(token).collect()) else { return };
    let accounts: Vec<&str> = names.iter().map(String::as_str).collect();
    let (api, url) = serve(still(&accounts, 1)).await;
    let mut yaml = configuration(&api, &url, "interval: 2s, timeout: 2s, stale_after: 20s");
    for name in &names {
        let file = format!("token_file: '{}'", files.path().join(name).display());
        yaml = yaml.replace(&format!("token: \"token-of-{name}\""), &file);
    }
    let exporter = Exporter::configured(&api, &yaml, &[]);
    let ups = names.iter().map(|name| format!(r#"wazzup_up{{account="{name}"}}"#));
    let ups: Vec<String> = ups.collect();
    let all_up = |samples: &_| ups.iter().all(|up| value(samples, up) == Some(1.0));
    exporter.until("readings", all_up).await;

    files.hang(true);
    let before = exporter.scrape().await;
    exporter.until_logged("the token file does not respond; what it held last is used").await;
    let samples = until_read_again(&exporter, &before, 6.0).await;
    let counters = ["wazzup_exporter_poller_restarts_total", "wazzup_sweep_overruns_total"];
    assert_undisturbed(&before, &samples, &counters);
    assert_few_threads(&exporter, THREADS_MAX);

    files.hang(false);
    exporter.until_logged("the token file responds again").await;
    exporter.signal(Signal::TERM);
    let (code, log) = exporter.end();
    assert_eq!(code, Some(0));
    let lines = log.lines().filter(|line| line.contains("does not respond")).count();
    assert!(lines <= names.len(), "{lines} lines");
    assert!(!log.contains("token-of-"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn account_files_that_hang_cost_a_reload_and_nothing_else() {
    let (api, url) = serve(still(&["acme", "globex"], 1)).await;
    let yaml = configuration(&api, &url, "interval: 1s, timeout: 2s, stale_after: 20s");
    let (main, globex) = yaml.split_once("  - name: \"globex\"").unwrap();
    let globex = format!("accounts:\n  - name: \"globex\"{globex}");
    let files = BTreeMap::from([("globex.yaml".to_owned(), globex)]);
    let Some(files) = HangingFs::mount(files) else { return };
    let globs = format!("account_files: ['{}']\n", files.path().join("globex.yaml").display());
    let exporter = Exporter::configured(&api, &format!("{globs}{main}"), &[]);
    let up = |account: &str| format!(r#"wazzup_up{{account="{account}"}}"#);
    let both =
        |samples: &_| ["acme", "globex"].iter().all(|one| value(samples, &up(one)) == Some(1.0));
    exporter.until("readings of both", both).await;

    files.hang(true);
    exporter.signal(Signal::HUP);
    exporter.until_logged("received SIGHUP").await;
    exporter.until_logged("the files could not be read within 30s").await;
    let samples = exporter.scrape().await;
    assert_eq!(value(&samples, LOADED), Some(0.0));
    // Readings that are older than 20 s are not shown.
    assert!(both(&samples), "{samples:?}");

    files.hang(false);
    exporter.signal(Signal::HUP);
    exporter.until("a reload", |samples| value(samples, LOADED) == Some(1.0)).await;
}
