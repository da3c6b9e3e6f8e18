//! A storage on a real file system that is frozen while the exporter runs. Needs root and loop devices.

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::Value;
use wazzup_exporter::simulator::Endpoint;

use super::many::{ACCOUNTS, assert_few_threads, assert_undisturbed, names, until_read_again};
use super::support::exporter::Exporter;
use super::support::files::write_private;
use super::support::http::client;
use super::support::mount::Mount;
use super::support::samples::value;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::{guard, until_true};

/// Threads of an exporter of so many accounts: far fewer than one for each.
const THREADS_MAX: usize = 64;
const POLL: &str = "interval: 2s, timeout: 2s, stale_after: 20s";
const RESET_TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn storage(disk: &Mount) -> String {
    format!("--storage.path={}", disk.path().join("data").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_disk_is_reported_and_stops_neither_polling_nor_scraping() {
    let Some(disk) = Mount::ext4() else { return };
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (api, url) = serve(still(&names, 1)).await;
    let exporter = Exporter::polling_with(&api, &url, POLL, &[storage(&disk)]);
    let folders = disk.path().join("data");
    let stored = |file: &str| {
        let folders = std::fs::read_dir(&folders).into_iter().flatten();
        folders.filter(|folder| folder.as_ref().unwrap().path().join(file).exists()).count()
    };
    exporter.until("everything stored", |_| stored("trends.json") == ACCOUNTS).await;

    disk.freeze("-f").unwrap();
    let frozen = exporter.scrape().await;
    exporter.until_logged("does not respond").await;
    let before = exporter.scrape().await;
    // Each account is read at least three times more.
    let samples = until_read_again(&exporter, &before, 4.0).await;
    let counters = ["wazzup_exporter_poller_restarts_total", "wazzup_sweep_overruns_total"];
    assert_undisturbed(&frozen, &samples, &counters);
    assert_few_threads(&exporter, THREADS_MAX);

    disk.freeze("-u").unwrap();
    exporter.signal(Signal::TERM);
    assert_eq!(exporter.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_on_a_frozen_disk_are_refused_and_hold_up_nothing_else() {
    let Some(disk) = Mount::ext4() else { return };
    let accounts = ["acme", "globex", "initech"];
    let (api, url) = serve(still(&accounts, 1)).await;
    let tokens = tempfile::tempdir().unwrap();
    write_private(&tokens.path().join("reset"), RESET_TOKEN);
    let enabled = format!(
        "\n    reset: {{enabled: true, token_file: '{}'}}\n    users:",
        tokens.path().join("reset").display()
    );
    let yaml = configuration(&api, &url, POLL).replace("\n    users:", &enabled);
    let admin = ["--web.enable-admin-api", "--web.admin-listen-address=127.0.0.1:0"];
    let flags = [vec![storage(&disk)], admin.map(str::to_owned).to_vec()].concat();
    let exporter = Exporter::configured(&api, &yaml, &flags);
    let admin = exporter.until_admin().await;
    let all_read = accounts.map(|account| format!(r#"wazzup_up{{account="{account}"}}"#));
    exporter
        .until("readings", |samples| all_read.iter().all(|up| value(samples, up) == Some(1.0)))
        .await;
    let reset = async |number: usize| {
        let url = format!("http://{admin}/api/v1/admin/accounts/{}/reset", accounts[number]);
        let request = client().post(url).header("x-reset-token", RESET_TOKEN);
        let request = request.header("content-type", "application/json");
        let body = format!(r#"{{"confirm":"{}"}}"#, 10_000_000 + number);
        let response = guard("an answer", request.body(body).send()).await.unwrap();
        let status = response.status().as_u16();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, answer["code"].as_str().unwrap().to_owned())
    };

    disk.freeze("-f").unwrap();
    // More of them than the exporter has threads for sockets, which is one for each processor.
    let processors = std::thread::available_parallelism().unwrap().get();
    let mut answers = std::pin::pin!(join_all((0..3.max(processors + 1)).map(|n| reset(n % 3))));
    let mut healthy = 0;
    let answers = loop {
        tokio::select! {
            biased;
            answers = &mut answers => break answers,
            response = exporter.get("/-/healthy") => {
                assert_eq!(response.status(), 200);
                exporter.scrape().await;
                healthy += 1;
            }
        }
    };
    assert!(healthy > 1, "the resets have come to their end at once: {answers:?}");
    for answer in answers {
        let busy = (409, "reset_in_progress".to_owned());
        let failed = (500, "storage_failed".to_owned());
        assert!(answer == failed || answer == busy, "{answer:?}");
    }
    assert_eq!(api.counts().endpoint(Endpoint::Reset), 0);

    disk.freeze("-u").unwrap();
    // What could not be recorded in time is not sent later, and its cooldown holds.
    until_true("a refusal", async || reset(0).await == (429, "cooldown".to_owned())).await;
    assert_eq!(api.counts().endpoint(Endpoint::Reset), 0);
}
