//! The way to upstream: whose certificates are good, which proxy is used, and who sees what.

use std::path::Path;
use std::process::Output;

use hyper::{Method, StatusCode, Version};
use wazzup_exporter::config;
use wazzup_exporter::simulator::Simulator;

use super::relays::{Authority, Proxy, Seen, TlsFront};
use super::support::daemon::World;
use super::support::exporter::{command, config_flag};
use super::support::files::write_config;
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{serve, still};
use super::support::wait::guard;

/// User name and password of a proxy, and how they travel.
const USER: &str = "pr0xy-user";
const PASSWORD: &str = "pr0xy-passw0rd";
const BASIC: &str = "cHIweHktdXNlcjpwcjB4eS1wYXNzdzByZA==";

const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// The account `acme` with the users of [`still`], polled every 200 ms, one request at a time.
fn yaml(base_url: &str, users: usize, settings: &str) -> String {
    let users: Vec<_> = (0..users).map(|user| format!("{{id: u{user}}}")).collect();
    format!(
        "poll: {{interval: 200ms, timeout: 20s, concurrency: 1}}\n\
         accounts: [{{name: acme, base_url: '{base_url}', auth: {{token: token-of-acme}},\n\
         \x20 channels: {{enabled: false}}, users: [{}], {settings}}}]\n",
        users.join(", ")
    )
}

fn trusting(authority: &Authority) -> String {
    format!("tls: {{ca_file: '{}'}}", authority.file().display())
}

async fn api(users: usize) -> (Simulator, String) {
    serve(still(&["acme"], users)).await
}

async fn first_figure(world: &World) {
    let series = counter("acme", "u0", "red");
    world.until("a figure", |samples| value(samples, &series) == Some(1.0)).await;
}

/// Waits for a request that failed to connect; returns what the status says about it.
async fn failure(world: &World) -> String {
    let failed =
        r#"wazzup_api_requests_total{account="acme",endpoint="counter",outcome="connect"}"#;
    world.until("a failure", |samples| value(samples, failed) >= Some(1.0)).await;
    world.get("/api/v1/status").await.text().await.unwrap()
}

/// Everything that the exporter shows.
async fn shown(world: &World) -> String {
    let mut shown = String::new();
    for path in ["/", "/metrics", "/api/v1/status"] {
        shown.push_str(&world.get(path).await.text().await.unwrap());
    }
    shown
}

