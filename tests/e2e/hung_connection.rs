//! An upstream behind a layer 4 load balancer of which one backend hangs without closing anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::process::Signal;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::nginx::Nginx;
use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::pki::Pki;
use super::support::samples::{Samples, value};
use super::support::upstream::{serve, still};

/// The account's poll settings, in seconds.
const INTERVAL: u64 = 10;
const TIMEOUT: u64 = 4;

/// Connects new clients to the backend that is chosen; connections stay where they are.
async fn balance(backends: [SocketAddr; 2]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let chosen = Arc::new(AtomicUsize::new(0));
    let choice = Arc::clone(&chosen);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let backend = backends[choice.load(Relaxed)];
            tokio::spawn(async move {
                let mut backend = TcpStream::connect(backend).await.unwrap();
                // Its end, in whatever way, ends the other side.
                let _ = copy_bidirectional(&mut client, &mut backend).await;
            });
        }
    });
    (address, chosen)
}

fn last_success(samples: &Samples, account: &str) -> f64 {
    let series =
        format!(r#"wazzup_user_last_success_timestamp_seconds{{account="{account}",user="u0"}}"#);
    value(samples, &series).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_http_2_connection_is_replaced_without_a_restart() {
    let accounts = ["acme", "globex"];
    let (_api, url) = serve(still(&accounts, 2)).await;
    let pki = Pki::new();
    let [certificate, key, ca] =
        ["server.crt", "server.key", "ca.crt"].map(|name| pki.path(name).display().to_string());
    let server = format!(
        "ssl_certificate {certificate}; ssl_certificate_key {key};\n\
         location / {{ proxy_pass {url}; }}"
    );
    let backends =
        [Nginx::start("ssl http2", &server).await, Nginx::start("ssl http2", &server).await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let (address, chosen) = balance(addresses).await;
    let account = |name: &&str| {
        format!(
            "- {{name: {name}, base_url: 'https://{address}', auth: {{token: token-of-{name}}},\n\
             \x20  tls: {{ca_file: '{ca}'}}, channels: {{enabled: false}}, users: [{{id: u0}}, {{id: u1}}]}}\n"
        )
    };
    let yaml = format!(
        "poll: {{interval: {INTERVAL}s, timeout: {TIMEOUT}s}}\naccounts:\n{}",
        accounts.iter().map(account).collect::<String>()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &yaml);
    let exporter = Exporter::spawn(command().arg(config_flag(&file)));
    let all = |samples: &Samples| accounts.map(|account| last_success(samples, account));
    exporter.until("readings of both", |samples| all(samples).iter().all(|at| *at > 0.0)).await;

    backends[0].process.signal(Signal::STOP);
    // As health checks do.
    chosen.store(1, Relaxed);
    let before = all(&exporter.scrape().await);
    // Without pings the connection would be used, and every request on it time out, until a restart. On an
    // idle machine it takes the interval and less than three timeouts.
    exporter
        .until("new readings of both", |samples| {
            all(samples).iter().zip(before).all(|(now, before)| *now > before)
        })
        .await;
    backends[0].process.signal(Signal::CONT);
}
