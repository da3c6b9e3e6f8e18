//! The web configuration as a whole: what is refused at the start, logins, headers, the rate limit
//! and the listener for probes. TLS is in `web_config_tls`, changes while running are in
//! `web_config_reload`.

use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, Response};
use wazzup_exporter::app::Options;
use wazzup_exporter::config;
use wazzup_exporter::web_config;

use super::cli::{run, text};
use super::support::daemon::{World, options};
use super::support::exporter::config_flag;
use super::support::files::write_config;
use super::support::http::{builder, client};
use super::support::pki::{Pair, Pki};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::guard;

/// A name, its password, and the header that says both.
pub(crate) const ALICE: (&str, &str) = ("alice", "open sesame");

/// An exporter with a web configuration.
pub(crate) struct Guarded {
    pub(crate) world: World,
    pub(crate) pki: Pki,
    plain: Client,
}

impl Guarded {
    /// Runs one whose web configuration is `yaml`, with the files of a new [`Pki`].
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::start_with(Pki::new(), yaml, still(&["acme"], 2)).await
    }

    pub(crate) async fn start_with(
        pki: Pki,
        yaml: &str,
        settings: wazzup_exporter::simulator::Settings,
    ) -> Self {
        let (api, url) = serve(settings).await;
        let config = configuration(&api, &url, "interval: 1h");
        let config = config::parse(config.as_bytes(), Path::new("test.yaml")).unwrap();
        pki.write("web.yml", yaml);
        let web = web_config::load(&pki.path("web.yml")).unwrap();
        let options = Options {
            web: Some(web),
            health_listen: Some("127.0.0.1:0".parse().unwrap()),
            ..options()
        };
        let world = World::start_options(api, config, options).await;
        Self { world, pki, plain: client() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.world.exporter)
    }

    /// A client that trusts the authority.
    pub(crate) fn client(&self) -> Client {
        self.trusting().build().unwrap()
    }

    /// A client that shows this certificate.
    pub(crate) fn client_with(&self, pair: &Pair) -> Client {
        self.trusting().identity(identity(pair)).build().unwrap()
    }

    pub(crate) fn trusting(&self) -> ClientBuilder {
        let ca = Certificate::from_pem(self.pki.ca().as_bytes()).unwrap();
        builder().tls_certs_only([ca])
    }

    /// An answer without TLS.
    async fn plain(&self, method: &str, path: &str, login: Option<(&str, &str)>) -> Response {
        let url = format!("http://{}{path}", self.world.exporter);
        send(&self.plain, &url, method, login).await
    }

    pub(crate) async fn stop(self) {
        self.world.stop().await;
    }
}

pub(crate) fn identity(pair: &Pair) -> Identity {
    Identity::from_pem(format!("{}{}", pair.certificate, pair.key).as_bytes()).unwrap()
}

pub(crate) async fn send(
    client: &Client,
    url: &str,
    method: &str,
    login: Option<(&str, &str)>,
) -> Response {
    let mut request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
    if let Some((name, password)) = login {
        request = request.basic_auth(name, Some(password));
    }
    guard(format!("an answer to {method} {url}"), request.send()).await.unwrap()
}

/// `basic_auth_users` with alice, her password hashed at this cost.
pub(crate) fn users(cost: u32) -> String {
    let hash = bcrypt::hash(ALICE.1, cost).unwrap();
    format!("basic_auth_users: {{alice: {hash}}}\n")
}

