//! What `benches/run.py` sets beside the exporter, and the API that both ask.
//!
//! `upstream` is the simulated API without its limit of requests; `gauges` serves an exposition from
//! the `GaugeVec`s of the prometheus crate, as most exporters do; `loop` reads counters with reqwest and
//! does nothing with them. Each server prints its address first.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "benchmarks")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::future::pending;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prometheus::{Encoder as _, GaugeVec, Opts, Registry, TextEncoder};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;
use wazzup_exporter::simulator::{Latency, RateLimit, Settings, Simulator};

/// The level at which the exporter compresses.
const LEVEL: Compression = Compression::new(2);

/// Values by names.
type Labels<'a> = HashMap<&'a str, &'a str>;

#[derive(Debug, Parser)]
enum Peer {
    /// The simulated API without its limit; writes a configuration for it.
    Upstream {
        #[arg(long)]
        accounts: usize,
        #[arg(long)]
        users: usize,
        #[arg(long)]
        latency: Latency,
        #[arg(long)]
        write_config: PathBuf,
    },
    /// The series of an exposition, each in a `GaugeVec`.
    Gauges { exposition: PathBuf },
    /// Reads the counters of `users` with one client; prints readings, seconds and seconds of CPU.
    Loop {
        url: String,
        token: String,
        users: usize,
        concurrency: usize,
        seconds: f64,
        ca_file: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() {
    match Peer::parse() {
        Peer::Upstream { accounts, users, latency, write_config } => {
            upstream(accounts, users, latency, &write_config).await;
        }
        Peer::Gauges { exposition } => gauges(&exposition).await,
        Peer::Loop { url, token, users, concurrency, seconds, ca_file } => {
            let client = client(ca_file.as_deref());
            let urls = (1..=users).map(|user| format!("{url}/v2/counters/unanswered/u{user:05}"));
            read(&client, &token, urls.collect(), concurrency, seconds).await;
        }
    }
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

async fn upstream(accounts: usize, users: usize, latency: Latency, config: &Path) {
    let load = Settings::load(accounts, users, 1);
    let settings = Settings { limit: RateLimit::UNLIMITED, latency, control: true, ..load };
    let simulator = Simulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    simulator.write_config(config, &format!("http://{address}"), "30s").unwrap();
    say(&address.to_string());
    simulator.serve(listener, pending()).await;
}

async fn gauges(exposition: &Path) {
    let text = std::fs::read_to_string(exposition).unwrap();
    let registry = Arc::new(registry(&text));
    drop(text);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    say(&listener.local_addr().unwrap().to_string());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let registry = Arc::clone(&registry);
        tokio::spawn(async move {
            let service = service_fn(move |request| scrape(Arc::clone(&registry), request));
            // A client may leave when it likes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn scrape<B>(
    registry: Arc<Registry>,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let accepted = request.headers().get(ACCEPT_ENCODING);
    let gzip = accepted.is_some_and(|accepted| accepted.as_bytes() == b"gzip");
    let encode = move || {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        if !gzip {
            return text;
        }
        let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
        encoder.write_all(&text).unwrap();
        encoder.finish().unwrap()
    };
    let body = tokio::task::spawn_blocking(encode).await.unwrap();
    let mut response = Response::new(Full::new(body.into()));
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().unwrap());
    }
    Ok(response)
}

/// One `GaugeVec` for every name of a sample, whose labels are all that occur with the name.
fn registry(exposition: &str) -> Registry {
    let mut families: BTreeMap<&str, Vec<(Labels<'_>, f64)>> = BTreeMap::new();
    for line in exposition.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let sample = (labels_of(labels), value.parse().unwrap());
        families.entry(name).or_default().push(sample);
    }
    let registry = Registry::new();
    for (name, samples) in families {
        let names: BTreeSet<&str> =
            samples.iter().flat_map(|(labels, _)| labels.keys().copied()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let family = GaugeVec::new(Opts::new(name, "One of the exporter's families."), &names);
        let family = family.unwrap();
        for (labels, value) in samples {
            let values: Vec<&str> =
                names.iter().map(|name| labels.get(name).map_or("", |v| v)).collect();
            family.with_label_values(&values).set(value);
        }
        registry.register(Box::new(family)).unwrap();
    }
    registry
}

/// The labels in what follows the brace. The simulated names hold nothing that would be escaped.
fn labels_of(labels: &str) -> Labels<'_> {
    let labels = labels.strip_suffix('}').unwrap_or(labels);
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap();
            (name, value.strip_suffix('"').unwrap_or(value))
        })
        .collect()
}

fn client(ca_file: Option<&Path>) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authorities = ca_file.map(|file| std::fs::read(file).unwrap());
    let authorities = authorities.map(|pem| reqwest::Certificate::from_pem_bundle(&pem).unwrap());
    let builder = reqwest::Client::builder().no_proxy();
    builder.tls_certs_only(authorities.unwrap_or_default()).build().unwrap()
}

async fn read(
    client: &reqwest::Client,
    token: &str,
    urls: Vec<String>,
    concurrency: usize,
    seconds: f64,
) {
    let urls = Arc::new(urls);
    let next = Arc::new(AtomicU64::new(0));
    let (begun, cpu) = (Instant::now(), cpu());
    let until = begun + Duration::from_secs_f64(seconds);
    let workers = (0..concurrency).map(|_| {
        let (client, token) = (client.clone(), token.to_owned());
        let (urls, next) = (Arc::clone(&urls), Arc::clone(&next));
        tokio::spawn(async move {
            let mut readings = 0_u64;
            while Instant::now() < until {
                let place = next.fetch_add(1, Ordering::Relaxed) as usize % urls.len();
                let request = client.get(urls.get(place).unwrap()).bearer_auth(&token);
                let response = request.send().await.unwrap().error_for_status().unwrap();
                assert!(!response.bytes().await.unwrap().is_empty());
                readings += 1;
            }
            readings
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut readings = 0;
    for worker in workers {
        readings += worker.await.unwrap();
    }
    let (took, spent) = (begun.elapsed().as_secs_f64(), self::cpu() - cpu);
    say(&format!("{readings} {took} {spent}"));
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}
