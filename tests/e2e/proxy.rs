//! The exporter behind a real nginx that keeps a path prefix, and behind one that removes it.

use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::browser::Browser;
use super::expected::held;
use super::nginx::Nginx;
use super::page::{POLL, businesses, until_figures};
use super::support::exporter::Exporter;
use super::support::http::builder;
use super::support::samples::samples;
use super::support::upstream::serve;

/// Passes what is below `location` on to `target`, as nginx understands the two.
async fn passing(location: &str, target: &str) -> Nginx {
    Nginx::start("", &format!("location {location} {{ proxy_pass {target}; }}")).await
}

/// A client that follows redirects, as Prometheus does.
fn client() -> reqwest::Client {
    builder().redirect(Policy::limited(5)).build().unwrap()
}

/// Everything that must hold of a page at `home`, which is reached from `door`.
async fn check(
    proxy: &Nginx,
    exporter: &Exporter,
    api: &wazzup_exporter::simulator::Simulator,
    door: &str,
    home: &str,
) {
    let browser = Browser::start().await;
    browser.open(&proxy.url(door)).await;
    assert_eq!(browser.run("return location.pathname").await, home);
    until_figures(&browser, exporter, api).await;
    // Would not survive a reload.
    browser.run("window.stays = true").await;
    api.set("acme", "u0", 1_234_567, "red").unwrap();
    until_figures(&browser, exporter, api).await;
    assert_eq!(browser.run("return window.stays").await, true);
    browser.type_into("[name=q]", "globex Name 3").await;
    let keys =
        "return [...document.querySelectorAll('.people tbody tr')].map(row => row.dataset.key)";
    let processes = [&exporter.process, &proxy.process];
    browser
        .until("the one who was searched", &processes, keys, |keys| *keys == json!(["u3"]))
        .await;
    let place = browser.run("return location.pathname + location.search").await;
    assert_eq!(place, format!("{home}?q=globex%20Name%203"));
    let links = "return [...document.querySelectorAll('nav a, h2 a, link[href], script[src]')]\
         .map(link => link.href || link.src)";
    let links = browser.run(links).await;
    let links: Vec<&str> = links.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links {
        assert!(link.starts_with(&proxy.url(home)), "{link}");
        assert_eq!(client().get(link).send().await.unwrap().status(), 200, "{link}");
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    let metrics = client().get(proxy.url(&format!("{home}metrics"))).send().await.unwrap();
    let metrics = samples(&metrics.text().await.unwrap());
    for ((account, user, kind), value) in held(api) {
        let series = super::support::samples::counter(&account, &user, &kind);
        assert_eq!(metrics.get(&series), Some(&value), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_behind_a_proxy_that_keeps_the_prefix() {
    let (api, url) = serve(businesses()).await;
    let flags = ["--web.external-url=https://example.com/team/wazzup/".to_owned()];
    let exporter = Exporter::polling_with(&api, &url, POLL, &flags);
    let proxy = passing("/team", &format!("http://{}", exporter.address)).await;
    check(&proxy, &exporter, &api, "/team", "/team/wazzup/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_behind_a_proxy_that_removes_the_prefix() {
    let (api, url) = serve(businesses()).await;
    let flags = ["--web.external-url=https://example.com/wazzup/", "--web.route-prefix=/"];
    let exporter = Exporter::polling_with(&api, &url, POLL, &flags.map(str::to_owned));
    let target = format!("http://{}/", exporter.address);
    let proxy = passing("/wazzup/", &target).await;
    check(&proxy, &exporter, &api, "/wazzup", "/wazzup/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_exchanges_the_prefix_for_another_finds_the_page_too() {
    let (api, url) = serve(businesses()).await;
    let flags = ["--web.route-prefix=/inside".to_owned()];
    let exporter = Exporter::polling_with(&api, &url, POLL, &flags);
    let target = format!("http://{}/", exporter.address);
    let proxy = passing("/outside/", &target).await;
    check(&proxy, &exporter, &api, "/outside/", "/outside/inside/").await;
}
