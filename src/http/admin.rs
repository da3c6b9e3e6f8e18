//! The admin listener: the one path that changes something.
//!
//! It serves nothing but `POST /api/v1/admin/accounts/{account}/reset`. The token is checked before
//! anything else about an account is revealed. Requests of browsers are refused: preflights fail, no
//! header lets a page read a response, and the headers that browsers add are a reason for refusal.
//! All guards of a reset are in [`reset`](crate::reset).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AsHeaderName, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, RETRY_AFTER, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::time::timeout;
use tracing::warn;

use super::response::{BufferedResponse, response};
use crate::metrics::{AdminCode, ProcessMetrics};
use crate::reset::{NotAdmitted, ResetReply, ResetRequest, ResetService};
use crate::snapshot::Directory;

/// The header with the token.
const TOKEN: &str = "x-reset-token";
/// The header in which browsers state the origin of a request relative to its target.
const SITE: &str = "sec-fetch-site";
/// Time within which a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest name of an account that is logged, in characters.
const NAME_MAX: usize = 64;

/// The service of the admin listener.
#[derive(Debug)]
pub struct Admin {
    resets: ResetService,
    process: Arc<ProcessMetrics>,
    /// Longest body of a request.
    body_max: usize,
    directory: Arc<Directory>,
    /// How long a reset in flight may take during shutdown, given the longest request timeout of any
    /// account.
    reset_time: fn(Duration) -> Duration,
}

/// A refusal before a token was found valid.
#[derive(Serialize)]
struct RefusalBody {
    code: &'static str,
    message: &'static str,
}

impl Admin {
    /// An admin listener that passes requests to `resets` and reads bodies of up to `body_max` bytes. At
    /// shutdown it waits up to `reset_time` of the longest request timeout in the `directory`, because
    /// a reset that was sent to upstream cannot be cancelled.
    pub fn new(
        resets: ResetService,
        process: Arc<ProcessMetrics>,
        body_max: usize,
        directory: Arc<Directory>,
        reset_time: fn(Duration) -> Duration,
    ) -> Self {
        process.admin_opens();
        Self { resets, process, body_max, directory, reset_time }
    }

    /// How long responses may take during shutdown.
    pub(super) fn reset_time(&self) -> Duration {
        (self.reset_time)(self.directory.longest_timeout())
    }

    /// Answers one request from `peer`.
    pub(super) async fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BufferedResponse {
        let (head, body) = request.into_parts();
        let Some(account) = account_in(head.uri.path()) else {
            return self.refuse(AdminCode::NotFound, peer, None);
        };
        if head.method != Method::POST {
            let mut refusal = self.refuse(AdminCode::MethodNotAllowed, peer, Some(&account));
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return refusal;
        }
        if is_from_browser(&head.headers) {
            return self.refuse(AdminCode::CrossSite, peer, Some(&account));
        }
        let token = single(&head.headers, TOKEN).unwrap_or_default();
        let admitted = match self.resets.admit(&account, &token).await {
            Ok(admitted) => admitted,
            Err(NotAdmitted::Refused(code)) => return self.refuse(code, peer, Some(&account)),
            Err(NotAdmitted::Elsewhere(reply)) => {
                self.count(AdminCode::OtherShard, peer, Some(&account));
                return reset_response(&reply);
            }
        };
        let request = ResetRequest {
            content_type: single(&head.headers, CONTENT_TYPE),
            body: self.read(body).await,
            caller: peer,
            user_agent: single(&head.headers, USER_AGENT),
        };
        match self.resets.reset(admitted, request).await {
            Some(reply) => reset_response(&reply),
            None => self.refuse(AdminCode::Busy, peer, Some(&account)),
        }
    }

