//! Which protocol a real Prometheus asks for, and gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::expected::{held, odd};
use super::prometheus::Prometheus;
use super::support::exporter::Exporter;
use super::support::upstream::serve;
use super::support::wait::until;

const POLL: &str = "interval: 500ms, timeout: 1s, stale_after: 2s";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Stands between Prometheus and the exporter and notes the heads of what passes.
struct Ear {
    address: SocketAddr,
    heard: Arc<Mutex<String>>,
}

impl Ear {
    async fn before(exporter: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(String::new()));
        let notes = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((asking, _)) = listener.accept().await {
                let Ok(answering) = TcpStream::connect(exporter).await else { continue };
                let ((from, to_asking), (back, to_exporter)) =
                    (asking.into_split(), answering.into_split());
                tokio::spawn(pass(from, to_exporter, Arc::clone(&notes)));
                tokio::spawn(pass(back, to_asking, Arc::clone(&notes)));
            }
        });
        Self { address, heard }
    }

    /// The values of a header, of requests or of answers.
    fn values(&self, header: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let named = heard.lines().filter_map(|line| line.split_once(": "));
        let named = named.filter(|(name, _)| name.eq_ignore_ascii_case(header));
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// Passes on what comes and notes it, as far as it is text; bodies are compressed or have no such lines.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, notes: Arc<Mutex<String>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        notes.lock().unwrap().push_str(&text);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Lets Prometheus scrape until it holds everything; returns what it has asked for and got.
async fn negotiated(keys: &str) -> (String, Vec<String>, Vec<String>) {
    let (api, url) = serve(odd()).await;
    let exporter = Exporter::polling(&api, &url, POLL);
    let ear = Ear::before(exporter.address).await;
    let prometheus = Prometheus::start_at(ear.address, keys).await;
    prometheus.until_figures(&exporter, "all figures", &held(&api)).await;
    prometheus.until_value(&exporter, "up", "1").await;
    // What it has understood of a family beside its samples.
    until("the metadata", &[&prometheus.process, &exporter.process], async || {
        let about = prometheus.api("api/v1/metadata", &[]).await?;
        let counter = &about["wazzup_sweeps_total"][0]["type"];
        let counter = if counter.is_null() { &about["wazzup_sweeps"][0]["type"] } else { counter };
        let gauge = &about["wazzup_unanswered_messages"][0]["type"];
        if *counter == "counter" && *gauge == "gauge" { Ok(()) } else { Err(about.to_string()) }
    })
    .await;
    let version = prometheus.version().await;
    (version, ear.values("accept"), ear.values("content-type"))
}

fn is_three(version: &str) -> bool {
    version.split('.').next().unwrap().parse::<u32>().unwrap() >= 3
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_asks_for_openmetrics_and_gets_it() {
    let (version, asked, got) = negotiated("").await;
    assert!(asked[0].contains("application/openmetrics-text;version=1.0.0"), "{asked:?}");
    assert_eq!(asked[0].contains("escaping=allow-utf-8"), is_three(&version), "{asked:?}");
    assert!(!got.is_empty() && got.iter().all(|got| got == OPEN_METRICS), "{got:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_3_that_prefers_its_protobuf_or_another_text_gets_what_there_is() {
    for (protocols, first, expected) in [
        (
            "PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4",
            "application/vnd.google.protobuf",
            OPEN_METRICS,
        ),
        (
            "PrometheusText1.0.0, PrometheusText0.0.4",
            "text/plain;version=1.0.0",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
    ] {
        if !is_three(&installed()) {
            // The key is younger than Debian's Prometheus; `make test-current` has one that knows it.
            return;
        }
        let (_, asked, got) = negotiated(&format!("scrape_protocols: [{protocols}]")).await;
        assert!(asked[0].starts_with(first), "{asked:?}");
        assert!(!got.is_empty() && got.iter().all(|got| got == expected), "{got:?}");
    }
}

/// The version of the Prometheus in use.
fn installed() -> String {
    let mut command =
        std::process::Command::new(super::support::process::peer("PROMETHEUS", "prometheus"));
    let output = super::support::process::run("prometheus", command.arg("--version"), b"");
    let output = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let (_, version) = output.split_once("version ").unwrap();
    version.split(' ').next().unwrap().to_owned()
}
