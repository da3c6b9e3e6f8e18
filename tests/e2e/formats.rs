//! The exposition as programs read it that had no part in writing it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use wazzup_exporter::simulator::{AccountSpec, Role, Settings, UserSpec};

use super::expected::{Figures, held, odd};
use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::http::client;
use super::support::process::{promtool, run};
use super::support::samples::samples;
use super::support::upstream::{configuration, serve};
use super::support::wait::until;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// More than one chunk of users, each of which is compressed on its own.
const MANY: usize = 2_500;

/// The odd accounts and a large one.
fn odd_and_many() -> Settings {
    let mut settings = odd();
    let mut large = AccountSpec::new("large", "87654321", "token-of-large");
    for user in 0..MANY {
        let spec = UserSpec::new(&format!("u{user}"), "Name", Role::SalesRep);
        large = large.user(spec.pinned(user as u64, "red"));
    }
    settings.accounts.push(large);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_to_say_but_of_one_name() {
    // Few: the time that promtool 3 takes grows with the square of the series.
    let (api, url) = serve(odd()).await;
    let folder = tempfile::tempdir().unwrap();
    let hours = "\n    working_hours: {timezone: UTC, days: mon-sun, from: '00:00', to: '24:00'}";
    let yaml = configuration(&api, &url, "interval: 30s");
    let yaml = yaml.replace("\n    channels: {enabled: false}", hours);
    let config = write_config(folder.path(), &yaml);
    let polled = run("wazzup-exporter", command().arg("poll").arg(config_flag(&config)), b"");
    let complaints = String::from_utf8_lossy(&polled.stderr);
    assert!(polled.status.success() && !polled.stdout.is_empty(), "{complaints}");
    let checked = run("promtool", promtool().args(["check", "metrics"]), &polled.stdout);
    let [stdout, stderr] =
        [&checked.stdout, &checked.stderr].map(|out| String::from_utf8_lossy(out));
    assert_eq!((&*stdout, &*stderr), ("", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_parser_reads_openmetrics_as_it_was_meant() {
    let (api, url) = serve(odd_and_many()).await;
    let exporter = swept(Exporter::polling(&api, &url, "interval: 1s"), 2).await;
    let answer = client().get(exporter.url("/metrics")).header("Accept", OPEN_METRICS);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], OPEN_METRICS);
    let series = parse_open_metrics(&answer.bytes().await.unwrap());
    let figures: Figures = series
        .into_iter()
        .filter(|((name, _), _)| name == "wazzup_unanswered_messages")
        .map(|((_, labels), value)| {
            let [account, user, kind] =
                ["account", "user", "type"].map(|name| labels[name].clone());
            ((account, user, kind), value.to_string())
        })
        .collect();
    assert_eq!(figures, held(&api));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_unpacks_compressed_answers_to_the_same_series() {
    let (api, url) = serve(odd_and_many()).await;
    let exporter = swept(Exporter::polling(&api, &url, "interval: 1s"), 2).await;
    let url = exporter.url("/metrics");
    let folder = tempfile::tempdir().unwrap();
    let open_metrics = |compressed| {
        parse_open_metrics(&curl(&url, OPEN_METRICS, compressed, folder.path()))
            .into_keys()
            .collect()
    };
    let [plain, unpacked]: [BTreeSet<_>; 2] = [false, true].map(open_metrics);
    assert!(plain.len() > MANY * 5, "{}", plain.len());
    assert_eq!(unpacked, plain);
    let text = |compressed| {
        let text = curl(&url, "text/plain", compressed, folder.path());
        samples(std::str::from_utf8(&text).unwrap()).into_keys().collect()
    };
    let [plain, unpacked]: [BTreeSet<_>; 2] = [false, true].map(text);
    assert!(plain.len() > MANY * 5, "{}", plain.len());
    assert_eq!(unpacked, plain);
}

/// The exporter after the first good sweep of so many accounts; no series comes later.
async fn swept(exporter: Exporter, accounts: usize) -> Exporter {
    until("good sweeps of all accounts", &[&exporter.process], async || {
        let answer = client().get(exporter.url("/metrics")).send().await;
        let text = answer.map_err(|error| format!("{error:?}"))?.text().await;
        let samples = samples(&text.map_err(|error| format!("{error:?}"))?);
        let swept = samples.iter().filter(|(series, value)| {
            series.starts_with("wazzup_sweeps_total{")
                && series.ends_with(r#"result="ok"}"#)
                && *value != "0"
        });
        let swept = swept.count();
        if swept == accounts { Ok(()) } else { Err(format!("{swept} of {accounts} are done")) }
    })
    .await;
    exporter
}

/// What curl makes of an answer; says so if the answer is not encoded as it was asked for.
fn curl(url: &str, accept: &str, compressed: bool, folder: &Path) -> Vec<u8> {
    let head = folder.join("head");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "60", "--noproxy", "*"]);
    command.args(["--header", &format!("Accept: {accept}"), "--dump-header"]).arg(&head).arg(url);
    if compressed {
        command.arg("--compressed");
    }
    let output = run("curl", &mut command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let head = std::fs::read_to_string(head).unwrap().to_ascii_lowercase();
    assert_eq!(head.contains("\r\ncontent-encoding: gzip\r\n"), compressed, "{head}");
    output.stdout
}

type Sample = (String, BTreeMap<String, String>);

/// The samples as the parser of `prometheus_client` reads them; a sample that comes twice is a failure.
fn parse_open_metrics(text: &[u8]) -> BTreeMap<Sample, f64> {
    let Ok(python) = std::env::var("OPENMETRICS_PYTHON") else {
        panic!(
            "OPENMETRICS_PYTHON must name a Python interpreter that has the package \
             prometheus_client; `make test` installs one and sets it"
        );
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/read_openmetrics.py");
    let output = run(&python, Command::new(&python).arg(script), text);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{python}:\n{complaint}");
    let read: Vec<(String, BTreeMap<String, String>, f64)> =
        serde_json::from_slice(&output.stdout).unwrap();
    let count = read.len();
    let samples: BTreeMap<_, _> =
        read.into_iter().map(|(name, labels, value)| ((name, labels), value)).collect();
    assert_eq!(samples.len(), count, "a series comes twice");
    samples
}
