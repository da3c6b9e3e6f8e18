//! The daemon under a service manager, whose part these tests take: they hold the notification socket, and
//! pass listeners as systemd does.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use wazzup_exporter::simulator::Simulator;

use super::cli::text;
use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::{write_config, write_script};
use super::support::samples::Samples;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::GUARD;

/// The service manager's end of the notification socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        Self { socket, path, folder }
    }

    /// The daemon, with a watchdog of so many microseconds.
    fn command(&self, api: &Simulator, url: &str, poll: &str, watchdog: &str) -> Command {
        let config = write_config(self.folder.path(), &configuration(api, url, poll));
        let mut command = command();
        command.arg(config_flag(&config)).env("NOTIFY_SOCKET", &self.path);
        command.env("WATCHDOG_USEC", watchdog);
        command
    }

    /// The assignments of the next message.
    fn receive(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        message.lines().map(str::to_owned).collect()
    }

    /// Everything up to and with this assignment.
    fn receive_until(&self, assignment: &str) -> Vec<String> {
        let mut received = Vec::new();
        while !received.iter().any(|one| one == assignment) {
            received.extend(self.receive());
        }
        received
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_notifies_readiness_watchdog_and_stop() {
    let (api, url) = serve(still(&["acme", "globex"], 2)).await;
    let manager = Manager::new();
    let poll = "interval: 500ms, timeout: 10s, stale_after: 1m";
    let process = Exporter::spawn(&mut manager.command(&api, &url, poll, "200000"));
    let start = manager.receive_until("READY=1");
    assert_eq!(process.get("/-/ready").await.status(), 200);
    let whole = [start, manager.receive_until("WATCHDOG=1")].concat();
    assert!(whole.contains(&"STATUS=polling 2 accounts".to_owned()), "{whole:?}");
    assert!(!whole.contains(&"STOPPING=1".to_owned()), "{whole:?}");
    for _ in 0..3 {
        assert_eq!(manager.receive(), ["WATCHDOG=1"]);
    }
    process.signal(Signal::TERM);
    let end = manager.receive_until("STOPPING=1");
    assert_eq!(end.last().unwrap(), "STATUS=stopping");
    assert!(!end.contains(&"READY=1".to_owned()), "{end:?}");
    assert_eq!(process.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_readings_it_extends_the_timeout_and_is_not_ready() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    api.add_fault("hang".parse().unwrap());
    let manager = Manager::new();
    let poll = "interval: 24h, timeout: 10m";
    let process = Exporter::spawn(&mut manager.command(&api, &url, poll, "200000"));
    assert!(manager.receive().contains(&"EXTEND_TIMEOUT_USEC=30000000".to_owned()));
    for _ in 0..3 {
        assert_eq!(manager.receive(), ["WATCHDOG=1"]);
    }
    assert_eq!(process.get("/-/ready").await.status(), 503);
    process.signal(Signal::TERM);
    let end = manager.receive_until("STOPPING=1");
    assert!(!end.contains(&"READY=1".to_owned()), "{end:?}");
    assert_eq!(process.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_a_down_account_and_without_watchdog_there_are_no_pings() {
    let (api, url) = serve(still(&["acme", "globex"], 1)).await;
    api.add_fault("status=401,account=acme".parse().unwrap());
    let manager = Manager::new();
    let poll = "interval: 500ms, timeout: 10s, stale_after: 1m";
    let process = Exporter::spawn(&mut manager.command(&api, &url, poll, ""));
    let received = manager.receive_until("STATUS=polling 2 accounts, 1 down");
    api.clear_faults();
    let more = manager.receive_until("STATUS=polling 2 accounts");
    assert!(![received, more].concat().contains(&"WATCHDOG=1".to_owned()));
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_notifies_every_reload_and_shows_the_resulting_configuration() {
    let (api, url) = serve(still(&["acme", "globex"], 2)).await;
    let manager = Manager::new();
    let poll = "interval: 500ms, timeout: 10s, stale_after: 1m";
    let yaml = configuration(&api, &url, poll);
    let process = Exporter::spawn(&mut manager.command(&api, &url, poll, ""));
    manager.receive_until("STATUS=polling 2 accounts");
    let shown = async || process.get("/config").await.text().await.unwrap();
    assert!(shown().await.contains("name: globex"));
    let (one, _) = yaml.split_once("  - name: \"globex\"").unwrap();
    for (yaml, accounts) in [(one, 1), ("accounts: 7\n", 1), (&*yaml, 2)] {
        write_config(manager.folder.path(), yaml);
        process.signal(Signal::HUP);
        let begin = manager.receive_until("RELOADING=1");
        assert!(begin.last().unwrap().starts_with("MONOTONIC_USEC="), "{begin:?}");
        let end = manager.receive_until("READY=1");
        assert!(!end.contains(&"RELOADING=1".to_owned()), "{end:?}");
        let shown = shown().await;
        assert_eq!(shown.matches("- name: ").count(), accounts, "{shown}");
        assert!(!shown.contains("token-of-"), "{shown}");
    }
    process.signal(Signal::TERM);
    assert_eq!(process.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_that_is_gone_stops_nothing() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let manager = Manager::new();
    let mut command = manager.command(&api, &url, "interval: 1h", "200000");
    let Manager { socket, folder: _folder, .. } = manager;
    drop(socket);
    let process = Exporter::spawn(&mut command);
    process.until_logged("the service manager cannot be notified").await;
    process.until("a figure", |samples| samples.contains_key("wazzup_up{account=\"acme\"}")).await;
    process.signal(Signal::TERM);
    let (code, log) = process.end();
    assert_eq!((code, log.matches("the service manager cannot be notified").count()), (Some(0), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_command_inherits_no_variable_of_the_service_manager() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let manager = Manager::new();
    let folder = manager.folder.path();
    let (script, variables) = (folder.join("get-token"), folder.join("environment"));
    let print = "{\"access_token\":\"token-of-acme\"}";
    let body =
        format!("#!/bin/sh\nenv > {0}.new; mv {0}.new {0}; echo '{print}'\n", variables.display());
    write_script(&script, &body);
    let yaml = configuration(&api, &url, "interval: 500ms");
    let token = yaml.lines().find(|line| line.contains("token: ")).unwrap();
    let indent = &token[..token.len() - token.trim_start().len()];
    let auth = token.trim_start().starts_with("auth:");
    let source = format!("token_command: ['{}']", script.display());
    let source =
        if auth { format!("{indent}auth: {{{source}}}") } else { format!("{indent}{source}") };
    let config = write_config(manager.folder.path(), &yaml.replace(token, &source));
    let mut command = command();
    command.args([&config_flag(&config), "--config.allow-token-command"]);
    for (name, value) in [
        ("NOTIFY_SOCKET", manager.path.to_str().unwrap()),
        ("WATCHDOG_USEC", "1000000"),
        ("WATCHDOG_PID", "1"),
        ("LISTEN_FDS", "1"),
        ("LISTEN_PID", "1"),
        ("LISTEN_FDNAMES", "x"),
        ("KEPT", "1"),
    ] {
        command.env(name, value);
    }
    let process = Exporter::spawn(&mut command);
    let up =
        |samples: &Samples| samples.get("wazzup_up{account=\"acme\"}").is_some_and(|up| up == "1");
    process.until("a figure", up).await;
    let environment = std::fs::read_to_string(variables).unwrap();
    assert!(environment.contains("KEPT=1"), "{environment}");
    for absent in ["NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_"] {
        assert!(!environment.contains(absent), "{environment}");
    }
}

/// The program, with what the shell has as its descriptors 0 and 1 passed as systemd would.
fn activated(sockets: u32) -> Command {
    let mut shell = Command::new("sh");
    let script = format!(
        "exec 3<&0 4<&1 0</dev/null 1>/dev/null; \
         LISTEN_FDS={sockets} LISTEN_PID=$$ exec \"$0\" \"$@\""
    );
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_wazzup-exporter")]);
    shell
}

fn listener() -> (TcpListener, Stdio) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = OwnedFd::from(listener.try_clone().unwrap());
    (listener, passed.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_on_the_sockets_that_it_is_passed() {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 1h")));
    let ((first, one), (second, two)) = (listener(), listener());
    let mut command = activated(2);
    command.args([&config, "--web.systemd-socket"]).stdin(one);
    let mut process = Exporter::spawn_with_stdout(command.stdout(two));
    let addresses = [&first, &second].map(|listener| listener.local_addr().unwrap());
    assert_eq!(process.address, addresses[0]);
    for address in addresses {
        process.address = address;
        process
            .until("a figure", |samples| samples.contains_key("wazzup_up{account=\"acme\"}"))
            .await;
    }
    process.signal(Signal::TERM);
    let (code, log) = process.end();
    assert_eq!((code, log.matches("listening address=").count()), (Some(0), 2), "{log}");
    // The port is still the service manager's: a client that connects now waits for the next daemon.
    TcpStream::connect(addresses[0]).unwrap();
}

#[test]
fn sockets_that_are_none_are_refused_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let good = "accounts: [{name: acme, auth: {token: x}, users: [{id: '1'}]}]\n";
    let config = config_flag(&write_config(folder.path(), good));
    let (listener, _) = listener();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (datagram, _other) = UnixDatagram::pair().unwrap();
    for (sockets, passed, message) in [
        (0, Stdio::null(), "systemd has passed no socket; start the .socket unit"),
        (1, Stdio::null(), "socket 1 that systemd has passed is no TCP socket"),
        (1, OwnedFd::from(datagram).into(), "is no TCP socket"),
        (1, OwnedFd::from(connection).into(), "does not listen; remove Accept=yes"),
    ] {
        let mut command = activated(sockets);
        command.args([&config, "--web.systemd-socket"]).stdin(passed);
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(text(&ended.stderr).contains(message), "{}", text(&ended.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_without_the_flag_are_a_warning() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 1h")));
    let (listener, passed) = listener();
    let process = Exporter::spawn(activated(1).arg(&config).stdin(passed));
    assert_ne!(process.address, listener.local_addr().unwrap());
    let log = process.log();
    assert!(
        log.contains("systemd has passed sockets, but --web.systemd-socket is not set"),
        "{log}"
    );
}
