//! An exporter inside the test, and the simulated API that it polls, both on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wazzup_exporter::app::{Daemon, Options, Prefix, TaskPanicked};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::shard::Shard;
use wazzup_exporter::shutdown::Shutdown;
use wazzup_exporter::simulator::{Log, Settings, Simulator};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::supervisor::AccountsHandle;
use wazzup_exporter::systemd::Notifier;

use super::http::client;
use super::samples::{Samples, samples, until_samples};
use super::upstream::{configuration, serve};
use super::wait::guard;

/// How often the exporter of a test takes a point for the charts.
const SAMPLING_PERIOD: Duration = Duration::from_millis(200);

/// A running simulator and a running exporter.
pub(crate) struct World {
    pub(crate) api: Simulator,
    pub(crate) exporter: SocketAddr,
    /// The listener for probes, where there is one.
    pub(crate) probes: Option<SocketAddr>,
    /// The admin listener, where there is one.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) shutdown: Shutdown,
    /// Replaces the accounts of the exporter.
    pub(crate) accounts: AccountsHandle,
    daemon: JoinHandle<Result<(), TaskPanicked>>,
    client: reqwest::Client,
}

impl World {
    /// Runs both. `poll` is the content of the configuration's `poll`, as `interval: 200ms`.
    pub(crate) async fn start(settings: Settings, poll: &str) -> Self {
        let (api, url) = serve(settings).await;
        let yaml = configuration(&api, &url, poll);
        Self::start_with(api, &yaml).await
    }

    /// Runs an exporter with this configuration.
    pub(crate) async fn start_with(api: Simulator, yaml: &str) -> Self {
        Self::start_in(api, yaml, None).await
    }

    /// Runs an exporter with storage.
    pub(crate) async fn start_in(api: Simulator, yaml: &str, storage: Option<Storage>) -> Self {
        let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
        Self::start_config(api, config, storage).await
    }

    /// Runs an exporter with this parsed configuration.
    pub(crate) async fn start_config(
        api: Simulator,
        config: Config,
        storage: Option<Storage>,
    ) -> Self {
        Self::start_options(api, config, Options { storage, ..options() }).await
    }

    /// Runs an exporter with these options.
    pub(crate) async fn start_options(api: Simulator, config: Config, options: Options) -> Self {
        let daemon = Daemon::bind(&options, config).await.unwrap();
        let daemon = daemon.sampling_every(SAMPLING_PERIOD);
        let daemon = daemon.checking_web_config_every(Duration::from_millis(100));
        let exporter = daemon.addresses()[0];
        let probes = daemon.health_address();
        let admin = daemon.admin_address();
        let shutdown = Shutdown::default();
        let (send, started) = oneshot::channel();
        let daemon = tokio::spawn({
            let shutdown = shutdown.clone();
            daemon.run_with(shutdown, |accounts| drop(send.send(accounts)))
        });
        let accounts = guard("the start", started).await.unwrap();
        Self { api, exporter, probes, admin, shutdown, accounts, daemon, client: client() }
    }

    /// Scrapes until the samples satisfy `fits`.
    pub(crate) async fn until(&self, what: &str, fits: impl FnMut(&Samples) -> bool) -> Samples {
        until_samples(what, &[], async || self.scrape().await, fits).await
    }

    /// Waits until the requests to the API satisfy `predicate`.
    pub(crate) async fn api_until(&self, what: &str, predicate: impl FnMut(&Log) -> bool) {
        guard(what, self.api.wait_until(predicate)).await;
    }

    pub(crate) async fn scrape(&self) -> Samples {
        samples(&self.get("/metrics").await.text().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.request(reqwest::Method::GET, path, &[]).await
    }

    pub(crate) async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut request = self.client.request(method, format!("http://{}{path}", self.exporter));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard("a response of the exporter", request.send()).await.unwrap()
    }

    /// Shuts the exporter down and waits for its end.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        guard("the end of the exporter", self.daemon).await.unwrap().unwrap();
    }
}

/// The defaults, on a port of its own.
pub(crate) fn options() -> Options {
    Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        sockets: None,
        route_prefix: Prefix::default(),
        telemetry_path: "/metrics".to_owned(),
        shard: Shard::WHOLE,
        storage: None,
        web: None,
        health_listen: None,
        source: None,
        lifecycle: false,
        notifier: Notifier::default(),
        admin_listen: None,
    }
}
