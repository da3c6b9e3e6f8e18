//! The exporter's own HTTP side: routes, methods, negotiation, limits.

use reqwest::Method;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::support::daemon::World;
use super::support::upstream::{still, wide};
use super::support::wait::guard;

const SLOW: &str = "interval: 1h";

#[tokio::test]
async fn every_path_has_a_type_and_head_answers_the_same_without_a_body() {
    let world = World::start(still(&["acme"], 2), SLOW).await;
    for (path, kind, status) in [
        ("/", "text/html; charset=utf-8", 200),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", 200),
        ("/style.css", "text/css; charset=utf-8", 200),
        ("/page.js", "text/javascript; charset=utf-8", 200),
        ("/favicon.svg", "image/svg+xml", 200),
        ("/api/v1/status", "application/json", 200),
        ("/config", "text/plain; charset=utf-8", 200),
        ("/-/healthy", "text/plain; charset=utf-8", 200),
        ("/-/ready", "text/plain; charset=utf-8", 503),
    ] {
        let got = world.get(path).await;
        assert_eq!(got.status(), status, "{path}");
        assert_eq!(got.headers()["content-type"], kind, "{path}");
        assert_eq!(got.headers()["x-content-type-options"], "nosniff", "{path}");
        assert!(!got.bytes().await.unwrap().is_empty(), "{path}");
        let head = world.request(Method::HEAD, path, &[]).await;
        assert_eq!(head.status(), status, "{path}");
        assert_eq!(head.headers()["content-type"], kind, "{path}");
        assert!(head.headers()["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 0);
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_query_does_not_hide_a_path() {
    let world = World::start(still(&["acme"], 1), SLOW).await;
    assert_eq!(world.get("/metrics?name[]=up").await.status(), 200);
    world.stop().await;
}

#[tokio::test]
async fn the_format_and_the_encoding_are_negotiated() {
    let world = World::start(still(&["acme"], 2), SLOW).await;
    let wants = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let answer = world
        .request(Method::GET, "/metrics", &[("accept", wants), ("accept-encoding", "gzip")])
        .await;
    assert_eq!(
        answer.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["vary"], "accept, accept-encoding");
    let packed = answer.bytes().await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::bufread::GzDecoder::new(&packed[..]), &mut text)
        .unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains(r#"wazzup_user_info{account="acme",user="u1",name="User 1""#), "{text}");
    let plain = world.get("/metrics").await;
    assert!(!plain.headers().contains_key("content-encoding"));
    world.stop().await;
}

#[tokio::test]
async fn the_page_shows_accounts_and_users_and_markup_as_text() {
    let mut settings = still(&["acme"], 2);
    settings.accounts[0].users[1].name = "<img src=x onerror=alert(1)>".to_owned();
    let world = World::start(settings, "interval: 200ms, timeout: 5s").await;
    let red = super::support::samples::counter("acme", "u1", "red");
    world.until("a figure", |samples| samples.contains_key(&red)).await;
    let page = world.get("/").await;
    let headers = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        headers("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    assert_eq!(headers("referrer-policy"), "no-referrer");
    assert_eq!(headers("cache-control"), "no-store");
    let html = page.text().await.unwrap();
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
    assert!(!html.contains("<img"), "{html}");
    assert!(html.contains("<span>11</span>"), "{html}");
    let found = world.get("/?q=ONERROR").await.text().await.unwrap();
    assert!(found.contains("1 user found") && !found.contains("User 0"), "{found}");
    let status: serde_json::Value =
        serde_json::from_str(&world.get("/api/v1/status").await.text().await.unwrap()).unwrap();
    assert_eq!(status["accounts"][0]["name"], "acme");
    assert_eq!(status["accounts"][0]["red"], 12);
    assert_eq!(status["accounts"][0]["users"][1]["red"], 11);
    assert_eq!(status["accounts"][0]["users"][1]["up"], true);
    world.stop().await;
}

#[tokio::test]
async fn pages_and_documents_are_compressed_where_that_is_wanted() {
    let world = World::start(still(&["acme"], 300), SLOW).await;
    for path in ["/?account=acme", "/api/v1/status"] {
        let plain = world.get(path).await;
        assert!(!plain.headers().contains_key("content-encoding"), "{path}");
        let plain = plain.text().await.unwrap();
        let packed = world.request(Method::GET, path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
        assert_eq!(packed.headers()["vary"], "accept-encoding", "{path}");
        let packed = packed.bytes().await.unwrap();
        let mut text = String::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
        std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
        assert!(packed.len() < plain.len() / 5, "{path}: {} of {}", packed.len(), plain.len());
        // Apart from the time, the same.
        let users = |text: &str| text.matches("u299").count();
        assert_eq!((users(&text) > 0, users(&text)), (true, users(&plain)), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn requests_over_broken_connections_harm_no_others() {
    let world = World::start(still(&["acme"], 1), SLOW).await;
    for bytes in
        [&b"\x16\x03\x01garbage"[..], b"GET / HTTP/9.9\r\n\r\n", b"GET /metrics HTTP/1.1\r\nA", b""]
    {
        let mut stream = TcpStream::connect(world.exporter).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        drop(stream);
    }
    let mut huge = TcpStream::connect(world.exporter).await.unwrap();
    let header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    // The exporter may close before it has read all of it.
    let _ = huge.write_all(header.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = guard("the end of the connection", huge.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(world.get("/metrics").await.status(), 200);
    world.stop().await;
}

#[tokio::test]
async fn clients_that_do_not_read_keep_no_others_out() {
    let world = World::start(wide(8_000), SLOW).await;
    for path in ["/metrics", "/api/v1/status"] {
        let mut stuck = Vec::new();
        for _ in 0..20 {
            stuck.push(unread(&world, path).await);
        }
        assert_eq!(world.get(path).await.status(), 200, "{path}");
        assert_eq!(world.get("/-/healthy").await.status(), 200);
    }
    let text = world.get("/metrics").await.text().await.unwrap();
    assert_eq!(text.matches("\nwazzup_user_info{").count(), 8_000);
    world.stop().await;
}

#[tokio::test]
async fn of_many_documents_that_are_not_read_the_oldest_are_given_up() {
    let world = World::start(wide(8_000), SLOW).await;
    let mut oldest = unread(&world, "/api/v1/status").await;
    let mut later = Vec::new();
    for _ in 0..8 {
        later.push(unread(&world, "/api/v1/status").await);
    }
    // Whether its end counts as an error depends on what was still to be sent.
    let (rest, _) = read_rest(&mut oldest).await;
    assert!(!rest.ends_with(b"}"), "{}", rest.len());
    let (rest, end) = read_rest(&mut later.pop().unwrap()).await;
    assert!(end.is_ok() && rest.ends_with(b"}"), "{end:?}, {}", rest.len());
    world.stop().await;
}

#[tokio::test]
async fn a_scrape_of_some_accounts_shows_these_alone() {
    let world = World::start(still(&["acme", "globex", "initech"], 3), SLOW).await;
    let accounts = async |query: &str| {
        let text = world.get(&format!("/metrics?{query}")).await.text().await.unwrap();
        let infos = text.lines().filter(|line| line.starts_with("wazzup_account_info{"));
        let account = |line: &str| line.split('"').nth(1).unwrap().to_owned();
        (infos.map(account).collect::<Vec<_>>(), text.contains("process_cpu_seconds_total"))
    };
    let all = ["acme", "globex", "initech"].map(str::to_owned).to_vec();
    assert_eq!(accounts("x=y").await, (all, true));
    assert_eq!(accounts("account=globex").await, (vec!["globex".to_owned()], false));
    let two = vec!["acme".to_owned(), "initech".to_owned()];
    assert_eq!(accounts("account=initech&account=acme").await, (two, false));
    let unknown = world.get("/metrics?account=acme&account=umbrella").await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.text().await.unwrap(), "no account is named umbrella here\n");
    world.stop().await;
}

/// What is still to be read, and how it ends: read in large parts, so that it is all there long before a response is late.
async fn read_rest(stream: &mut TcpStream) -> (Vec<u8>, std::io::Result<usize>) {
    set_socket_recv_buffer_size(&*stream, 1 << 20).unwrap();
    let mut rest = Vec::new();
    let end = guard("the rest", stream.read_to_end(&mut rest)).await;
    (rest, end)
}

/// A connection on which this document was requested and only its first byte is read.
async fn unread(world: &World, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(world.exporter).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    guard("the first byte", stream.read_u8()).await.unwrap();
    stream
}

#[tokio::test]
async fn idle_connections_do_not_keep_others_out() {
    let world = World::start(still(&["acme"], 1), SLOW).await;
    let mut idle = Vec::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(world.exporter).await.unwrap();
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        guard("an answer", stream.read_u8()).await.unwrap();
        idle.push(stream);
    }
    assert_eq!(world.get("/-/healthy").await.status(), 200);
    world.stop().await;
}

#[tokio::test]
async fn a_scrape_in_flight_is_finished_before_the_end() {
    let world = World::start(wide(5_000), SLOW).await;
    let mut stream = unread(&world, "/metrics").await;
    world.shutdown.begin();
    let (rest, end) = read_rest(&mut stream).await;
    end.unwrap();
    let text = String::from_utf8(rest).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body.len().to_string(), length);
    world.stop().await;
}
