//! What HTTP answers: every path with several methods, below prefixes, with logins; negotiation; reloads.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::super::methods::ask;
use super::super::support::exporter::{Exporter, config_flag};
use super::super::support::files::write_config;
use super::super::support::http::client;
use super::super::support::wait::guard;
use super::{check, mask, program, section};

/// An account of which nothing is ever read, so that no answer depends on when it is asked for.
const CONFIG: &str = "poll: {interval: 24h, timeout: 10m}\n\
     accounts: [{name: acme, base_url: 'http://127.0.0.1:9', auth: {token: s3cr3t}, users: [{id: '1'}]}]\n";
/// With the password `open sesame`.
const WEB: &str = "basic_auth_users: {alice: HASH}\n\
     http_server_config: {headers: {X-Frame-Options: deny}}\n";

const PATHS: [&str; 16] = [
    "/",
    "/metrics",
    "/metrics/",
    "/config",
    "/config/",
    "/api/v1/status",
    "/api/v1/status/x",
    "/api/v1/admin/accounts/acme/reset",
    "/-/healthy",
    "/-/healthy/",
    "/-/reload",
    "/-/reload/",
    "/style.css",
    "/favicon.svg",
    "/nothing",
    "/%2e%2e/etc",
];

/// Headers that people and their programs depend on.
const HEADERS: [&str; 11] = [
    "content-type",
    "location",
    "allow",
    "www-authenticate",
    "retry-after",
    "cache-control",
    "vary",
    "content-encoding",
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
];

struct Scene {
    folder: TempDir,
    daemon: Exporter,
}

fn start(flags: &[&str]) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), CONFIG);
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    std::fs::write(folder.path().join("web.yml"), WEB.replace("HASH", &hash)).unwrap();
    let mut command = program();
    command.arg(config_flag(&folder.path().join("config.yaml"))).args(flags);
    let daemon = Exporter::spawn(command.current_dir(folder.path()));
    Scene { folder, daemon }
}

/// A request and the answer: its status, the headers that matter, and a body that is plain text.
async fn line(at: SocketAddr, method: &str, path: &str, login: Option<(&str, &str)>) -> String {
    let answer = ask(at, method, path, login).await;
    let mut line = format!("{method} {path} {}", answer.status);
    for name in HEADERS {
        if let Some(value) = answer.header(name) {
            write!(line, " | {name}: {value}").unwrap();
        }
    }
    let plain = answer.header("content-type") == Some("text/plain; charset=utf-8");
    let body = if plain || answer.body.is_empty() { answer.body } else { b"(a document)".to_vec() };
    let body = String::from_utf8(body).unwrap();
    body.lines().fold(line, |line, shown| format!("{line}\n    {shown}")) + "\n"
}

async fn all(
    title: &str,
    daemon: &Exporter,
    paths: &[String],
    login: Option<(&str, &str)>,
) -> String {
    let mut shown = format!("=== {title}\n");
    for path in paths {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            shown += &line(daemon.address, method, path, login).await;
        }
    }
    shown
}

fn below(prefix: &str) -> Vec<String> {
    PATHS.iter().map(|path| format!("{prefix}{path}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_below_every_prefix() {
    let short = ["", "/a", "/a/", "/a/b", "/a/b/", "/a/b?", "/a/b/?x=y", "/a//b/", "/ab", "/A/b/"];
    let beside = |path: &&str| if path.is_empty() { "/".to_owned() } else { (*path).to_owned() };
    let near: Vec<String> = short
        .iter()
        .map(beside)
        .chain(["/metrics", "/-/healthy", "/config"].map(String::from))
        .collect();
    for (name, flags, paths) in [
        ("plain", &[][..], vec![below("")]),
        ("route-prefix", &["--web.route-prefix=/a/b"], vec![below("/a/b"), near.clone()]),
        ("external-url", &["--web.external-url=https://example.com/a/b/"], vec![near]),
        (
            "both",
            &["--web.external-url=https://example.com/a/", "--web.route-prefix=/"],
            vec![vec!["/".to_owned(), "/metrics".to_owned(), "/a/".to_owned()]],
        ),
        (
            "telemetry-path",
            &["--web.telemetry-path=/some/metrics"],
            vec![vec!["/metrics".to_owned(), "/some/metrics".to_owned(), "/some".to_owned()]],
        ),
    ] {
        let scene = start(flags);
        let shown = all(&flags.join(" "), &scene.daemon, &paths.concat(), None).await;
        check(&format!("http/{name}.txt"), &mask(&shown, &[]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_the_listener_for_probes() {
    let scene = start(&["--web.config.file=web.yml", "--web.health-listen-address=127.0.0.1:0"]);
    let mut shown = String::new();
    for (title, login) in [
        ("nobody", None),
        ("a wrong password", Some(("alice", "wrong"))),
        ("an unknown user", Some(("mallory", "open sesame"))),
        ("alice", Some(("alice", "open sesame"))),
    ] {
        shown += &all(title, &scene.daemon, &below(""), login).await;
    }
    check("http/logins.txt", &mask(&shown, &[]));
    let probes = scene.daemon.until_logged("listening for probes").await;
    let address = probes.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    let mut shown = String::new();
    for path in ["/-/healthy", "/", "/metrics", "/-/reload"] {
        for method in ["GET", "HEAD", "POST"] {
            shown += &line(address.parse().unwrap(), method, path, None).await;
        }
    }
    check("http/probes.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_decides_the_form() {
    let scene = start(&[]);
    let mut shown = String::new();
    for accept in [
        "",
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4",
        "text/plain;version=1.0.0",
        "application/openmetrics-text",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=1.0.0",
        "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.5",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.3",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "text/html",
        "nonsense",
    ] {
        for encoding in ["", "gzip", "identity", "gzip;q=0", "br, gzip;q=0.5", "*"] {
            let request = client().get(format!("http://{}/metrics", scene.daemon.address));
            let request = request.header("accept", accept).header("accept-encoding", encoding);
            let answer = guard("metrics", request.send()).await.unwrap();
            let header = |name| answer.headers().get(name).map_or("-", |one| one.to_str().unwrap());
            let (kind, packed) = (header("content-type"), header("content-encoding"));
            writeln!(shown, "{} {kind} | {packed} | {accept} | {encoding}", answer.status())
                .unwrap();
        }
    }
    check("http/negotiation.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads() {
    let scene = start(&["--web.enable-lifecycle"]);
    let mut shown = String::new();
    for (title, yaml) in [
        ("the same", CONFIG.to_owned()),
        ("another one", CONFIG.replace("24h", "23h")),
        ("a broken one", CONFIG.replace("24h", "25h").replace("users", "usres")),
        ("no YAML", "{".to_owned()),
        ("a good one again", CONFIG.to_owned()),
    ] {
        write_config(scene.folder.path(), &yaml);
        for method in ["POST", "PUT", "GET"] {
            let answer = line(scene.daemon.address, method, "/-/reload", None).await;
            section(&mut shown, title, &answer);
        }
    }
    check("http/reload.txt", &mask(&shown, &[(scene.folder.path().to_str().unwrap(), "DIR")]));
}
