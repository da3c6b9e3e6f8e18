//! Asking for a reset of an account's counters.
//!
//! [`http`](crate::http) holds a [`Hook`]; the desk of [`reset`](crate::reset) takes what comes out
//! of the other end and answers every message with a [`Reply`].

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretSlice;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait; more have to wait outside.
const WAITING_MAX: usize = 16;

/// Asks the desk.
#[derive(Debug, Clone)]
pub struct Hook(mpsc::Sender<Message>);

/// What the desk is asked.
#[derive(Debug)]
pub enum Message {
    /// Whether a token is that of an account, before anything else of the request is read.
    Knock(Credentials, oneshot::Sender<bool>),
    /// To reset an account.
    Call(Call, oneshot::Sender<Reply>),
}

/// Who somebody claims to be.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account's name, as it stands in the path.
    pub account: String,
    /// The reset token; empty where there is none.
    pub token: SecretSlice<u8>,
}

/// A request for a reset, of which nothing is believed yet.
#[derive(Debug)]
pub struct Call {
    /// Whose reset, and with what.
    pub credentials: Credentials,
    /// The declared type of the body.
    pub content_type: Option<Vec<u8>>,
    /// The body, unless it is longer than any good one or broke off.
    pub body: Option<Bytes>,
    /// Where it came from.
    pub caller: Caller,
}

/// Where a request came from, for the audit log.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address of the other end of the connection.
    pub address: SocketAddr,
    /// What the client calls itself, as it came.
    pub user_agent: Option<Vec<u8>>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// What it says.
    pub told: Told,
}

/// The document of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Told {
    /// What happened or why nothing did, for programs.
    pub code: &'static str,
    /// The same for people, with what to do.
    pub message: String,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Under which number it is in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was unanswered before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Figures>,
    /// What is unanswered now, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Figures>,
    /// The status that upstream answered with, if it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// In how many seconds to ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// Unanswered messages over all users of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
pub struct Figures {
    /// Of users' own customers.
    pub red: u64,
    /// That users only look on.
    pub grey: u64,
    /// Of an unknown type.
    pub other: u64,
    /// All of them.
    pub total: u64,
    /// Users who were read.
    pub users: usize,
}

impl Hook {
    /// A hook, and where its messages come out.
    pub fn new() -> (Self, mpsc::Receiver<Message>) {
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        (Self(sender), messages)
    }

    /// Whether the token is that of the account; nothing if the desk has ended.
    pub async fn knock(&self, credentials: Credentials) -> Option<bool> {
        let (reply, replied) = oneshot::channel();
        self.0.send(Message::Knock(credentials, reply)).await.ok()?;
        replied.await.ok()
    }

    /// Asks for a reset; nothing if the desk has ended.
    pub async fn call(&self, call: Call) -> Option<Reply> {
        let (reply, replied) = oneshot::channel();
        self.0.send(Message::Call(call, reply)).await.ok()?;
        replied.await.ok()
    }
}

impl Reply {
    /// How long to wait before asking again, if waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.told.retry_after_seconds.map(Duration::from_secs)
    }
}
