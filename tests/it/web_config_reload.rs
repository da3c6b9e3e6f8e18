//! Changes of a web configuration while the exporter runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use reqwest::Client;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::support::exporter::{Exporter, config_flag};
use super::support::files::write_config;
use super::support::http::client;
use super::support::pki::{Pki, host};
use super::support::samples::samples;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::{guard, until, until_true};
use super::web_config::{ALICE, Guarded, send, tls, users};

const GAUGE: &str = "wazzup_exporter_config_last_reload_successful";

/// Asks again and again, each time over a new connection, until the status is the one that is
/// wanted; 0 stands for no answer.
async fn until_status(
    what: &str,
    client: impl Fn() -> Client,
    url: &str,
    login: bool,
    wanted: u16,
) {
    until(what, &[], async || {
        let mut request = client().get(url);
        if login {
            request = request.basic_auth(ALICE.0, Some(ALICE.1));
        }
        let status = request.send().await.map_or(0, |answer| answer.status().as_u16());
        if status == wanted { Ok(()) } else { Err(format!("the status is {status}")) }
    })
    .await;
}

/// Waits until the gauge has this value.
async fn until_gauge(client: &Client, url: &str, wanted: &str) {
    until_true(format!("{GAUGE} {wanted}"), async || {
        let answer = send(client, url, "GET", Some(ALICE)).await;
        assert_eq!(answer.status(), 200, "{url}");
        samples(&answer.text().await.unwrap())[GAUGE] == wanted
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_under_load_without_a_failed_request() {
    let guarded = Guarded::start(&tls("")).await;
    let url = guarded.url("/metrics");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = Vec::new();
    for kept in [true, false] {
        let one = guarded.client();
        let (stop, answered, url) = (Arc::clone(&stop), Arc::clone(&answered), url.clone());
        let ca = reqwest::Certificate::from_pem(guarded.pki.ca().as_bytes()).unwrap();
        load.push(tokio::spawn(async move {
            while !stop.load(Relaxed) {
                let fresh = || {
                    super::support::http::builder().tls_certs_only([ca.clone()]).build().unwrap()
                };
                let client = if kept { one.clone() } else { fresh() };
                assert_eq!(send(&client, &url, "GET", None).await.status(), 200);
                answered.fetch_add(1, Relaxed);
            }
        }));
    }
    for _ in 0..2 {
        let certificate = guarded.pki.renew();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let shown = async || served(&guarded).await == certificate;
        until_true("the renewed certificate", shown).await;
    }
    let before = answered.load(Relaxed);
    let more = async || answered.load(Relaxed) >= before + 20;
    until_true("requests with the last certificate", more).await;
    stop.store(true, Relaxed);
    for one in load {
        one.await.unwrap();
    }
    guarded.stop().await;
}

/// The certificate that a new connection is shown.
async fn served(guarded: &Guarded) -> CertificateDer<'static> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(guarded.pki.ca().as_bytes()).unwrap()).unwrap();
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(guarded.world.exporter).await.unwrap();
    let name = ServerName::from(guarded.world.exporter.ip());
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = guard("a handshake", connecting).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_headers_authorities_and_names_change_without_a_restart() {
    let all = |lines: &str, rest: &str| {
        let auth = "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt";
        format!("{}{rest}", tls(&format!("{auth}\n  {lines}")))
    };
    let pki = Pki::new();
    let others = Pki::new();
    pki.write("clients.crt", &pki.ca());
    let guarded = Guarded::start_with(pki, &all("", &users(4)), still(&["acme"], 1)).await;
    let ours = guarded.pki.client(&[host("prometheus.test")]);
    let theirs = others.client(&[host("prometheus.test")]);
    let (ours, theirs) = (|| guarded.client_with(&ours), || guarded.client_with(&theirs));
    let url = guarded.url("/style.css");
    until_status("the start", ours, &url, true, 200).await;
    until_status("the start", ours, &url, false, 401).await;
    until_status("the start", theirs, &url, true, 0).await;

    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    guarded.pki.write("web.yml", &all("", headers));
    until_status("no login", ours, &url, false, 200).await;
    let answer = send(&ours(), &url, "GET", None).await;
    assert_eq!(answer.headers()["x-frame-options"], "deny");

    let other = bcrypt::hash("another", 4).unwrap();
    guarded.pki.write("web.yml", &all("", &format!("basic_auth_users: {{alice: {other}}}\n")));
    until_status("another password", ours, &url, true, 401).await;
    assert_eq!(send(&ours(), &url, "GET", Some(("alice", "another"))).await.status(), 200);

    guarded.pki.write("web.yml", &all("", ""));
    until_status("no login", ours, &url, false, 200).await;
    guarded.pki.write("clients.crt", &others.ca());
    until_status("another authority", theirs, &url, false, 200).await;
    until_status("another authority", ours, &url, false, 0).await;

    guarded.pki.write("web.yml", &all("client_allowed_sans: [grafana.test]", ""));
    until_status("another name", theirs, &url, false, 0).await;
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_before_a_change_is_not_resumed_after_it() {
    let require = |names: &str| {
        tls(&format!(
            "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
             client_allowed_sans: [{names}]"
        ))
    };
    let guarded = Guarded::start(&require("prometheus.test")).await;
    let pair = guarded.pki.client(&[host("prometheus.test")]);
    // One client keeps its tickets, and opens a connection per request.
    let keeping = guarded.trusting().identity(super::web_config::identity(&pair));
    let keeping = keeping.http1_only().pool_max_idle_per_host(0).build().unwrap();
    let url = guarded.url("/-/healthy");
    for _ in 0..3 {
        assert_eq!(send(&keeping, &url, "GET", None).await.status(), 200);
    }
    guarded.pki.write("web.yml", &require("grafana.test"));
    until_status("the end of its name", || keeping.clone(), &url, false, 0).await;
    for _ in 0..3 {
        guard("an answer", keeping.get(&url).send()).await.unwrap_err();
    }
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_renewal_keeps_what_was_there_until_it_is_mended() {
    let guarded = Guarded::start(&format!("{}{}", tls(""), users(4))).await;
    let url = guarded.url("/metrics");
    let good = std::fs::read_to_string(guarded.pki.path("web.yml")).unwrap();
    let key = std::fs::read_to_string(guarded.pki.path("server.key")).unwrap();
    until_gauge(&guarded.client(), &url, "1").await;
    for (name, broken, mended) in [
        ("server.key", "nonsense", key.as_str()),
        ("web.yml", "tls_server_config: [", good.as_str()),
        ("web.yml", "", good.as_str()),
        ("web.yml", "basic_auth_users: {alice: nonsense}\n", good.as_str()),
    ] {
        guarded.pki.write(name, broken);
        until_gauge(&guarded.client(), &url, "0").await;
        // Both the certificate and the login are still there.
        assert_eq!(send(&guarded.client(), &url, "GET", None).await.status(), 401, "{broken}");
        guarded.pki.write(name, mended);
        until_gauge(&guarded.client(), &url, "1").await;
    }
    std::fs::remove_file(guarded.pki.path("server.crt")).unwrap();
    until_gauge(&guarded.client(), &url, "0").await;
    guarded.pki.renew();
    until_gauge(&guarded.client(), &url, "1").await;
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_a_broken_file_once_and_what_needs_a_restart() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 30s")));
    let pki = Pki::new();
    let users = users(4);
    pki.write("web.yml", &users);
    let web = format!("--web.config.file={}", pki.path("web.yml").display());
    let daemon = Exporter::start(&[&config, &web, "--web.health-listen-address=127.0.0.1:0"]);
    let metrics = format!("http://{}/metrics", daemon.address);
    until_gauge(&client(), &metrics, "1").await;
    pki.write("web.yml", "basic_auth_users: {alice: hunter2}\nrate_limit: {burst: hunter2}\n");
    until_gauge(&client(), &metrics, "0").await;
    let rest = "http_server_config: {http2: false}\nrate_limit: {interval: 1s, burst: 1}\n";
    pki.write("web.yml", &format!("{}{users}{rest}", tls("")));
    until_gauge(&client(), &metrics, "1").await;
    daemon
        .until_logged("a part of the web configuration needs a restart: turning TLS on, rate_limit")
        .await;
    // Still without TLS and without a limit.
    for _ in 0..10 {
        assert_eq!(send(&client(), &metrics, "GET", Some(ALICE)).await.status(), 200);
    }
    assert!(daemon.log().contains("listening for probes alone"));
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.end();
    assert_eq!(code, Some(0), "{log}");
    let errors: Vec<_> = log.lines().filter(|line| line.contains("level=ERROR")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    for message in ["web.yml:1:27: basic_auth_users.alice: ", "rate_limit.burst: "] {
        assert!(errors[0].contains(message), "{}", errors[0]);
    }
    for secret in ["hunter2", "$2b$", ALICE.1, "BEGIN"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_taken_out_of_the_file_stays_until_a_restart() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 30s")));
    let pki = Pki::new();
    pki.write("web.yml", &tls(""));
    let web = format!("--web.config.file={}", pki.path("web.yml").display());
    let daemon = Exporter::start(&[&config, &web]);
    pki.write("web.yml", "http_server_config: {http2: false}\n");
    let message = "a part of the web configuration needs a restart: turning TLS off, http2";
    daemon.until_logged(message).await;
    let ca = reqwest::Certificate::from_pem(pki.ca().as_bytes()).unwrap();
    let client = super::support::http::builder().tls_certs_only([ca]).build().unwrap();
    let answer = send(&client, &format!("https://{}/metrics", daemon.address), "GET", None).await;
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
}