fn assert_no_password(text: &str) {
    for secret in [USER, PASSWORD, BASIC] {
        assert!(!text.contains(secret), "{secret} is shown: {text}");
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_through_ca_file_and_only_there() {
    let authority = Authority::new();
    let (api, url) = api(1).await;
    let front = TlsFront::start(&authority, "127.0.0.1", &BOTH, &url).await;
    let base_url = format!("https://{}", front.address);
    let world = World::start_with(api.clone(), &yaml(&base_url, 1, &trusting(&authority))).await;
    first_figure(&world).await;
    world.stop().await;

    let before = api.counts().total;
    for settings in ["", &trusting(&Authority::new())] {
        let world = World::start_with(api.clone(), &yaml(&base_url, 1, settings)).await;
        let status = failure(&world).await;
        assert!(status.contains("invalid peer certificate: UnknownIssuer"), "{status}");
        world.stop().await;
    }
    assert_eq!(api.counts().total, before);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_unless_none_is_checked() {
    let authority = Authority::new();
    let (api, url) = api(1).await;
    let front = TlsFront::start(&authority, "other.test", &BOTH, &url).await;
    let base_url = format!("https://{}", front.address);
    let world = World::start_with(api.clone(), &yaml(&base_url, 1, &trusting(&authority))).await;
    let status = failure(&world).await;
    assert!(status.contains("certificate not valid for name"), "{status}");
    assert!(status.contains("other.test"), "{status}");
    world.stop().await;
    assert_eq!(api.counts().total, 0);

    let unchecked = yaml(&base_url, 1, "tls: {insecure_skip_verify: true}");
    let world = World::start_with(api, &unchecked).await;
    first_figure(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn one_connection_serves_all_sweeps_in_http_2_where_it_is_offered() {
    let authority = Authority::new();
    for (protocols, version) in [(&BOTH[..], Version::HTTP_2), (&BOTH[1..], Version::HTTP_11)] {
        let (api, url) = api(3).await;
        let front = TlsFront::start(&authority, "127.0.0.1", protocols, &url).await;
        let base_url = format!("https://{}", front.address);
        let world = World::start_with(api, &yaml(&base_url, 3, &trusting(&authority))).await;
        world.api_until("five sweeps", |log| log.status(200) >= 15).await;
        world.stop().await;
        let connections = front.connections();
        let [requests] = connections.as_slice() else { panic!("{connections:?}") };
        assert!(requests.len() >= 15 && requests.iter().all(|seen| *seen == version));
    }
}

#[tokio::test]
async fn a_proxy_with_a_password_is_used_even_for_loopback_and_the_password_shown_nowhere() {
    let (api, url) = api(1).await;
    let proxy = Proxy::start(url.trim_start_matches("http://").parse().unwrap()).await;
    let proxy_url = format!("proxy_url: 'http://{USER}:{PASSWORD}@{}'", proxy.address);
    let yaml = yaml(&url, 1, &proxy_url);
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    assert_no_password(&format!("{config:?} {config:#?}"));
    let world = World::start_with(api, &yaml).await;
    first_figure(&world).await;
    assert_no_password(&shown(&world).await);
    let expected = Seen {
        method: Method::GET,
        target: format!("{url}/v2/counters/unanswered/u0"),
        authorization: Some("Bearer token-of-acme".to_owned()),
        proxy_authorization: Some(format!("Basic {BASIC}")),
    };
    let seen = proxy.seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| *seen == expected), "{seen:?}");
    assert!(world.api.counts().total >= seen.len() as u64 - 1);
    world.stop().await;
}

#[tokio::test]
async fn a_proxy_carries_tls_in_a_tunnel_and_sees_no_token() {
    let authority = Authority::new();
    let (api, url) = api(1).await;
    let front = TlsFront::start(&authority, "upstream.test", &BOTH, &url).await;
    let proxy = Proxy::start(front.address).await;
    let proxy_url = format!("proxy_url: 'http://{USER}:{PASSWORD}@{}'", proxy.address);
    let settings = format!("{}, {proxy_url}", trusting(&authority));
    let world = World::start_with(api, &yaml("https://upstream.test", 1, &settings)).await;
    first_figure(&world).await;
    world.api_until("three sweeps", |log| log.status(200) >= 3).await;
    assert_no_password(&shown(&world).await);
    world.stop().await;
    let tunnel = Seen {
        method: Method::CONNECT,
        target: "upstream.test:443".to_owned(),
        authorization: None,
        proxy_authorization: Some(format!("Basic {BASIC}")),
    };
    assert_eq!(proxy.seen(), [tunnel]);
    let connections = front.connections();
    let [requests] = connections.as_slice() else { panic!("{connections:?}") };
    assert!(requests.iter().all(|version| *version == Version::HTTP_2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_proxy_that_is_down_is_not_shown() {
    // Bound and not listening: connections are refused, and no other process gets the port.
    let down = tokio::net::TcpSocket::new_v4().unwrap();
    down.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy_url = format!("proxy_url: 'http://{USER}:{PASSWORD}@{}'", down.local_addr().unwrap());
    for base_url in ["http://127.0.0.1:1", "https://upstream.test"] {
        let yaml = yaml(base_url, 1, &proxy_url);
        let (api, _) = api(1).await;
        let world = World::start_with(api, &yaml).await;
        let status = failure(&world).await;
        assert!(status.contains("Connection refused"), "{status}");
        assert_no_password(&status);
        assert_no_password(&shown(&world).await);
        world.stop().await;
        let polled = poll(&yaml, &[]).await;
        assert_eq!(polled.status.code(), Some(1), "{polled:?}");
        assert_no_password(&format!("{polled:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_a_tunnel_is_named() {
    for (status, words) in [
        (StatusCode::FORBIDDEN, "; it has to let the exporter through"),
        (StatusCode::BAD_GATEWAY, "; it has to let the exporter through"),
        (
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            " with 407; check user name and password in its address",
        ),
    ] {
        let proxy = Proxy::refusing(status).await;
        let expected = format!("the proxy {} refuses the connection{words}", proxy.address);
        let proxy_url = format!("http://{USER}:{PASSWORD}@{}", proxy.address);
        let given = yaml("https://upstream.test", 1, &format!("proxy_url: '{proxy_url}'"));
        let world = World::start_with(api(1).await.0, &given).await;
        let status = failure(&world).await;
        assert!(status.contains(&expected), "{status}");
        assert_no_password(&shown(&world).await);
        world.stop().await;
        let inherited = yaml("https://upstream.test", 1, "");
        let polled = poll(&inherited, &[("HTTPS_PROXY", &*proxy_url)]).await;
        assert!(String::from_utf8_lossy(&polled.stderr).contains(&expected), "{polled:?}");
        assert_no_password(&format!("{polled:?}"));
        let tunnel = Seen {
            method: Method::CONNECT,
            target: "upstream.test:443".to_owned(),
            authorization: None,
            proxy_authorization: Some(format!("Basic {BASIC}")),
        };
        let seen = proxy.seen();
        assert!(!seen.is_empty() && seen.iter().all(|seen| *seen == tunnel), "{seen:?}");
    }
}

#[tokio::test]
async fn a_redirect_takes_a_token_nowhere_through_a_proxy_or_tls() {
    let authority = Authority::new();
    let (other, other_url) = serve(still(&["elsewhere"], 1)).await;
    let mut settings = still(&["acme"], 1);
    settings.faults = vec![format!("redirect={other_url}/v2/").parse().unwrap()];
    let (api, url) = serve(settings).await;
    let front = TlsFront::start(&authority, "upstream.test", &BOTH, &url).await;
    let tunnel = Proxy::start(front.address).await;
    let plain = Proxy::start(url.trim_start_matches("http://").parse().unwrap()).await;
    for (base_url, proxy, settings) in [
        ("https://upstream.test", &tunnel, trusting(&authority)),
        ("http://upstream.test", &plain, "allow_insecure_http: true".to_owned()),
    ] {
        let settings = format!("{settings}, proxy_url: 'http://{}'", proxy.address);
        let world = World::start_with(api.clone(), &yaml(base_url, 1, &settings)).await;
        let failing = r#"wazzup_account_failing{account="acme",reason="malformed"}"#;
        world.until("the failure", |samples| samples.contains_key(failing)).await;
        let status = world.get("/api/v1/status").await.text().await.unwrap();
        assert!(status.contains("which is not followed; check base_url"), "{status}");
        world.stop().await;
        let seen = proxy.seen();
        let to_upstream =
            |seen: &Seen| seen.target.trim_start_matches("http://").starts_with("upstream.test");
        assert!(!seen.is_empty() && seen.iter().all(to_upstream), "{seen:?}");
    }
    assert_eq!(other.counts().total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_obeyed_but_not_for_loopback() {
    let authority = Authority::new();
    let (api, url) = api(1).await;
    let place = url.trim_start_matches("http://").parse().unwrap();
    let front = TlsFront::start(&authority, "upstream.test", &BOTH, &url).await;
    let (plain, tunnel) = (Proxy::start(place).await, Proxy::start(front.address).await);
    let plain_url = format!("http://{USER}:{PASSWORD}@{}", plain.address);
    let tunnel_url = format!("http://{}", tunnel.address);
    let variables = [("HTTP_PROXY", plain_url.as_str()), ("https_proxy", tunnel_url.as_str())];

    let insecure = yaml("http://upstream.test", 1, "allow_insecure_http: true");
    assert_figure(&poll(&insecure, &variables).await);
    let expected = Seen {
        method: Method::GET,
        target: "http://upstream.test/v2/counters/unanswered/u0".to_owned(),
        authorization: Some("Bearer token-of-acme".to_owned()),
        proxy_authorization: Some(format!("Basic {BASIC}")),
    };
    assert_eq!(plain.seen(), [expected]);
    assert_figure(
        &poll(&yaml("https://upstream.test", 1, &trusting(&authority)), &variables).await,
    );
    let targets: Vec<_> = tunnel.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["upstream.test:443"]);

    let everything = [("ALL_PROXY", plain_url.as_str())];
    assert_figure(&poll(&yaml(&url, 1, ""), &everything).await);
    assert_figure(&poll(&yaml(&url, 1, ""), &variables).await);
    let own = yaml(
        "http://upstream.test",
        1,
        &format!("allow_insecure_http: true, proxy_url: '{tunnel_url}'"),
    );
    let polled = poll(&own, &everything).await;
    assert_eq!(polled.status.code(), Some(1), "the wrong proxy was used: {polled:?}");
    assert_eq!((plain.seen().len(), tunnel.seen().len()), (1, 2));
    assert_eq!(api.counts().total, 4);
}

/// Runs `poll` with this configuration and no variables of proxies but these.
async fn poll(yaml: &str, variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command();
    command.arg("poll").arg(config_flag(&write_config(folder.path(), yaml)));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied());
    let ended = tokio::task::spawn_blocking(move || command.output());
    guard("the end of poll", ended).await.unwrap().unwrap()
}

fn assert_figure(polled: &Output) {
    assert_eq!(polled.status.code(), Some(0), "{polled:?}");
    let samples: Samples =
        super::support::samples::samples(std::str::from_utf8(&polled.stdout).unwrap());
    assert_eq!(value(&samples, &counter("acme", "u0", "red")), Some(1.0));
    assert_no_password(&format!("{polled:?}"));
}
