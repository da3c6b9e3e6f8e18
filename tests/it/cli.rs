//! The program as a user starts it: commands, exit codes, signals.

use std::io::{BufRead as _, BufReader};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::samples::{Samples, value};
use super::support::upstream::{configuration, serve, still, wide};
use super::support::wait::guard;

pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_configuration_is_fine_and_a_bad_one_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let good = write_config(
        folder.path(),
        "accounts:\n- name: acme\n  auth: {token: x}\n  users: [{id: '1'}]\n",
    );
    let checked = run(&["check-config", &config_flag(&good)]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(text(&checked.stdout).ends_with("config.yaml: fine; accounts: 1, users: 1\n"));
    let bad = write_config(
        folder.path(),
        "poll: {interval: -5s}\naccounts:\n- name: acme\n  users: []\n",
    );
    for command in ["check-config", "poll"] {
        let checked = run(&[command, &config_flag(&bad)]);
        assert_eq!(checked.status.code(), Some(2), "{checked:?}");
        let errors = text(&checked.stderr);
        assert!(errors.contains("config.yaml:1:"), "{errors}");
        assert!(errors.contains("config.yaml:4:"), "{errors}");
        assert!(checked.stdout.is_empty());
    }
    let started = run(&[&config_flag(&bad), "--web.listen-address=127.0.0.1:0"]);
    assert_eq!(started.status.code(), Some(2));
    assert!(!text(&started.stderr).contains("listening"));
}

