//! What a kill costs an account whose refresh tokens are good once.
//!
//! The program is killed (SIGKILL) at random moments around its renewals, `CRASHES` times; `make
//! crash-test` does it a hundred times. Upstream counts what it has given out, so that a test knows
//! whether the program still holds what it needs.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use wazzup_exporter::simulator::Endpoint;

use super::partners::{Scene, label, main_partner};
use super::support::exporter::{Exporter, config_flag};
use super::support::samples::{Samples, value};
use super::support::wait::{guard, random_below};

/// How often the program is killed unless `CRASHES` says otherwise.
const CRASHES: u32 = 20;
/// Latest moment of a kill after a refresh has reached upstream.
const AFTER_ARRIVAL: Duration = Duration::from_millis(6);
/// How long an access token lives; it is renewed a little earlier.
const LIFE: Duration = Duration::from_secs(1);

const LOGIN_NEEDED: &str = r#"wazzup_account_failing{account="acme",reason="login_needed"}"#;

/// The scene, and what a test knows of the program in it.
struct CrashTest {
    scene: Scene,
    flags: [String; 3],
}

impl CrashTest {
    async fn new() -> Self {
        let scene = Scene::new(main_partner(LIFE.as_secs()), vec![label("acme", 0, 2)]).await;
        let file = scene.config_file("interval: 100ms, timeout: 5s");
        let storage = format!("--storage.path={}", scene.path("data").display());
        let flags = [config_flag(&file), storage, "--log.level=debug".to_owned()];
        Self { scene, flags }
    }

    fn start(&self) -> Exporter {
        Exporter::start(&self.flags.each_ref().map(String::as_str))
    }

    /// Waits until the program has renewed and reads with what it got, or says that a login
    /// is needed. Whether it renewed.
    async fn renews(&self, process: &Exporter) -> bool {
        let done = |samples: &Samples| {
            renewals(samples) >= 1.0 && sweeps(samples, "ok") >= 1.0
                || samples.contains_key(LOGIN_NEEDED)
        };
        !process.until("a renewal", done).await.contains_key(LOGIN_NEEDED)
    }

    /// Sees that the program has made one request for tokens before it needs a login, and logs in.
    async fn log_in(&self, process: &Exporter) {
        let later = sweeps(&process.until("it", |_| true).await, "failed") + 5.0;
        let samples = process.until("sweeps", |samples| sweeps(samples, "failed") >= later).await;
        assert_eq!(requests_for_tokens(&samples), 1);
        assert_eq!(text(&self.scene.kept("acme").unwrap()["login_needed"]), "answer_lost");
        self.scene.log_in(0, "acme").await;
        let done =
            |samples: &Samples| !samples.contains_key(LOGIN_NEEDED) && renewals(samples) >= 1.0;
        process.until("a renewal after the login", done).await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn sweeps(samples: &Samples, result: &str) -> f64 {
    let series = format!(r#"wazzup_sweeps_total{{account="acme",result="{result}"}}"#);
    value(samples, &series).unwrap_or(0.0)
}

fn renewals(samples: &Samples) -> f64 {
    let series = r#"wazzup_token_refreshes_total{account="acme",result="ok"}"#;
    value(samples, series).unwrap_or(0.0)
}

fn requests_for_tokens(samples: &Samples) -> u64 {
    let start = r#"wazzup_api_requests_total{account="acme",endpoint="token","#;
    let found = samples.iter().filter(|(series, _)| series.starts_with(start));
    found.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

/// The figures behind a word in the log lines about renewals.
fn micros(log: &str, word: &str) -> Vec<u64> {
    let lines = log.lines().filter(|line| line.contains("renewed the token"));
    let figures = lines.filter_map(|line| {
        let (_, rest) = line.split_once(word)?;
        rest.split_whitespace().next()?.parse().ok()
    });
    figures.collect()
}

#[tokio::test]
async fn a_kill_loses_a_login_only_between_upstreams_answer_and_the_disk() {
    let crashes = std::env::var("CRASHES").map_or(CRASHES, |crashes| crashes.parse().unwrap());
    let test = CrashTest::new().await;
    let (mut widths, mut disk, mut lost) = (Vec::new(), Vec::new(), 0);
    let mut process = test.start();
    assert!(test.renews(&process).await);
    let is_started = || test.scene.kept("acme").is_some_and(|kept| kept["started"] == true);
    for crash in 0..crashes {
        let mut started = false;
        match crash % 4 {
            0 => tokio::time::sleep(random_below(LIFE)).await,
            1 => {
                process.signal(Signal::KILL);
                process.end();
                // What this kill has lost is noted by the next process, which is killed as well.
                started = is_started();
                process = test.start();
                tokio::time::sleep(random_below(LIFE / 4)).await;
            }
            _ => {
                let asked = test.scene.asked(Endpoint::Refresh);
                let refresh =
                    test.scene.api.wait_until(|log| log.endpoint(Endpoint::Refresh) > asked);
                guard("a refresh", refresh).await;
                tokio::time::sleep(random_below(AFTER_ARRIVAL)).await;
            }
        }
        process.signal(Signal::KILL);
        let (_, log) = process.end();
        let (whole, answered) = (micros(&log, "stored_micros="), micros(&log, "answered_micros="));
        disk.extend(whole.iter().zip(answered).map(|(whole, answered)| whole - answered));
        widths.extend(whole);
        started |= is_started();
        process = test.start();
        if !test.renews(&process).await {
            lost += 1;
            assert!(started, "a token was lost that had not been sent, or whose answer was stored");
            test.log_in(&process).await;
        }
    }
    println!("{crashes} kills, of which {lost} between upstream's answer and the disk");
    println!("from sending to the disk, in microseconds: {}", spread(&mut widths));
    println!("of that from the answer to the disk:       {}", spread(&mut disk));
}

fn spread(figures: &mut [u64]) -> String {
    figures.sort_unstable();
    let [low, middle, high] = [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at]);
    format!("{low} at least, {middle} in the middle, {high} at most, of {}", figures.len())
}

#[tokio::test]
async fn a_kill_while_the_answer_is_on_its_way_costs_one_attempt_and_a_login() {
    let test = CrashTest::new().await;
    let process = test.start();
    assert!(test.renews(&process).await);
    test.scene.api.add_fault("late=20s,endpoint=refresh".parse().unwrap());
    let granted = test.scene.granted(Endpoint::Refresh);
    test.scene.until_granted(Endpoint::Refresh, granted + 1).await;
    process.signal(Signal::KILL);
    process.end();
    test.scene.api.clear_faults();
    let process = test.start();
    assert!(!test.renews(&process).await);
    test.log_in(&process).await;
}
