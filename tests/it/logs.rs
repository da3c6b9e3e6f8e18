//! The log: how lines look, how many there are, and that they need no reader.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use wazzup_exporter::simulator::{AccountSpec, Discovery, Role, UserSpec};

use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::http::client;
use super::support::samples::{Samples, samples, value};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::{guard, until, until_true};

/// A line as its keys and values, in their order.
type Line = Vec<(String, String)>;

/// Reads logfmt strictly: keys without odd characters, each once, one space between pairs, and
/// quotes around everything that needs them.
fn logfmt(line: &str) -> Line {
    let mut pairs: Line = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap_or_else(|| panic!("no pair: {rest}"));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
        assert!(!key.is_empty() && key.chars().all(plain), "{key:?} in {line}");
        assert!(pairs.iter().all(|(earlier, _)| earlier != key), "{key} comes twice: {line}");
        let (value, after) = if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = values.next().unwrap().unwrap_or_else(|error| panic!("{error}: {line}"));
            (value, &after[values.byte_offset()..])
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            let odd = |letter: char| "\"=".contains(letter) || letter.is_control();
            assert!(end > 0 && !after[..end].contains(odd), "{line}");
            (after[..end].to_owned(), &after[end..])
        };
        pairs.push((key.to_owned(), value));
        rest = after.strip_prefix(' ').filter(|rest| !rest.is_empty()).unwrap_or_else(|| {
            assert!(after.is_empty(), "behind {key}: {line}");
            ""
        });
    }
    pairs
}

/// The same of a line of JSON; its keys come in the order of the alphabet.
fn json(line: &str) -> Line {
    let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    object.into_iter().map(|(key, value)| (key, text(value))).collect()
}

fn field<'a>(line: &'a Line, key: &str) -> &'a str {
    line.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}

