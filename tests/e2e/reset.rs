//! Pages in a real browser that try to reset an account.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wazzup_exporter::simulator::{Endpoint, Simulator};

use super::browser::Browser;
use super::support::exporter::{Exporter, config_flag};
use super::support::files::{write_config, write_private};
use super::support::process::Process;
use super::support::upstream::{serve, still};
use super::support::wait::until;

/// It is known to the page: nothing else may be what stops it.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ID: &str = "10000000";

/// A page of another origin, with a form whose body is valid JSON.
fn evil(target: &str) -> String {
    let start = format!(r#"{{"confirm":"{ID}","reason":""#).replace('"', "&quot;");
    format!(
        "<!doctype html><title>evil</title>\
         <iframe name=sink></iframe>\
         <form id=form method=post enctype=text/plain target=sink action='{target}'>\
         <input name='{start}' value='&quot;}}'></form>"
    )
}

/// Serves a page on another origin.
async fn host(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{page}",
                page.len()
            );
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// An exporter with resets of `acme` enabled.
async fn start(folder: &Path) -> (Simulator, Process, SocketAddr) {
    let (api, url) = serve(still(&["acme"], 2)).await;
    write_private(&folder.join("reset-token"), TOKEN);
    let yaml = format!(
        "poll: {{interval: 500ms, timeout: 5s}}\naccounts:\n- name: acme\n  base_url: {url}\n  \
         account_id: '{ID}'\n  auth: {{token: token-of-acme}}\n  users: [{{id: u0}}]\n  \
         reset: {{enabled: true, token_file: reset-token}}\n"
    );
    let config = config_flag(&write_config(folder, &yaml));
    let storage = format!("--storage.path={}", folder.join("data").display());
    let admin = ["--web.enable-admin-api", "--web.admin-listen-address=127.0.0.1:0"];
    let exporter = Exporter::start(&[&config, &storage, admin[0], admin[1]]);
    let admin = exporter.until_admin().await;
    (api, exporter.process, admin)
}

/// The logged refusals with this code.
fn refusals(process: &Process, code: &str) -> usize {
    let words = format!("code={code}");
    process.log().lines().filter(|line| line.contains("refused") && line.contains(&words)).count()
}

/// Waits for so many of them.
async fn refused(process: &Process, code: &str, count: usize) {
    until(code, &[process], async || {
        let found = refusals(process, code);
        if found >= count { Ok(()) } else { Err(format!("{found} of {count}\n{}", process.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_cannot_reset_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let (api, process, admin) = start(folder.path()).await;
    let target = format!("http://{admin}/api/v1/admin/accounts/acme/reset");
    let page = host(evil(&target)).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{page}/")).await;

    browser.run("document.getElementById('form').submit()").await;
    refused(&process, "cross_site", 1).await;

    let fetch = |options: &Value| {
        format!(
            "window.said = null; fetch('{target}', {options}).then(answer => \
             window.said = answer.type + answer.status, why => window.said = 'no: ' + why)"
        )
    };
    let body = json!({"confirm": ID}).to_string();
    let said = async |options: Value, what: &str| {
        browser.run(&fetch(&options)).await;
        let result = browser.until(what, &[&process], "return window.said", Value::is_string).await;
        result.as_str().unwrap().to_owned()
    };
    // A simple request, which needs no preflight: it arrives, and its answer cannot be read.
    let simple = json!({"method": "POST", "mode": "no-cors", "body": body,
        "headers": {"content-type": "text/plain"}});
    assert_eq!(said(simple, "a simple request").await, "opaque0");
    refused(&process, "cross_site", 2).await;
    // One with the token needs a preflight, which is refused.
    let preflighted = json!({"method": "POST", "body": body,
        "headers": {"content-type": "application/json", "x-reset-token": TOKEN}});
    let result = said(preflighted, "a request with the token").await;
    assert!(result.starts_with("no: "), "{result}");
    refused(&process, "method_not_allowed", 1).await;
    let beacon = format!("return navigator.sendBeacon('{target}', {})", json!(body));
    assert_eq!(browser.run(&beacon).await, true);
    refused(&process, "cross_site", 3).await;

    // Even from a page of the admin listener itself, as one would be after DNS rebinding.
    browser.open(&format!("http://{admin}/")).await;
    let own = json!({"method": "POST", "body": body,
        "headers": {"content-type": "application/json", "x-reset-token": TOKEN}});
    assert_eq!(said(own, "a request of its own").await, "basic403");
    assert_eq!(api.counts().endpoint(Endpoint::Reset), 0);
    assert!(!folder.path().join(format!("data/id.{ID}/reset-audit.jsonl")).exists());
}
