//! Crowds of connections that ask for nothing, and few descriptors: scrapes and probes are answered all the
//! same, and polling goes on.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::net::TcpStream;
use wazzup_exporter::simulator::Simulator;

use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::http::client;
use super::support::samples::value;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::guard;

const MAX_FDS: &str = "process_max_fds";
const SWEEPS: &str = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;

struct Scene {
    _api: Simulator,
    _folder: tempfile::TempDir,
    exporter: Exporter,
    probes: SocketAddr,
}

/// An exporter that is started with these limits of open descriptors.
async fn start(soft: u64, hard: u64) -> Scene {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = configuration(&api, &url, "interval: 200ms, timeout: 5s");
    let config = config_flag(&write_config(folder.path(), &yaml));
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -Sn {soft}; ulimit -Hn {hard}; exec \"$0\" \"$@\"")]);
    limited.arg(command().get_program()).arg(config);
    limited.arg("--web.health-listen-address=127.0.0.1:0");
    let exporter = Exporter::spawn(&mut limited);
    let line = exporter.until_logged("listening for probes alone").await;
    let probes = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    let probes = probes.parse().unwrap();
    Scene { _api: api, _folder: folder, exporter, probes }
}

/// Connections that send nothing.
async fn idle(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(guard("a connection", TcpStream::connect(address)).await.unwrap());
    }
    idle
}

async fn check(scene: &Scene) {
    let swept = value(&scene.exporter.scrape().await, SWEEPS).unwrap();
    scene.exporter.until("more sweeps", |samples| value(samples, SWEEPS) > Some(swept + 2.0)).await;
    for address in [scene.exporter.address, scene.probes] {
        let health = client().get(format!("http://{address}/-/healthy")).send();
        assert_eq!(guard("health", health).await.unwrap().status(), 200, "{address}");
    }
}

/// Lets this process open as many files as it may.
fn raise_limit() {
    let own = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: own.maximum, ..own }).unwrap();
}

/// Else a client's first packet is lost when a crowd comes at once, and its next one is a second late.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_may_wait_to_be_accepted() {
    raise_limit();
    let scene = start(4096, 4096).await;
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let waiting = most.trim().parse::<usize>().unwrap().min(4000);
    scene.exporter.signal(Signal::STOP);
    let _idle = [idle(scene.exporter.address, waiting).await, idle(scene.probes, waiting).await];
    scene.exporter.signal(Signal::CONT);
    check(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_idle_connections_keep_nobody_out() {
    raise_limit();
    let scene = start(4096, 4096).await;
    let _idle = idle(scene.exporter.address, 5000).await;
    check(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_few_descriptors_idle_connections_stop_neither_polling_nor_probes() {
    let scene = start(64, 256).await;
    assert_eq!(value(&scene.exporter.scrape().await, MAX_FDS), Some(256.0));
    let _idle = [idle(scene.exporter.address, 600).await, idle(scene.probes, 600).await];
    check(&scene).await;
}
