//! A real Prometheus scrapes an exporter that wants certificates and logins.

use std::path::Path;

use wazzup_exporter::simulator::{Settings, Simulator};

use super::expected::held;
use super::prometheus::Prometheus;
use super::support::exporter::Exporter;
use super::support::pki::{Pair, Pki, host};
use super::support::process::{promtool, run};
use super::support::upstream::{serve, still};
use super::support::wait::until;

const POLL: &str = "interval: 500ms, timeout: 1s, stale_after: 2s";
const PASSWORD: &str = "open sesame";

/// What Prometheus has to show: a certificate, a name in it, and a login.
fn web_config() -> String {
    let hash = bcrypt::hash(PASSWORD, 10).unwrap();
    format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
         client_allowed_sans: [prometheus.test]\n\
         http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n\
         basic_auth_users: {{prometheus: {hash}}}\n"
    )
}

async fn start(pki: &Pki, settings: Settings) -> (Simulator, Exporter) {
    let (api, url) = serve(settings).await;
    pki.write("web.yml", &web_config());
    let flag = format!("--web.config.file={}", pki.path("web.yml").display());
    let exporter = Exporter::polling_with(&api, &url, POLL, &[flag]);
    (api, exporter)
}

/// The part of a scrape configuration that shows this certificate and this password.
fn scrape(pki: &Pki, pair: &Pair, password: &str) -> String {
    pki.write("client.crt", &pair.certificate);
    pki.write("client.key", &pair.key);
    let [ca, certificate, key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| pki.path(name).display().to_string());
    // A busy machine may take a second for the first handshake and the first check of a password.
    format!(
        "scheme: https\nscrape_interval: 3s\nscrape_timeout: 3s\n\
         tls_config: {{ca_file: '{ca}', cert_file: '{certificate}', key_file: '{key}'}}\n\
         basic_auth: {{username: prometheus, password: '{password}'}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_with_a_certificate_and_a_login_while_certificates_are_replaced() {
    let pki = Pki::new();
    let (api, exporter) = start(&pki, still(&["acme", "globex"], 20)).await;
    let keys = scrape(&pki, &pki.client(&[host("prometheus.test")]), PASSWORD);
    let prometheus = Prometheus::start_with(&exporter, &keys).await;
    prometheus.until_figures(&exporter, "the first figures", &held(&api)).await;
    for renewal in 0..3 {
        pki.renew();
        until_renewed(&exporter, renewal + 1).await;
        // A new connection gets the new certificate.
        let second = Prometheus::start_with(&exporter, &keys).await;
        second.until_value(&exporter, "up", "1").await;
    }
    api.set("acme", "u3", 4321, "red").unwrap();
    prometheus.until_figures(&exporter, "figures after the renewals", &held(&api)).await;
    prometheus.until_value(&exporter, "count_over_time(up[5m]) > bool 5", "1").await;
    prometheus.until_value(&exporter, "min_over_time(up[5m])", "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_shows_why_it_may_not_scrape() {
    let pki = Pki::new();
    let (_api, exporter) = start(&pki, still(&["acme"], 1)).await;
    let named = pki.client(&[host("prometheus.test")]);
    for (pair, password, why) in [
        (&named, "wrong", "401 Unauthorized"),
        (&pki.client(&[host("other.test")]), PASSWORD, "access denied"),
        (&Pki::new().client(&[host("prometheus.test")]), PASSWORD, "certificate"),
    ] {
        let keys = scrape(&pki, pair, password);
        let prometheus = Prometheus::start_with(&exporter, &keys).await;
        prometheus.until_down(&exporter, why).await;
    }
    let plain = Prometheus::start(&exporter).await;
    plain.until_down(&exporter, "400 Bad Request").await;
}

/// Waits until so many renewals are logged.
async fn until_renewed(exporter: &Exporter, renewals: usize) {
    until("the renewed certificate", &[&exporter.process], async || {
        let log = exporter.process.log();
        let found = log.matches("the web configuration has changed and is in use").count();
        if found == renewals { Ok(()) } else { Err(format!("{found} of {renewals}")) }
    })
    .await;
}

#[test]
fn promtool_takes_the_documented_example() {
    let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/web-configuration.md");
    let documentation = std::fs::read_to_string(documentation).unwrap();
    let (_, example) = documentation.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    // Prometheus 2.42 is older than these keys.
    let young = ["client_allowed_sans:", "rate_limit:"];
    let old = |line: &&str| !young.iter().any(|key| line.trim_start().starts_with(key));
    let example: Vec<&str> = example.lines().filter(old).collect();
    let pki = Pki::new();
    for (name, from) in
        [("tls.crt", "server.crt"), ("tls.key", "server.key"), ("clients.crt", "ca.crt")]
    {
        std::fs::copy(pki.path(from), pki.path(name)).unwrap();
    }
    pki.write("web.yml", &example.join("\n"));
    let mut command = promtool();
    let command = command.args(["check", "web-config"]).arg(pki.path("web.yml"));
    let checked = run("promtool", command, b"");
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}
