//! Every path with every method, with and without a login, with and without a prefix.
//!
//! One table says what the exporter serves. A path that is added belongs into it.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wazzup_exporter::app::Options;
use wazzup_exporter::config;
use wazzup_exporter::web_config;

use super::support::daemon::{World, options};
use super::support::pki::Pki;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::guard;
use super::web_config::{ALICE, Guarded, send, tls, users};

const METHODS: [&str; 11] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"];

/// What is served at a path.
struct Route {
    path: &'static str,
    /// The methods that are answered, as `Allow` lists them.
    allow: &'static str,
    /// The answer to them.
    status: u16,
    /// Whether it needs no login.
    open: bool,
}

const fn reading(path: &'static str) -> Route {
    Route { path, allow: "GET,HEAD", status: 200, open: false }
}

const fn probe(path: &'static str, status: u16) -> Route {
    Route { path, allow: "GET,HEAD", status, open: true }
}

const ROUTES: [Route; 10] = [
    reading("/"),
    reading("/metrics"),
    reading("/style.css"),
    reading("/page.js"),
    reading("/favicon.svg"),
    reading("/api/v1/status"),
    reading("/config"),
    // Without --web.enable-lifecycle.
    Route { path: "/-/reload", allow: "POST,PUT", status: 403, open: false },
    probe("/-/healthy", 200),
    // Upstream hangs, so the first reading is not there yet.
    probe("/-/ready", 503),
];

/// Unknown paths. A login is needed before the 404.
const NOWHERE: [&str; 10] = [
    "/metric",
    "/metrics/",
    "/config/",
    "/-/",
    "/-/reload/",
    "/-/healthy/",
    "//-/healthy",
    "//",
    "/%2e%2e/etc",
    "/api/v1/status/x",
];

impl Route {
    /// The status for a method; `Allow` goes with a 405.
    fn expected(&self, method: &str, may: bool) -> u16 {
        match () {
            () if !may && !self.open => 401,
            () if self.allow.split(',').any(|allowed| allowed == method) => self.status,
            () => 405,
        }
    }
}

pub(crate) struct Answered {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }
}

/// A request as bytes, so that no client decides what it looks like.
pub(crate) async fn ask(
    server: SocketAddr,
    method: &str,
    path: &str,
    login: Option<(&str, &str)>,
) -> Answered {
    let login = login.map(|(name, password)| {
        let login = BASE64_STANDARD.encode(format!("{name}:{password}"));
        format!("Authorization: Basic {login}\r\n")
    });
    let login = login.unwrap_or_default();
    let line = format!("{method} {path} HTTP/1.1\r\n");
    ask_raw(server, &format!("{line}Host: x\r\nConnection: close\r\n{login}\r\n")).await
}

/// The answer to these bytes; they have to ask for the end of the connection.
async fn ask_raw(server: SocketAddr, request: &str) -> Answered {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    guard(request, stream.read_to_end(&mut answer)).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head, body }
}

/// An exporter whose upstream hangs, below a prefix, with these lines as its web configuration.
async fn start(prefix: &str, web: Option<&str>) -> World {
    let (api, url) = serve(still(&["acme"], 1)).await;
    api.add_fault("hang".parse().unwrap());
    let yaml = configuration(&api, &url, "interval: 1h, timeout: 10m");
    let config = config::parse(yaml.as_bytes(), std::path::Path::new("test.yaml")).unwrap();
    let pki = Pki::new();
    let web = web.map(|yaml| {
        pki.write("web.yml", yaml);
        web_config::load(&pki.path("web.yml")).unwrap()
    });
    let options = Options { web, route_prefix: prefix.parse().unwrap(), ..options() };
    World::start_options(api, config, options).await
}