    /// A refusal by the access rules, as JSON with a code.
    pub(super) fn access_refused(
        &self,
        refusal: &BufferedResponse,
        peer: SocketAddr,
    ) -> BufferedResponse {
        let code = match refusal.status() {
            StatusCode::UNAUTHORIZED => AdminCode::LoginRequired,
            StatusCode::TOO_MANY_REQUESTS => AdminCode::RateLimited,
            _ => AdminCode::Busy,
        };
        let mut response = self.refuse(code, peer, None);
        for (name, value) in refusal.headers() {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
        response
    }

    fn refuse(&self, code: AdminCode, peer: SocketAddr, account: Option<&str>) -> BufferedResponse {
        self.count(code, peer, account);
        let refused = RefusalBody { code: code.label(), message: message(code) };
        json(code.status(), &refused)
    }

    fn count(&self, code: AdminCode, peer: SocketAddr, account: Option<&str>) {
        self.process.admin_refused(code);
        let account: Option<String> = account.map(|account| {
            let letters = account.chars().map(|one| if one.is_control() { ' ' } else { one });
            letters.take(NAME_MAX).collect()
        });
        let code = code.label();
        warn!(code, caller = %peer, account, "a request to the admin listener was refused");
    }

    async fn read(&self, body: Incoming) -> Option<Bytes> {
        let reading = Limited::new(body, self.body_max).collect();
        let read = timeout(BODY_TIMEOUT, reading).await.ok()?;
        Some(read.ok()?.to_bytes())
    }
}

/// The message of a code: what is wrong and what to do.
fn message(code: AdminCode) -> &'static str {
    match code {
        AdminCode::NotFound => "the only path here is POST /api/v1/admin/accounts/{account}/reset",
        AdminCode::MethodNotAllowed => "only POST is allowed here",
        AdminCode::CrossSite => {
            "browsers may not reset anything; use wazzup-exporter reset, or curl"
        }
        AdminCode::LoginRequired => {
            "the web configuration requires a user name and a password; send them, too"
        }
        AdminCode::RateLimited => "the rate limit of the web configuration is reached; try again",
        AdminCode::Busy => "the exporter is busy or shutting down; try again",
        AdminCode::Unauthorized => {
            "this is not the reset token of an account that may be reset: check the account's name, \
             reset.enabled, and that X-Reset-Token is the content of reset.token_file"
        }
        AdminCode::OtherShard => {
            "another shard polls this account; send the request to its admin listener"
        }
    }
}

/// The account in the path of a reset, decoded; `None` for any other path.
fn account_in(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/api/v1/admin/accounts/")?;
    let segment =
        rest.strip_suffix("/reset").filter(|one| !one.is_empty() && !one.contains('/'))?;
    Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned())
}

/// Whether a browser sent this. Browsers send `Origin` with every POST, and modern ones send
/// `Sec-Fetch-Site`; other clients send neither.
fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(SITE)
}

/// The value of a header; `None` if it is given more than once.
fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Vec<u8>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes().to_vec()),
        _ => None,
    }
}

fn reset_response(reply: &ResetReply) -> BufferedResponse {
    let mut response = json(reply.status, &reply.body);
    if let Some(wait) = reply.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

fn json(status: u16, document: &impl Serialize) -> BufferedResponse {
    let mut body =
        serde_json::to_vec(document).expect("the document has text keys and finite numbers");
    body.push(b'\n');
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, "application/json", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_a_reset_names_an_account() {
        let acme = Some("acme".to_owned());
        assert_eq!(account_in("/api/v1/admin/accounts/acme/reset"), acme);
        let odd = account_in("/api/v1/admin/accounts/a%2Fb%20%C3%BC/reset");
        assert_eq!(odd, Some("a/b ü".to_owned()));
        for other in [
            "/",
            "/metrics",
            "/api/v1/admin/accounts//reset",
            "/api/v1/admin/accounts/acme",
            "/api/v1/admin/accounts/acme/reset/",
            "/api/v1/admin/accounts/a/b/reset",
            "/api/v1/admin/accounts/%FF/reset",
            "//api/v1/admin/accounts/acme/reset",
        ] {
            assert_eq!(account_in(other), None, "{other}");
        }
    }

    #[test]
    fn every_code_has_its_own_message() {
        let messages: std::collections::HashSet<_> =
            AdminCode::ALL.iter().copied().map(message).collect();
        assert_eq!(messages.len(), AdminCode::ALL.len());
    }
}
