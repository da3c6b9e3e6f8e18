//! Where a test's Alertmanager sends to: it plays the part of webhooks, of Telegram, of Slack and of a mail server,
//! and remembers everything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What was sent, oldest first: the path, and the body.
type Received = Arc<Mutex<Vec<(String, Value)>>>;
type Mails = Arc<Mutex<Vec<String>>>;

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) mail_server: SocketAddr,
    received: Received,
    mails: Mails,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail_server = listener.local_addr().unwrap();
        let mails = Mails::default();
        tokio::spawn(serve_mail(listener, Arc::clone(&mails)));
        Self { address, mail_server, received, mails }
    }

    /// The mails that came, with header and body.
    pub(super) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
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

async fn serve_mail(listener: TcpListener, mails: Mails) {
    while let Ok((stream, _)) = listener.accept().await {
        let mails = Arc::clone(&mails);
        tokio::spawn(async move {
            // A client that leaves in the middle has sent no mail.
            if let Ok(Some(mail)) = receive_mail(stream).await {
                mails.lock().unwrap().push(mail);
            }
        });
    }
}

/// As much of SMTP as one mail needs.
async fn receive_mail(stream: TcpStream) -> std::io::Result<Option<String>> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await?;
    let (mut line, mut mail) = (String::new(), None);
    while stream.read_line(&mut line).await? > 0 {
        let command = line.trim_end().to_uppercase();
        line.clear();
        if command == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            let mut text = String::new();
            while stream.read_line(&mut line).await? > 0 && line != ".\r\n" {
                text.push_str(&line);
                line.clear();
            }
            line.clear();
            mail = Some(text);
        }
        let answer: &[u8] = if command == "QUIT" { b"221 bye\r\n" } else { b"250 ok\r\n" };
        stream.write_all(answer).await?;
        if command == "QUIT" {
            break;
        }
    }
    Ok(mail)
}
