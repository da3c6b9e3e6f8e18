//! Requests for a reset, from the admin listener to the service.
//!
//! [`http`](crate::http) holds a [`ResetHook`]; the service receives its messages and answers each
//! request with a [`ResetReply`].

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretSlice;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait in the channel.
const QUEUE: usize = 16;

/// Sends requests to the reset service.
#[derive(Debug, Clone)]
pub struct ResetHook(mpsc::Sender<HookMessage>);

/// A message to the reset service.
#[derive(Debug)]
pub(super) enum HookMessage {
    /// Check the token, before anything else of the request is read.
    CheckToken(ResetCredentials, oneshot::Sender<bool>),
    /// Reset an account.
    Reset(ResetRequest, oneshot::Sender<ResetReply>),
}

/// The account and token of a request.
#[derive(Debug, Clone)]
pub struct ResetCredentials {
    /// The account's name, as it stands in the path.
    pub account: String,
    /// The reset token; empty where there is none.
    pub token: SecretSlice<u8>,
}

/// A request for a reset, of which nothing is validated yet.
#[derive(Debug)]
pub struct ResetRequest {
    /// The account, and its reset token.
    pub credentials: ResetCredentials,
    /// The declared type of the body.
    pub content_type: Option<Vec<u8>>,
    /// The body, unless it is too long or incomplete.
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

/// The reply to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetReply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON document.
    pub body: ReplyBody,
}

/// The JSON document of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReplyBody {
    /// What happened, or why nothing did, as a code.
    pub code: &'static str,
    /// The same for people, with what to do.
    pub message: String,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its id in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The unanswered messages before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Figures>,
    /// The unanswered messages afterwards, where they could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Figures>,
    /// The status that upstream answered with, if it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// Unanswered messages over all users of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
pub struct Figures {
    /// Of customers that users are responsible for.
    pub red: u64,
    /// Of customers that users only look on.
    pub grey: u64,
    /// Of an unknown type.
    pub other: u64,
    /// All of them.
    pub total: u64,
    /// Users who were read.
    pub users: usize,
}

impl ResetHook {
    /// A hook, and the receiver of its messages.
    pub(super) fn new() -> (Self, mpsc::Receiver<HookMessage>) {
        let (sender, messages) = mpsc::channel(QUEUE);
        (Self(sender), messages)
    }

    /// Whether the token is the reset token of the account; `None` if the service has ended.
    pub async fn check_token(&self, credentials: ResetCredentials) -> Option<bool> {
        let (reply, replied) = oneshot::channel();
        self.0.send(HookMessage::CheckToken(credentials, reply)).await.ok()?;
        replied.await.ok()
    }

    /// Requests a reset; `None` if the service has ended.
    pub async fn reset(&self, request: ResetRequest) -> Option<ResetReply> {
        let (reply, replied) = oneshot::channel();
        self.0.send(HookMessage::Reset(request, reply)).await.ok()?;
        replied.await.ok()
    }
}

impl ResetReply {
    /// How long to wait before trying again, if waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.body.retry_after_seconds.map(Duration::from_secs)
    }
}