/// `tls_server_config` with the usual pair and these lines.
pub(crate) fn tls(lines: &str) -> String {
    format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  {lines}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_exit_code_2_before_anything_is_bound() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 30s")));
    let pki = Pki::new();
    let web = format!("--web.config.file={}", pki.path("web.yml").display());
    for (yaml, message) in [
        ("tls_server_config: {cert_filse: server.crt}\n", "unknown key \"cert_filse\"".to_owned()),
        (
            "tls_server_config: {cert_file: gone.crt, key_file: server.key}\n",
            "tls_server_config.cert_file: the file cannot be read".to_owned(),
        ),
        ("tls_server_config: {cert_file: server.crt}\n", "has neither key_file nor key".to_owned()),
        (
            "basic_auth_users: {john: doe}\n",
            "basic_auth_users.john: is not a bcrypt hash".to_owned(),
        ),
    ] {
        pki.write("web.yml", yaml);
        for arguments in [
            &[&*config, &*web, "--web.listen-address=127.0.0.1:0"][..],
            &["demo", &*web, "--web.listen-address=127.0.0.1:0"],
            &["check-config", &*config, &*web],
        ] {
            let ended = run(arguments);
            assert_eq!(ended.status.code(), Some(2), "{ended:?}");
            let errors = text(&ended.stderr);
            assert!(errors.contains(&message), "{errors}");
            assert!(errors.contains("web.yml:1:"), "{errors}");
            assert!(!errors.contains("listening") && ended.stdout.is_empty(), "{ended:?}");
        }
    }
    let missing = run(&[&*config, "--web.config.file=/nonexistent/web.yml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nonexistent/web.yml: cannot be read"));
    assert_eq!(api.counts().total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_checks_both_files_and_says_what_the_second_guards() {
    let folder = tempfile::tempdir().unwrap();
    let good = "accounts: [{name: acme, auth: {token: x}, users: [{id: '1'}]}]\n";
    let config = config_flag(&write_config(folder.path(), good));
    let pki = Pki::new();
    let web = format!("--web.config.file={}", pki.path("web.yml").display());
    pki.write("web.yml", &format!("{}{}", tls("client_allowed_sans: [x]"), users(4)));
    let checked = run(&["check-config", &config, &web]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(text(&checked.stdout).ends_with("web.yml: fine; TLS: on, users: 1\n"), "{checked:?}");
    assert!(text(&checked.stderr).contains("warning: "), "{checked:?}");
    assert!(text(&checked.stderr).contains("asks no client for a certificate"), "{checked:?}");
    let bad = config_flag(&write_config(folder.path(), "accounts: 7\n"));
    pki.write("web.yml", "tls_config: {}\n");
    let checked = run(&["check-config", &bad, &web]);
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    let errors = text(&checked.stderr);
    assert!(errors.contains("config.yaml:1:") && errors.contains("web.yml:1:"), "{errors}");
    write_config(folder.path(), good);
    let none = run(&["check-config", &config, "--web.config.file="]);
    assert!(text(&none.stdout).ends_with("config.yaml: fine; accounts: 1, users: 1\n"), "{none:?}");
}

#[tokio::test]
async fn passwords_are_tried_aside() {
    let guarded = Guarded::start(&users(13)).await;
    {
        // This runtime has one thread, so that trying the password there would keep health waiting.
        let mut login = pin!(guarded.plain("GET", "/metrics", Some(ALICE)));
        let health = tokio::select! {
            biased;
            answer = &mut login => panic!("bcrypt was done first: {answer:?}"),
            answer = guarded.plain("GET", "/-/healthy", None) => answer,
        };
        assert_eq!((health.status().as_u16(), login.await.status().as_u16()), (200, 200));
    }
    guarded.stop().await;
}

#[tokio::test]
async fn good_passwords_are_remembered() {
    let guarded = Guarded::start(&users(10)).await;
    assert_eq!(guarded.plain("GET", "/style.css", Some(ALICE)).await.status(), 200);
    let one = Instant::now();
    assert_eq!(guarded.plain("GET", "/style.css", Some((ALICE.0, "wrong"))).await.status(), 401);
    let one = one.elapsed();
    let many = Instant::now();
    for _ in 0..50 {
        assert_eq!(guarded.plain("GET", "/style.css", Some(ALICE)).await.status(), 200);
    }
    assert!(many.elapsed() < one * 50, "50 took {:?}, one trial {one:?}", many.elapsed());
    guarded.stop().await;
}

#[tokio::test]
async fn an_unknown_user_costs_what_a_known_one_costs() {
    let guarded = Guarded::start(&users(10)).await;
    let mut least = [Duration::MAX; 2];
    for _ in 0..5 {
        for (least, name) in least.iter_mut().zip(["alice", "mallory"]) {
            let begun = Instant::now();
            let refused = guarded.plain("GET", "/", Some((name, "wrong"))).await;
            assert_eq!(refused.status(), 401);
            *least = begun.elapsed().min(*least);
        }
    }
    let [known, unknown] = least;
    assert!(unknown > known / 4 && known > unknown / 4, "{known:?}, {unknown:?}");
    guarded.stop().await;
}

#[tokio::test]
async fn a_login_that_is_none_is_turned_away() {
    let guarded = Guarded::start(&users(4)).await;
    let url = format!("http://{}/metrics", guarded.world.exporter);
    for value in ["", "Basic", "Basic !", "Bearer open sesame", "Basic YWxpY2U=", "Basic Og=="] {
        let request = client().get(&url).header("authorization", value);
        let answer = guard("an answer", request.send()).await.unwrap();
        assert_eq!(answer.status(), 401, "{value}");
        let challenge = &answer.headers()["www-authenticate"];
        assert_eq!(challenge, "Basic realm=\"wazzup-exporter\", charset=\"UTF-8\"");
    }
    // What is remembered of one login does not help another one that looks alike in pieces.
    assert_eq!(guarded.plain("GET", "/metrics", Some(ALICE)).await.status(), 200);
    for (name, password) in [("aliceopen", " sesame"), ("alic", "eopen sesame"), ("alice", "")] {
        assert_eq!(guarded.plain("GET", "/metrics", Some((name, password))).await.status(), 401);
    }
    guarded.stop().await;
}

#[tokio::test]
async fn a_crowd_of_wrong_passwords_is_refused_for_a_while_and_keeps_no_valid_login_out() {
    let guarded = Guarded::start(&users(10)).await;
    assert_eq!(guarded.plain("GET", "/style.css", Some(ALICE)).await.status(), 200);
    let url = format!("http://{}/metrics", guarded.world.exporter);
    let crowd = (0..150).map(|number| {
        let (client, url) = (guarded.plain.clone(), url.clone());
        let password = format!("guess {number}");
        tokio::spawn(async move {
            send(&client, &url, "GET", Some(("alice", &password))).await.status().as_u16()
        })
    });
    let crowd: Vec<_> = crowd.collect();
    for _ in 0..10 {
        assert_eq!(guarded.plain("GET", "/style.css", Some(ALICE)).await.status(), 200);
    }
    let mut busy = 0;
    for answer in crowd {
        let status = answer.await.unwrap();
        assert!([401, 503].contains(&status), "{status}");
        busy += usize::from(status == 503);
    }
    assert!(busy > 0);
    guarded.stop().await;
}

#[tokio::test]
async fn the_rate_limit_comes_before_the_login_and_spares_the_probes() {
    let yaml = format!("{}rate_limit: {{interval: 1h, burst: 3}}\n", users(4));
    let guarded = Guarded::start(&yaml).await;
    let mut statuses = Vec::new();
    for login in [None, Some(ALICE), None, Some(ALICE), None] {
        statuses.push(guarded.plain("GET", "/style.css", login).await.status().as_u16());
        for probe in ["/-/healthy", "/-/ready"] {
            let status = guarded.plain("GET", probe, None).await.status().as_u16();
            assert!([200, 503].contains(&status), "{probe}: {status}");
        }
    }
    assert_eq!(statuses, [401, 200, 401, 429, 429]);
    guarded.stop().await;
}

#[tokio::test]
async fn an_empty_bucket_answers_nothing_but_probes() {
    let guarded = Guarded::start("rate_limit: {interval: 1ms}\n").await;
    assert_eq!(guarded.plain("GET", "/style.css", None).await.status(), 429);
    assert_eq!(guarded.plain("GET", "/metrics", None).await.status(), 429);
    assert_eq!(guarded.plain("GET", "/-/healthy", None).await.status(), 200);
    guarded.stop().await;
    let guarded = Guarded::start("rate_limit: {interval: -1s, burst: 0}\n").await;
    for _ in 0..20 {
        assert_eq!(guarded.plain("GET", "/style.css", None).await.status(), 200);
    }
    guarded.stop().await;
}

#[tokio::test]
async fn headers_are_on_every_answer() {
    let yaml = format!(
        "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    \
         X-XSS-Protection: 1\n    Content-Security-Policy: default-src 'none'\n    \
         Strict-Transport-Security: ''\n{}rate_limit: {{interval: 1h, burst: 6}}\n",
        users(4)
    );
    let guarded = Guarded::start(&yaml).await;
    for (method, path, login, status) in [
        ("GET", "/", Some(ALICE), 200),
        ("GET", "/metrics", Some(ALICE), 200),
        ("HEAD", "/metrics", Some(ALICE), 200),
        ("GET", "/nothing", Some(ALICE), 404),
        ("POST", "/", Some(ALICE), 405),
        ("GET", "/", None, 401),
        ("GET", "/", Some(ALICE), 429),
        ("GET", "/-/healthy", None, 200),
    ] {
        let answer = guarded.plain(method, path, login).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        for (name, value) in [
            ("x-frame-options", "sameorigin"),
            ("x-xss-protection", "1"),
            ("content-security-policy", "default-src 'none'"),
            ("strict-transport-security", ""),
            ("x-content-type-options", "nosniff"),
        ] {
            let values: Vec<_> = answer.headers().get_all(name).iter().collect();
            assert_eq!(values, [value], "{method} {path} {name}");
        }
    }
    guarded.stop().await;
}

#[tokio::test]
async fn the_listener_for_probes_has_nothing_else() {
    let yaml = format!(
        "{}{}rate_limit: {{interval: 1h, burst: 0}}\n",
        tls("client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt"),
        users(4)
    );
    let guarded = Guarded::start(&yaml).await;
    let address = guarded.world.probes.unwrap();
    for (method, path, status) in [
        ("GET", "/-/healthy", 200),
        ("HEAD", "/-/healthy", 200),
        // Its first sweep is far away.
        ("GET", "/-/ready", 503),
        ("POST", "/-/healthy", 405),
        ("DELETE", "/-/ready", 405),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
        ("POST", "/metrics", 404),
        ("GET", "/api/v1/status", 404),
        ("GET", "/-/healthy/", 404),
    ] {
        let answer = send(&guarded.plain, &format!("http://{address}{path}"), method, None).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.headers().contains_key("allow"), status == 405, "{method} {path}");
    }
    guarded.stop().await;
}
