//! Where a test's Alertmanager sends to: it plays the part of webhooks, of Telegram and of Slack, and
//! remembers everything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// What was sent, oldest first: the path, and the body.
type Received = Arc<Mutex<Vec<(String, Value)>>>;

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    received: Received,
}

/// An alert in a notification to a webhook.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The name of the receiver.
    pub(super) receiver: String,
    pub(super) firing: bool,
    pub(super) alert: String,
    pub(super) account: String,
    pub(super) summary: String,
    pub(super) labels: Value,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        tokio::spawn(serve(listener, Arc::clone(&received)));
        Self { address, received }
    }

    /// Everything that came to webhooks, alert by alert.
    pub(super) fn told(&self) -> Vec<Told> {
        let received = self.received.lock().unwrap();
        let hooks =
            received.iter().filter_map(|(path, body)| Some((path.strip_prefix("/hook/")?, body)));
        hooks
            .flat_map(|(receiver, body)| {
                body["alerts"].as_array().unwrap().iter().map(move |one| told(receiver, one))
            })
            .collect()
    }

    /// The bodies that came to paths that end like this.
    pub(super) fn bodies(&self, path: &str) -> Vec<Value> {
        let received = self.received.lock().unwrap();
        let bodies = received.iter().filter(|(one, _)| one.ends_with(path));
        bodies.map(|(_, body)| body.clone()).collect()
    }

    /// The texts that came to the chat.
    pub(super) fn chat(&self) -> Vec<String> {
        let bodies = self.bodies("/bot123:abc/sendMessage");
        bodies.iter().filter_map(|body| Some(body["text"].as_str()?.to_owned())).collect()
    }
}

fn told(receiver: &str, alert: &Value) -> Told {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Told {
        receiver: receiver.to_owned(),
        firing: alert["status"] == "firing",
        alert: text(&alert["labels"]["alertname"]),
        account: text(&alert["labels"]["account"]),
        summary: text(&alert["annotations"]["summary"]),
        labels: alert["labels"].clone(),
    }
}

async fn serve(listener: TcpListener, received: Received) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        let service = service_fn(move |request| answer(request, Arc::clone(&received)));
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    received: Received,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let Ok(body) = request.into_body().collect().await else {
        return Ok(Response::default());
    };
    let body = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    received.lock().unwrap().push((path, body));
    // What Telegram says to a message that it takes; nobody else reads it.
    let told = r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":1,"type":"group"}}}"#;
    Ok(Response::new(Full::from(told)))
}
