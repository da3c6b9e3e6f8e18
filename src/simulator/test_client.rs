//! A raw HTTP/1.1 client and a small served simulation, for this module's own tests.
//!
//! Raw, because the tests look at connections as they end: a reset, an early end, no answer.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{AccountSpec, Role, Settings, Simulator, UserSpec};

/// Accounts `acme` and `other`; `acme` has user 1, pinned at 5 red.
pub(super) fn settings() -> Settings {
    let anna = UserSpec::new("1", "Anna", Role::SalesRep).pinned(5, "red");
    Settings {
        accounts: vec![
            AccountSpec::new("acme", "12345678", "token-a").user(anna),
            AccountSpec::new("other", "87654321", "token-b"),
        ],
        ..Settings::default()
    }
}

/// A simulator listening on a port of its own.
pub(super) struct Served {
    pub(super) simulator: Simulator,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(super) async fn serve(settings: Settings) -> Served {
    let simulator = Simulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn({
        let simulator = simulator.clone();
        async move { simulator.serve(listener, async { stopped.await.unwrap_or(()) }).await }
    });
    Served { simulator, address, stop, task }
}

impl Served {
    /// Stops the server and waits until its connections have ended.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection and reads to its end.
    pub(super) async fn exchange(&self, request: &str) -> (Vec<u8>, io::Result<usize>) {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let end = stream.read_to_end(&mut received).await;
        (received, end)
    }

    pub(super) async fn send(&self, request: &str) -> Reply {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let closing = format!("{head}\r\nconnection: close\r\n\r\n{body}");
        let (received, end) = self.exchange(&closing).await;
        end.unwrap();
        Reply::parse(&received)
    }

    pub(super) async fn request(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Reply {
        self.request("GET", path, token, "").await
    }
}

impl Served {
    /// Requests a token; `login` is user name, colon, password.
    pub(super) async fn request_token(&self, login: &str, body: &serde_json::Value) -> Reply {
        self.send(&token_request(login, body)).await
    }
}

pub(super) fn token_request(login: &str, body: &serde_json::Value) -> String {
    let (login, body) = (BASE64_STANDARD.encode(login), body.to_string());
    let length = body.len();
    format!(
        "POST /v2/oauth/token HTTP/1.1\r\nhost: x\r\nauthorization: Basic {login}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// An answer taken apart.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn parse(received: &[u8]) -> Self {
        let text = std::str::from_utf8(received).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// How often a header is there.
    pub(super) fn count(&self, name: &str) -> usize {
        self.head.lines().filter(|line| line.starts_with(&format!("{name}: "))).count()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
