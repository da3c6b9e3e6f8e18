//! A Prometheus that scrapes one exporter, and its query API.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use super::expected::Figures;
use super::support::exporter::Exporter;
use super::support::http::client;
use super::support::process::{Process, peer};
use super::support::wait::until;

/// How many ports are tried: one that was free may be taken a moment later.
const PORTS: usize = 5;
/// Timeout of one request; another process on the port may never answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A running Prometheus.
pub(crate) struct Prometheus {
    pub(crate) process: Process,
    url: Url,
    client: reqwest::Client,
    _folder: TempDir,
}

/// A series of an instant query: its labels and its value as Prometheus writes it.
pub(crate) type Series = (BTreeMap<String, String>, String);

impl Prometheus {
    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    pub(crate) async fn start(target: &Exporter) -> Self {
        Self::start_with(target, "").await
    }

    /// The same with more keys of its scrape configuration, each on a line of its own.
    pub(crate) async fn start_with(target: &Exporter, keys: &str) -> Self {
        Self::start_at(target.address, keys).await
    }

    /// The same where the exporter is to be reached at another address.
    pub(crate) async fn start_at(target: SocketAddr, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let yaml = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n- job_name: wazzup\n  static_configs: [{{targets: ['{target}']}}]\n"
        );
        let keys = keys.lines().map(|key| format!("  {key}\n"));
        let yaml = keys.fold(yaml, |yaml, key| yaml + &key);
        std::fs::write(&config, yaml).unwrap();
        let mut command = Command::new(peer("PROMETHEUS", "prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        let (process, url) = listening(&command).await;
        Self { process, url, client: client(), _folder: folder }
    }

    /// Its version, as 3.16.0.
    pub(crate) async fn version(&self) -> String {
        let about = self.api("api/v1/status/buildinfo", &[]).await.unwrap();
        about["version"].as_str().unwrap().to_owned()
    }

    /// One that scrapes nothing and holds the blocks of this folder, however old they are.
    pub(crate) async fn holding(folder: TempDir) -> Self {
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let mut command = Command::new(peer("PROMETHEUS", "prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg("--storage.tsdb.retention.time=100y")
            // Blocks that are made of samples a minute apart do not show where a series ended.
            .arg("--query.lookback-delta=100s");
        let (process, url) = listening(&command).await;
        Self { process, url, client: client(), _folder: folder }
    }

    /// Where its API is.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// The series of an instant query, now.
    pub(crate) async fn query(&self, expression: &str) -> Result<Vec<Series>, String> {
        let answer = self.api("api/v1/query", &[("query", expression)]).await?;
        let series = answer["result"].as_array().ok_or_else(|| format!("no series: {answer}"))?;
        series.iter().map(|one| read_series(one).ok_or_else(|| format!("odd: {one}"))).collect()
    }

    /// One with a configuration of its own, `prometheus.yaml` in this folder.
    pub(crate) async fn configured(folder: TempDir) -> Self {
        let mut command = Command::new(peer("PROMETHEUS", "prometheus"));
        command
            .arg(format!("--config.file={}", folder.path().join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        let (process, url) = listening(&command).await;
        Self { process, url, client: client(), _folder: folder }
    }

    /// What is in `data` of an answer of its API.
    pub(crate) async fn api(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let text = self.get(path, query).await?;
        let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(text);
        }
        Ok(answer["data"].take())
    }

    /// The body of a good answer.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<String, String> {
        let mut url = self.url.join(path).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        body(self.client.get(url)).await
    }

    /// The counter of every user.
    pub(crate) async fn figures(&self) -> Result<Figures, String> {
        let series = self.query("wazzup_unanswered_messages").await?;
        let figures = series.into_iter().map(|(mut labels, value)| {
            let mut label = |name| labels.remove(name).unwrap_or_default();
            ((label("account"), label("user"), label("type")), value)
        });
        Ok(figures.collect())
    }

    /// Waits until a query gives exactly one series with this value.
    pub(crate) async fn until_value(&self, exporter: &Exporter, expression: &str, value: &str) {
        let what = format!("{expression} to be {value}");
        until(&what, &[&self.process, &exporter.process], async || {
            match self.query(expression).await?.as_slice() {
                [(_, found)] if found == value => Ok(()),
                others => Err(self.explained(&format!("{others:?}")).await),
            }
        })
        .await;
    }

    /// Waits until Prometheus holds exactly these counters: no other value and no other series.
    pub(crate) async fn until_figures(&self, exporter: &Exporter, what: &str, expected: &Figures) {
        until(what, &[&self.process, &exporter.process], async || {
            let found = self.figures().await?;
            if found == *expected {
                return Ok(());
            }
            Err(self.explained(&difference(expected, &found)).await)
        })
        .await;
    }

    /// Waits until its one target is down, for a reason that contains `why`.
    pub(crate) async fn until_down(&self, exporter: &Exporter, why: &str) {
        let what = format!("a target that is down because of {why}");
        until(&what, &[&self.process, &exporter.process], async || {
            let targets = self.api("api/v1/targets", &[]).await?;
            let target = &targets["activeTargets"][0];
            let error = target["lastError"].as_str().unwrap_or_default();
            let down = target["health"] == "down" && error.contains(why);
            if down { Ok(()) } else { Err(target.to_string()) }
        })
        .await;
    }

    /// An unmet expectation, with the scrape error that may have caused it.
    async fn explained(&self, what: &str) -> String {
        let targets = self.api("api/v1/targets", &[]).await.unwrap_or_else(Value::String);
        format!("{what}; the last scrape error is {}", targets["activeTargets"][0]["lastError"])
    }
}

/// Starts Prometheus on a free port and waits until it is ready.
async fn listening(command: &Command) -> (Process, Url) {
    let mut last = String::new();
    for _ in 0..PORTS {
        let port = free_port();
        let mut started = Command::new(command.get_program());
        started.args(command.get_args()).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Process::start("prometheus", &mut started);
        let url: Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
        if gets_ready(&process, &url).await {
            return (process, url);
        }
        last = process.log();
    }
    panic!("prometheus does not start:\n{last}");
}

/// Whether it is ready in the end; `false` if it ends instead, as on a taken port.
async fn gets_ready(process: &Process, url: &Url) -> bool {
    let url = url.join("-/ready").unwrap();
    let ready = until("prometheus to be ready", &[], async || {
        if process.ended().is_some() {
            return Ok(false);
        }
        let answer = body(client().get(url.clone())).await;
        answer.map(|_| true).map_err(|why| format!("{why}\n{}", process.log()))
    });
    // On a taken port the answer came from another process.
    ready.await && process.ended().is_none()
}

async fn body(request: reqwest::RequestBuilder) -> Result<String, String> {
    let answer = request.timeout(TIMEOUT).send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
}

fn read_series(json: &Value) -> Option<Series> {
    let labels = json["metric"].as_object()?.iter();
    let labels = labels.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some((labels.collect::<Option<_>>()?, json["value"][1].as_str()?.to_owned()))
}

fn difference(expected: &Figures, found: &Figures) -> String {
    let missing = without(expected, found);
    let wrong = without(found, expected);
    format!("expected {missing:?}, found {wrong:?}")
}

fn without<'a>(
    these: &'a Figures,
    others: &Figures,
) -> Vec<(&'a (String, String, String), &'a str)> {
    let differs = these.iter().filter(|(key, value)| others.get(*key) != Some(value));
    differs.map(|(key, value)| (key, value.as_str())).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
