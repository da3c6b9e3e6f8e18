//! A world for a test: a simulated API and an exporter that polls it, both on loopback.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wazzup_exporter::app::{Daemon, Options, Prefix};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::shutdown::Shutdown;
use wazzup_exporter::simulator::{
    AccountSpec, Log, RateLimit, Role, Settings, Simulator, UserSpec,
};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::supervisor::Accounts;
use wazzup_exporter::systemd::Notifier;

/// Only a guard against hanging: many times longer than anything here takes.
pub(crate) const GUARD: Duration = Duration::from_mins(1);

/// How often the exporter of a test takes a point for the charts.
const SAMPLING_PERIOD: Duration = Duration::from_millis(200);

/// A running simulator and a running exporter.
pub(crate) struct World {
    pub(crate) api: Simulator,
    pub(crate) exporter: SocketAddr,
    /// Where it tells health and readiness alone, if it does.
    pub(crate) probes: Option<SocketAddr>,
    /// Where accounts are reset, if they can be.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) shutdown: Shutdown,
    /// Replaces the accounts of the exporter.
    pub(crate) accounts: Accounts,
    daemon: JoinHandle<()>,
    client: reqwest::Client,
}

/// The samples of an exposition by series, as text on both sides.
pub(crate) type Samples = BTreeMap<String, String>;

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

    /// Runs an exporter that keeps what survives it.
    pub(crate) async fn start_in(api: Simulator, yaml: &str, storage: Option<Storage>) -> Self {
        let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
        Self::start_config(api, config, storage).await
    }

    /// Runs an exporter with this configuration as it stands.
    pub(crate) async fn start_config(
        api: Simulator,
        config: Config,
        storage: Option<Storage>,
    ) -> Self {
        Self::start_options(api, config, Options { storage, ..options() }).await
    }

    /// Runs an exporter that serves as `options` say.
    pub(crate) async fn start_options(api: Simulator, config: Config, options: Options) -> Self {
        let daemon = Daemon::bind(&options, config).await.unwrap();
        let daemon = daemon.sampling_every(SAMPLING_PERIOD);
        let daemon = daemon.looking_every(Duration::from_millis(100));
        let exporter = daemon.addresses()[0];
        let probes = daemon.health_address();
        let admin = daemon.admin_address();
        let shutdown = Shutdown::new();
        let (tell, told) = oneshot::channel();
        let daemon = tokio::spawn({
            let shutdown = shutdown.clone();
            daemon.run_with(shutdown, |accounts| drop(tell.send(accounts)))
        });
        let accounts = guard("the start", told).await.unwrap();
        Self { api, exporter, probes, admin, shutdown, accounts, daemon, client: client() }
    }

    /// What the API holds and the exporter shows is asked again and again until it fits.
    pub(crate) async fn until(
        &self,
        what: &str,
        mut fits: impl FnMut(&Samples) -> bool,
    ) -> Samples {
        guard(what, async {
            loop {
                let samples = self.scrape().await;
                if fits(&samples) {
                    return samples;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// Waits until the API has seen what is wanted.
    pub(crate) async fn api_until(&self, what: &str, predicate: impl FnMut(&Log<'_>) -> bool) {
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
        guard("an answer of the exporter", request.send()).await.unwrap()
    }

    /// Asks the exporter to end and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        guard("the end of the exporter", self.daemon).await.unwrap();
    }
}

/// Everything as usual, on a port of its own.
pub(crate) fn options() -> Options {
    Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        sockets: None,
        route_prefix: Prefix::default(),
        telemetry_path: "/metrics".to_owned(),
        storage: None,
        web: None,
        health_listen: None,
        source: None,
        lifecycle: false,
        notifier: Notifier::default(),
        admin_listen: None,
    }
}

/// Waits, but not for ever.
pub(crate) async fn guard<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    let guarded = tokio::time::timeout(GUARD, future).await;
    guarded.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Serves a simulated API on a port of its own for the rest of the test.
pub(crate) async fn serve(settings: Settings) -> (Simulator, String) {
    let api = Simulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = api.clone();
    tokio::spawn(async move { served.serve(listener, std::future::pending()).await });
    (api, url)
}

/// The simulator's own configuration with other poll settings.
pub(crate) fn configuration(api: &Simulator, url: &str, poll: &str) -> String {
    let yaml = api.exporter_config(url, "1h");
    let (_, accounts) = yaml.split_once("accounts:").unwrap();
    // Tests count requests; those about channels switch them on.
    let accounts = accounts.replace("\n    users:", "\n    channels: {enabled: false}\n    users:");
    format!("poll: {{{poll}}}\naccounts:{accounts}")
}

/// Accounts that stand still: every user has a red counter of its index times ten, plus one.
pub(crate) fn still(accounts: &[&str], users: usize) -> Settings {
    let account = |(number, name): (usize, &&str)| {
        let id = format!("{:08}", 10_000_000 + number);
        let mut account = AccountSpec::new(name, &id, &format!("token-of-{name}"));
        for user in 0..users {
            let spec = UserSpec::new(&format!("u{user}"), &format!("User {user}"), Role::SalesRep);
            account = account.user(spec.pinned(user as u64 * 10 + 1, "red"));
        }
        account
    };
    Settings {
        accounts: accounts.iter().enumerate().map(account).collect(),
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}

/// The series of a user's counter.
pub(crate) fn counter(account: &str, user: &str, kind: &str) -> String {
    format!(r#"wazzup_unanswered_messages{{account="{account}",user="{user}",type="{kind}"}}"#)
}

/// The value of a series, or `None` if it does not exist.
pub(crate) fn value(samples: &Samples, series: &str) -> Option<f64> {
    Some(samples.get(series)?.parse().unwrap())
}

pub(crate) fn samples(text: &str) -> Samples {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(series, value)| (series.to_owned(), value.to_owned())).collect()
}

pub(crate) fn client() -> reqwest::Client {
    wazzup_exporter::transport::http_client().unwrap().no_proxy().build().unwrap()
}