#[test]
fn bad_usage_is_exit_code_2_and_names_the_flag() {
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["--web.listen-address=nonsense"],
        &["--web.telemetry-path=metrics"],
        &["--web.telemetry-path=/-/ready"],
        &["--web.telemetry-path=/a/../b"],
        &["--web.telemetry-path=/m\u{fc}"],
        &["healthcheck", "--url=file:///etc/passwd"],
        &["simulator", "--fault=explode"],
        &["simulator", "--users=3"],
        &["demo", "--speed=-1"],
        &["--log.level=loud"],
        &["--config.file=/nonexistent/config.yaml"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let word = arguments[arguments.len() - 1].split('=').next().unwrap();
        let named = text(&output.stderr).contains(word.trim_start_matches('-'));
        assert!(named || word == "--config.file", "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_switch_is_set_by_its_variable_in_words_and_an_empty_variable_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "accounts: [{name: a, auth: {token_command: [get]}, users: [{id: '1'}]}]";
    let file = config_flag(&write_config(folder.path(), yaml));
    let checked = |name: &str, value: &str| {
        let mut command = command();
        command.env("WAZZUP_EXPORTER_CONFIG_ALLOW_TOKEN_COMMAND", "true");
        command.env(format!("WAZZUP_EXPORTER_{name}"), value);
        command.args(["check-config", &file]).output().unwrap()
    };
    let switch = "CONFIG_ALLOW_TOKEN_COMMAND";
    for (value, code) in
        [("true", 0), ("1", 0), ("yes", 0), ("on", 0), ("false", 2), ("0", 2), ("no", 2), ("", 2)]
    {
        let output = checked(switch, value);
        assert_eq!(output.status.code(), Some(code), "{value:?}: {output:?}");
        let refused = text(&output.stderr).contains("token_command");
        assert_eq!(refused, code == 2, "{value:?}: {output:?}");
    }
    let nonsense = checked(switch, "perhaps");
    assert_eq!(nonsense.status.code(), Some(2), "{nonsense:?}");
    assert!(text(&nonsense.stderr).contains("--config.allow-token-command"), "{nonsense:?}");
    for name in ["LOG_LEVEL", "WEB_TELEMETRY_PATH", "TOTAL_SHARDS", "STORAGE_PATH"] {
        let output = checked(name, "");
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
    }
}

#[test]
fn version_and_help_are_printed() {
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    let expected = concat!("wazzup-exporter, version ", env!("CARGO_PKG_VERSION"), " (revision: ");
    assert!(text(&version.stdout).starts_with(expected), "{version:?}");
    let help = run(&["--help"]);
    for flag in ["--config.file", "--web.listen-address", "--log.level", "check-config", "demo"] {
        assert!(text(&help.stdout).contains(flag), "{flag}");
    }
}

#[test]
fn a_taken_port_is_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file =
        write_config(folder.path(), "accounts: [{name: a, auth: {token: x}, users: [{id: '1'}]}]");
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    let output = run(&[&config_flag(&file), &address]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("cannot listen on 127.0.0.1:"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_prints_the_metrics_and_fails_if_a_reading_failed() {
    let (api, url) = serve(still(&["acme"], 3)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &configuration(&api, &url, "interval: 30s"));
    let good = run(&["poll", &config_flag(&file)]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let series = r#"wazzup_unanswered_messages{account="acme",user="u2",type="red"} 21"#;
    assert!(text(&good.stdout).contains(series));
    api.remove_user("acme", "u1").unwrap();
    let bad = run(&["poll", &config_flag(&file)]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(text(&bad.stdout).contains(series));
    assert!(text(&bad.stderr).contains("accounts: acme"), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_middle_of_a_hanging_sweep_ends_the_daemon_within_two_seconds() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut settings = still(&["acme"], 50);
        settings.faults = vec!["hang".parse().unwrap()];
        let (api, url) = serve(settings).await;
        let folder = tempfile::tempdir().unwrap();
        let yaml = configuration(&api, &url, "interval: 200ms, timeout: 60s");
        let daemon = Exporter::start(&[&config_flag(&write_config(folder.path(), &yaml))]);
        guard("hanging requests", api.wait_until(|log| log.open >= 8)).await;
        daemon.signal(Signal::HUP);
        assert_eq!(daemon.get("/-/healthy").await.status(), 200);
        let asked = Instant::now();
        daemon.signal(signal);
        let (code, log) = daemon.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert!(log.contains("SIGHUP") && log.contains("stopped"), "{log}");
        assert!(!log.contains("token-of-acme"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_aborts() {
    let (api, url) = serve(wide(5_000)).await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = configuration(&api, &url, "interval: 24h");
    let daemon = Exporter::start(&[&config_flag(&write_config(folder.path(), &yaml))]);
    // A scrape that is not read keeps the daemon from ending at the first signal.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stuck = socket.connect(daemon.address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stuck, request).await.unwrap();
    guard("the first byte", tokio::io::AsyncReadExt::read_u8(&mut stuck)).await.unwrap();
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    let (code, log) = daemon.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("aborted by a second signal"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_descriptors_listens_on_when_there_are_some_again() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = configuration(&api, &url, "interval: 1h");
    let daemon = Exporter::start(&[&config_flag(&write_config(folder.path(), &yaml))]);
    assert_eq!(daemon.get("/-/healthy").await.status(), 200);
    let limit = Rlimit { current: Some(30), maximum: Some(30) };
    prlimit(Some(daemon.process.pid()), Resource::Nofile, limit).unwrap();
    let mut open = Vec::new();
    for _ in 0..40 {
        open.push(tokio::net::TcpStream::connect(daemon.address).await.unwrap());
    }
    daemon.until_logged("cannot accept a connection").await;
    drop(open);
    assert_eq!(daemon.get("/-/healthy").await.status(), 200);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_distinguishes_a_healthy_daemon_from_none() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &configuration(&api, &url, "interval: 30s"));
    let daemon = Exporter::start(&[&config_flag(&file)]);
    let flag = format!("--url=http://{}/-/healthy", daemon.address);
    assert_eq!(run(&["healthcheck", &flag]).status.code(), Some(0));
    let wrong = format!("--url=http://{}/-/nothing", daemon.address);
    assert_eq!(run(&["healthcheck", &wrong]).status.code(), Some(1));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, Some(0));
    let gone = run(&["healthcheck", &flag]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    assert!(text(&gone.stderr).contains("no answer from"), "{gone:?}");
    assert!(text(&gone.stderr).contains("refused"), "{gone:?}");
    let secret = flag.replace("http://", "http://user:hunter2@");
    assert!(!text(&run(&["healthcheck", &secret]).stderr).contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_life() {
    let demo = Exporter::start(&["demo"]);
    let whole = |samples: &Samples| {
        let has = |labels: &str| samples.keys().any(|series| series.contains(labels));
        let red = samples.iter().any(|(series, value)| {
            series.starts_with("wazzup_unanswered_messages{")
                && series.ends_with(r#"type="red"}"#)
                && value != "0"
        });
        let up = |account: &str| {
            value(samples, &format!("wazzup_up{{account=\"{account}\"}}")) == Some(1.0)
        };
        // Accounts of a partner, one with an API key, a user whose reading is not trusted and a failing account.
        red && ["alatau-fitness", "bereke-market", "zebra-print"].into_iter().all(up)
            && has(r#"account="gulder-flowers",user="101",reason="no_active_channel""#)
            && has(r#"account="avtoservis-plus",reason="unauthorized""#)
    };
    let samples = demo.until("the accounts of the demo", whole).await;
    let accounts = samples.keys().filter(|series| series.starts_with("wazzup_up{")).count();
    assert_eq!(accounts, 8);
    let secrets = format!("wazzup-exporter-demo-{}-", demo.process.pid());
    let folders = || {
        let names =
            std::env::temp_dir().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(&secrets)).count()
    };
    assert_eq!(folders(), 1);
    demo.signal(Signal::INT);
    assert_eq!(demo.end().0, Some(0));
    assert_eq!(folders(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_writes_a_configuration_that_polls_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sim.yaml");
    let flag = format!("--write-config={}", file.display());
    let mut simulator = command()
        .args(["simulator", "--listen=127.0.0.1:0", "--accounts=2", "--users=5", &flag])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(simulator.stdout.take().unwrap()).lines();
    assert!(
        lines.next().unwrap().unwrap().starts_with("The simulated Wazzup24 answers at http://")
    );
    assert!(lines.next().unwrap().unwrap().contains("wazzup-exporter poll --config.file="));
    let polled = run(&["poll", &config_flag(&file)]);
    assert_eq!(polled.status.code(), Some(0), "{polled:?}");
    assert_eq!(text(&polled.stdout).matches("wazzup_user_up{").count(), 10);
    kill_process(Pid::from_child(&simulator), Signal::TERM).unwrap();
    assert_eq!(simulator.wait().unwrap().code(), Some(0));
}
