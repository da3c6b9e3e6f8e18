//! The exporter below a prefix, as a reverse proxy wants it. Real proxies are in tests/e2e.

use reqwest::Method;
use wazzup_exporter::app::Options;

use super::cli::{run, text};
use super::support::daemon::{World, options};
use super::support::exporter::{Exporter, config_flag};
use super::support::files::write_config;
use super::support::http::client;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::guard;

async fn start(prefix: &str) -> World {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let yaml = configuration(&api, &url, "interval: 1h");
    let config = wazzup_exporter::config::parse(yaml.as_bytes(), "test.yaml".as_ref()).unwrap();
    let options = Options {
        route_prefix: prefix.parse().unwrap(),
        telemetry_path: "/some/metrics".to_owned(),
        health_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..options()
    };
    World::start_options(api, config, options).await
}

#[tokio::test]
async fn everything_is_below_the_prefix_and_nothing_beside_it() {
    let world = start("/a/b").await;
    for path in [
        "/",
        "/some/metrics",
        "/style.css",
        "/page.js",
        "/favicon.svg",
        "/api/v1/status",
        "/config",
        "/-/healthy",
    ] {
        assert_eq!(world.get(&format!("/a/b{path}")).await.status(), 200, "{path}");
        let alone = if path == "/" { 302 } else { 404 };
        let alone = if path == "/-/healthy" { 200 } else { alone };
        assert_eq!(world.get(path).await.status(), alone, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn who_stops_short_of_the_prefix_is_sent_there() {
    let world = start("a/b/").await;
    for (path, location) in [
        ("/", "a/b/"),
        ("/a", "a/b/"),
        ("/a/", "b/"),
        ("/a/b", "b/"),
        ("/?q=anna&account=a%20b", "a/b/?q=anna&account=a%20b"),
        ("/a/b?q=x", "b/?q=x"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let sent = world.request(method, path, &[]).await;
            assert_eq!(
                (sent.status().as_u16(), sent.headers()["location"].as_bytes()),
                (302, location.as_bytes())
            );
            let here = format!("http://{}{path}", world.exporter).parse::<url::Url>().unwrap();
            assert_eq!(here.join(location).unwrap().path(), "/a/b/");
        }
        assert_eq!(world.request(Method::POST, path, &[]).await.status(), 405);
    }
    for path in ["/a/c", "/ab", "/a/b?", "/b/"] {
        let status = world.get(path).await.status();
        assert_eq!(status, if path == "/a/b?" { 302 } else { 404 }, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn probes_are_answered_with_and_without_the_prefix_on_both_listeners() {
    let world = start("/a/b").await;
    for listener in [world.exporter, world.probes.unwrap()] {
        for path in ["/-/healthy", "/a/b/-/healthy"] {
            let answer = client().get(format!("http://{listener}{path}")).send();
            assert_eq!(guard("health", answer).await.unwrap().status(), 200, "{listener} {path}");
        }
    }
    let other = format!("http://{}/a/b/some/metrics", world.probes.unwrap());
    assert_eq!(client().get(other).send().await.unwrap().status(), 404);
    world.stop().await;
}

#[tokio::test]
async fn the_prefix_is_the_path_of_the_external_url_unless_given() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 1h")));
    for (flags, metrics) in [
        (&["--web.external-url=https://example.com/wazzup/"][..], "/wazzup/metrics"),
        (&["--web.external-url=/wazzup"], "/wazzup/metrics"),
        (&["--web.external-url=https://example.com"], "/metrics"),
        (&["--web.external-url=https://example.com/wazzup/", "--web.route-prefix=/"], "/metrics"),
        (
            &["--web.external-url=https://example.com/%C3%BC/", "--web.route-prefix=in"],
            "/in/metrics",
        ),
        (&["--web.route-prefix=/in/side/"], "/in/side/metrics"),
        (&["--web.external-url=", "--web.route-prefix="], "/metrics"),
    ] {
        let process = Exporter::start(&[&[&*config], flags].concat());
        assert_eq!(process.get(metrics).await.status(), 200, "{flags:?}");
        let health = format!("--url=http://{}/-/healthy", process.address);
        assert_eq!(run(&["healthcheck", &health]).status.code(), Some(0), "{flags:?}");
    }
}

#[test]
fn a_bad_prefix_is_exit_code_2_and_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let good = "accounts: [{name: acme, auth: {token: x}, users: [{id: '1'}]}]\n";
    let config = config_flag(&write_config(folder.path(), good));
    for (flag, message) in [
        ("--web.route-prefix=/a b", "write a path of letters, digits and -_.~, as /wazzup"),
        ("--web.route-prefix=/../x", "write a path of letters"),
        ("--web.external-url=example.com/x", "write http://, https:// or nothing before a path"),
        ("--web.external-url=\"http://x/\"", "write http://, https:// or nothing"),
        ("--web.external-url=//example.com/x", "write http://, https:// or nothing"),
        ("--web.external-url=ftp://example.com/", "write http://, https:// or nothing"),
        ("--web.external-url=https://u:pa55@example.com/", "a user name or a password"),
        ("--web.external-url=https://example.com/?x", "remove what follows ? or #"),
        ("--web.external-url=https://example.com/%20/", "give one with --web.route-prefix"),
    ] {
        for command in [&[&*config][..], &["check-config", &*config], &["demo"]] {
            let listen = "--web.listen-address=127.0.0.1:0";
            let ended = run(&[command, &[flag, listen]].concat());
            assert_eq!(ended.status.code(), Some(2), "{flag} {command:?}: {ended:?}");
            let said = text(&ended.stderr);
            assert!(said.contains(message) && !said.contains("pa55"), "{flag}: {said}");
        }
    }
}

#[test]
fn metrics_cannot_be_where_something_else_is() {
    for taken in ["/", "/config", "/-/reload", "/api/v1/status", "/-/healthy"] {
        let ended = run(&[&format!("--web.telemetry-path={taken}")]);
        assert_eq!(ended.status.code(), Some(2), "{taken}");
        assert!(text(&ended.stderr).contains("this path is already in use"), "{ended:?}");
    }
}