async fn check(prefix: &str, login: Option<(&str, &str)>, guarded: bool) {
    let yaml = users(4);
    let world = start(prefix, guarded.then_some(&*yaml)).await;
    let may = !guarded || login == Some(ALICE);
    for method in METHODS {
        for route in &ROUTES {
            let path = format!("{prefix}{}", route.path);
            let answer = ask(world.exporter, method, &path, login).await;
            let expected = route.expected(method, may);
            let what = format!("{method} {path} {login:?}\n{}", answer.head);
            assert_eq!(answer.status, expected, "{what}");
            assert_eq!(answer.header("allow"), (expected == 405).then_some(route.allow), "{what}");
            assert_eq!(answer.header("www-authenticate").is_some(), expected == 401, "{what}");
            let empty = method == "HEAD" || expected == 405;
            assert_eq!(answer.body.is_empty(), empty, "{what}");
            let length: usize = answer.header("content-length").unwrap().parse().unwrap();
            assert_eq!(length == 0, expected == 405, "{what}");
            assert!(empty || length == answer.body.len(), "{what}");
        }
        for path in NOWHERE {
            let answer = ask(world.exporter, method, &format!("{prefix}{path}"), login).await;
            assert_eq!(answer.status, if may { 404 } else { 401 }, "{method} {path}");
            assert_eq!(answer.header("allow"), None, "{method} {path}");
        }
        for probe in ROUTES.iter().filter(|route| route.open) {
            let answer = ask(world.exporter, method, probe.path, login).await;
            assert_eq!(answer.status, probe.expected(method, may), "{method} {}", probe.path);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn every_path_with_every_method() {
    check("", None, false).await;
}

#[tokio::test]
async fn every_path_with_every_method_below_a_prefix() {
    check("/wazzup/prod", None, false).await;
}

#[tokio::test]
async fn every_path_with_every_method_without_a_login() {
    check("", None, true).await;
    check("/wazzup", Some((ALICE.0, "wrong")), true).await;
    check("", Some(("mallory", ALICE.1)), true).await;
}

#[tokio::test]
async fn every_path_with_every_method_with_a_login() {
    check("", Some(ALICE), true).await;
    check("/wazzup", Some(ALICE), true).await;
}

#[tokio::test]
async fn what_is_no_path_is_not_found() {
    let world = start("/wazzup", None).await;
    for (method, target, status) in [
        ("OPTIONS", "*", 404),
        ("CONNECT", "127.0.0.1:10117", 404),
        ("GET", "http://x/wazzup/metrics", 200),
        ("GET", "http://x/metrics", 404),
    ] {
        assert_eq!(
            ask(world.exporter, method, target, None).await.status,
            status,
            "{method} {target}"
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn a_request_names_one_host() {
    let world = start("", None).await;
    for (head, status) in [
        ("HTTP/1.1\r\nHost: x\r\n", 200),
        ("HTTP/1.1\r\nHost:\r\n", 200),
        ("HTTP/1.1\r\n", 400),
        ("HTTP/1.1\r\nHost: x\r\nHost: x\r\n", 400),
        ("HTTP/1.0\r\n", 200),
        ("HTTP/1.0\r\nHost: x\r\nhost: y\r\n", 400),
    ] {
        for path in ["/metrics", "/-/healthy"] {
            let request = format!("GET {path} {head}Connection: close\r\n\r\n");
            assert_eq!(ask_raw(world.exporter, &request).await.status, status, "{request}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn every_path_with_every_method_over_tls_and_both_versions_of_http() {
    let guarded = Guarded::start(&format!("{}{}", tls(""), users(4))).await;
    for client in [guarded.client(), guarded.trusting().http1_only().build().unwrap()] {
        for route in &ROUTES {
            // Whether its first sweep is over is not known here, and CONNECT has no path in HTTP/2.
            let ready = route.path == "/-/ready";
            for method in METHODS.into_iter().filter(|method| *method != "CONNECT") {
                for (login, may) in [(None, false), (Some(ALICE), true)] {
                    let answer = send(&client, &guarded.url(route.path), method, login).await;
                    let expected = route.expected(method, may);
                    let what = format!("{method} {} {login:?} {:?}", route.path, answer.version());
                    let status = answer.status().as_u16();
                    assert!(status == expected || (ready && status == 200), "{what}: {status}");
                    let headers = answer.headers().clone();
                    let allow = headers.get("allow").map(|value| value.to_str().unwrap());
                    assert_eq!(allow, (expected == 405).then_some(route.allow), "{what}");
                    let body = answer.bytes().await.unwrap();
                    assert_eq!(body.is_empty(), method == "HEAD" || expected == 405, "{what}");
                }
            }
        }
    }
    guarded.stop().await;
}
