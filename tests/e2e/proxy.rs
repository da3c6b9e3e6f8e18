//! The exporter behind a real nginx that keeps a path prefix, and behind one that removes it.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::browser::Browser;
use super::expected::held;
use super::page::{POLL, businesses, until_figures};
use super::support::exporter::Exporter;
use super::support::http::builder;
use super::support::process::Process;
use super::support::samples::samples;
use super::support::upstream::serve;
use super::support::wait::until;

/// A running nginx.
struct Proxy {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Proxy {
    /// Passes what is below `location` on to `target`, as nginx understands the two.
    async fn start(location: &str, target: &str) -> Self {
        until("nginx", &[], async || Self::attempt(location, target).await).await
    }

    /// nginx cannot ask for any free port, and one that was free may be taken when it starts.
    async fn attempt(location: &str, target: &str) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;\n\
             events {{}}\n\
             http {{\n  access_log off;\n  \
             client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n  \
             fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n  \
             server {{\n    listen {address};\n    \
             location {location} {{ proxy_pass {target}; }}\n  }}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        // It is not always in PATH.
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let mut command = Command::new("nginx");
        command.env("PATH", places).args(["-e", "stderr", "-p"]).arg(folder.path());
        let process = Process::start("nginx", command.arg("-c").arg(&file));
        let proxy = Self { process, address, _folder: folder };
        until("nginx to answer or to end", &[], async || {
            if let Some(status) = proxy.process.ended() {
                return Ok(Err(format!("{status}: {}", proxy.process.log())));
            }
            let response = Self::client().get(proxy.url("/")).send().await;
            let response = response.map_err(|error| error.to_string())?;
            let server = response.headers()["server"].to_str().unwrap_or_default();
            if server.starts_with("nginx") { Ok(Ok(())) } else { Err(server.to_owned()) }
        })
        .await?;
        Ok(proxy)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client that follows redirects, as Prometheus does.
    fn client() -> reqwest::Client {
        builder().redirect(Policy::limited(5)).build().unwrap()
    }
}

/// Everything that must hold of a page at `home`, which is reached from `door`.
async fn check(
    proxy: &Proxy,
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
        assert_eq!(Proxy::client().get(link).send().await.unwrap().status(), 200, "{link}");
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    let metrics = Proxy::client().get(proxy.url(&format!("{home}metrics"))).send().await.unwrap();
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
    let proxy = Proxy::start("/team", &format!("http://{}", exporter.address)).await;
    check(&proxy, &exporter, &api, "/team", "/team/wazzup/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_behind_a_proxy_that_removes_the_prefix() {
    let (api, url) = serve(businesses()).await;
    let flags = ["--web.external-url=https://example.com/wazzup/", "--web.route-prefix=/"];
    let exporter = Exporter::polling_with(&api, &url, POLL, &flags.map(str::to_owned));
    let target = format!("http://{}/", exporter.address);
    let proxy = Proxy::start("/wazzup/", &target).await;
    check(&proxy, &exporter, &api, "/wazzup", "/wazzup/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_exchanges_the_prefix_for_another_finds_the_page_too() {
    let (api, url) = serve(businesses()).await;
    let flags = ["--web.route-prefix=/inside".to_owned()];
    let exporter = Exporter::polling_with(&api, &url, POLL, &flags);
    let target = format!("http://{}/", exporter.address);
    let proxy = Proxy::start("/outside/", &target).await;
    check(&proxy, &exporter, &api, "/outside/", "/outside/inside/").await;
}