/// Checks what every line begins with.
fn check_head(line: &Line) {
    let time: jiff::Timestamp = field(line, "time").parse().unwrap();
    assert_eq!(field(line, "time"), format!("{time:.3}"), "milliseconds, UTC");
    assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&field(line, "level")));
    let (file, number) = field(line, "source").split_once(".rs:").unwrap();
    assert!(!file.starts_with('/') && number.parse::<u32>().is_ok(), "{file}");
    assert!(!field(line, "msg").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_as_prometheus_writes_them_in_both_formats() {
    let name = r#"acme "&" <co> \ {x="y"} Алматы"#;
    let user = UserSpec::new("1", "Anna", Role::SalesRep).pinned(1, "red");
    let mut settings = still(&[], 0);
    settings.accounts = vec![AccountSpec::new(name, "12345678", "t0ken").user(user)];
    settings.faults = vec!["status=500".parse().unwrap()];
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let file =
        write_config(folder.path(), &configuration(&api, &url, "interval: 200ms, timeout: 5s"));
    let mut logged = Vec::new();
    for (format, read) in [("logfmt", logfmt as fn(&str) -> Line), ("json", json)] {
        let format = format!("--log.format={format}");
        let daemon = Exporter::start(&[&config_flag(&file), &format, "--log.level=trace"]);
        daemon.until_logged("the account cannot be read").await;
        daemon.signal(Signal::TERM);
        let (code, log) = daemon.end();
        assert_eq!(code, Some(0), "{log}");
        let lines: Vec<Line> = log.lines().map(read).collect();
        lines.iter().for_each(check_head);
        if format.ends_with("logfmt") {
            let heads = lines.iter().map(|line| line.iter().take(4).map(|(key, _)| &**key));
            heads.for_each(|keys| {
                assert_eq!(keys.collect::<Vec<_>>(), ["time", "level", "source", "msg"]);
            });
        }
        let down = lines.iter().find(|line| field(line, "msg") == "the account cannot be read");
        let down = down.unwrap_or_else(|| panic!("{log}"));
        logged
            .push(["level", "account", "reason", "problem"].map(|key| field(down, key).to_owned()));
        assert_eq!(field(lines.last().unwrap(), "msg"), "stopped");
    }
    assert_eq!(logged[0], logged[1]);
    assert_eq!(logged[0][..3], ["WARN", name, "server_error"].map(str::to_owned));
    assert!(logged[0][3].contains("500"), "{logged:?}");
}

/// The failed sweeps of an account.
fn failed(samples: &Samples) -> f64 {
    value(samples, r#"wazzup_sweeps_total{account="acme",result="failed"}"#).unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_is_one_line_for_each_reason_and_one_for_its_end() {
    let mut settings = still(&["acme"], 5);
    // Lists are asked for ten times a second, and fail along.
    let often = Duration::from_millis(100);
    settings.accounts[0].discovery = Some(Discovery { every: often, max_users: 100 });
    settings.accounts[0].channels_every = Some(often);
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = configuration(&api, &url, "interval: 100ms, timeout: 5s, stale_after: 10s");
    let yaml = yaml.replace("\n    channels: {enabled: false}", "");
    let daemon = Exporter::start(&[&config_flag(&write_config(folder.path(), &yaml))]);
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    daemon.until("figures", |samples| value(samples, ok) >= Some(3.0)).await;
    let mut sweeps = 0.0;
    for round in 0..10 {
        // The reasons alternate.
        api.clear_faults();
        api.add_fault(["status=500", "reset"][round % 2].parse().unwrap());
        sweeps += 5.0;
        let samples = daemon.until("failed sweeps", |samples| failed(samples) >= sweeps).await;
        sweeps = failed(&samples);
    }
    assert!(sweeps >= 50.0, "{sweeps}");
    api.clear_faults();
    daemon.until_logged("the account can be read again").await;
    let samples = daemon.until("figures", |samples| value(samples, ok) >= Some(6.0)).await;
    let good = value(&samples, ok).unwrap();
    daemon.until("lists", |samples| value(samples, ok) >= Some(good + 5.0)).await;
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.end();
    let about = log.lines().map(logfmt).filter(|line| field(line, "account") == "acme");
    let about: Vec<Line> = about.collect();
    let logged: Vec<_> = about
        .iter()
        .map(|line| [field(line, "level"), field(line, "reason"), field(line, "msg")])
        .collect();
    // A request may have been under way when the reason changed, so either may come first.
    let first = about.first().map_or("", |line| field(line, "reason"));
    let [one, other] = if first == "server_error" {
        ["server_error", "unreachable"]
    } else {
        ["unreachable", "server_error"]
    };
    let both = format!("{one},{other}");
    let expected = [
        ["WARN", one, "the account cannot be read"],
        ["WARN", other, "the account still cannot be read, for another reason"],
        ["INFO", &*both, "the account can be read again"],
    ];
    assert_eq!(logged, expected, "{log}");
    assert!(field(&about[2], "down_for").ends_with('s'), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_alone_is_one_line_and_one_for_its_end() {
    let mut settings = still(&["acme"], 2);
    settings.accounts[0].channels_every = Some(Duration::from_millis(100));
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = configuration(&api, &url, "interval: 100ms, timeout: 5s, stale_after: 10s");
    let yaml = yaml.replace("\n    channels: {enabled: false}", "");
    let daemon = Exporter::start(&[&config_flag(&write_config(folder.path(), &yaml))]);
    api.add_fault("status=403,endpoint=channels".parse().unwrap());
    daemon.until_logged("the list of channels cannot be read").await;
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    let good = value(&samples(&daemon.get("/metrics").await.text().await.unwrap()), ok).unwrap();
    daemon.until("sweeps", |samples| value(samples, ok) >= Some(good + 20.0)).await;
    api.clear_faults();
    daemon.until_logged("the list of channels can be read again").await;
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.end();
    assert_eq!(log.lines().filter(|line| line.contains("account=acme")).count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_a_new_configuration_ends_is_logged_as_over() {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let folder = tempfile::tempdir().unwrap();
    let good = configuration(&api, &url, "interval: 200ms, timeout: 5s");
    let bad = good.replace("token-of-acme", "unknown-token");
    assert_ne!(good, bad);
    let daemon = Exporter::start(&[&config_flag(&write_config(folder.path(), &bad))]);
    daemon.until_logged("the account cannot be read").await;
    write_config(folder.path(), &good);
    daemon.signal(Signal::HUP);
    daemon.until_logged("the account can be read again").await;
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.end();
    let about = log.lines().map(logfmt).filter(|line| !field(line, "reason").is_empty());
    let logged: Vec<_> = about.map(|line| field(&line, "msg").to_owned()).collect();
    assert_eq!(logged, ["the account cannot be read", "the account can be read again"], "{log}");
}

/// A demo whose log is not read.
struct Stalled {
    child: Child,
    stderr: Option<ChildStderr>,
    _stdout: BufReader<ChildStdout>,
    page: String,
    client: reqwest::Client,
}

impl Stalled {
    /// Starts it at trace level and asks its API so often that lines are lost.
    async fn start() -> Self {
        let mut child = command()
            .args(["demo", "--log.level=trace", "--web.listen-address=127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = |name: &str| {
            let mut line = String::new();
            while !line.trim_start().starts_with(name) {
                line.clear();
                assert!(
                    stdout.read_line(&mut line).unwrap() > 0,
                    "it ended before it printed {name}"
                );
            }
            line.trim().strip_prefix(name).unwrap().trim().to_owned()
        };
        let (page, api) = (address("page"), address("simulated API"));
        let stalled = Self { child, stderr, _stdout: stdout, page, client: client() };
        // Its path is part of what is logged of a request.
        let long = format!("{api}{}", "x".repeat(4_000));
        guard("lines that are lost", async {
            while value(&stalled.scrape().await, DROPPED) < Some(100.0) {
                let requests = (0..50).map(|_| stalled.client.get(&long).send());
                for answer in futures_util::future::join_all(requests).await {
                    answer.unwrap();
                }
            }
        })
        .await;
        stalled
    }

    async fn scrape(&self) -> Samples {
        let answer = self.client.get(format!("{}metrics", self.page)).send().await.unwrap();
        samples(&answer.text().await.unwrap())
    }

    /// Ends it with a signal.
    async fn end(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        until("the end of the demo", &[], async || {
            self.child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
        })
        .await
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DROPPED: &str = "wazzup_exporter_log_lines_dropped_total";

/// The good sweeps of all accounts.
fn sweeps(samples: &Samples) -> f64 {
    let good = |series: &str| series.starts_with("wazzup_sweeps_total{") && series.contains("ok");
    samples.iter().filter(|(series, _)| good(series)).map(|(_, n)| n.parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_a_reader_holds_up_neither_sweeps_nor_scrapes_nor_the_end() {
    let stalled = Stalled::start().await;
    let before = sweeps(&stalled.scrape().await);
    until_true("sweeps", async || sweeps(&stalled.scrape().await) >= before + 10.0).await;
    assert_eq!(stalled.end().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_reader_gets_the_number_of_lost_lines() {
    let mut stalled = Stalled::start().await;
    let stderr = BufReader::new(stalled.stderr.take().unwrap());
    let (send, mut lost) = tokio::sync::mpsc::unbounded_channel();
    let reader = std::thread::spawn(move || {
        let lines = stderr.lines().map(|line| logfmt(&line.unwrap()));
        lines
            .inspect(|line| {
                if field(line, "msg").starts_with("lines of the log were lost") {
                    // Only the first is waited for.
                    let _ = send.send(());
                }
            })
            .collect::<Vec<Line>>()
    });
    guard("the line about lost ones", lost.recv()).await.unwrap();
    let dropped = value(&stalled.scrape().await, DROPPED).unwrap();
    assert_eq!(stalled.end().await.code(), Some(0));
    let lines = reader.join().unwrap();
    lines.iter().for_each(check_head);
    let lost = lines.iter().map(|line| field(line, "lines").parse::<f64>().unwrap_or(0.0));
    assert_eq!(lost.sum::<f64>().to_string(), dropped.to_string());
    assert_eq!(field(lines.last().unwrap(), "msg"), "stopped");
}
