//! The admin listener: the one path that changes something.
//!
//! It serves nothing but `POST /api/v1/admin/accounts/{account}/reset`. The token is checked before
//! anything else about an account is revealed. Requests of browsers are refused: preflights fail, no
//! header lets a page read a response, and the headers that browsers add are a reason for refusal.
//! All guards of a reset are in [`reset`](crate::reset).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Extension, Router};
use hyper::header::{
    ALLOW, AsHeaderName, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{HeaderMap, Method, StatusCode};
use tokio::time::timeout;
use tracing::warn;

use super::access::{Access, is_from_browser};
use super::login::NoAccess;
use super::response::response;
use crate::metrics::{AdminCode, ProcessMetrics};
use crate::reset::{
    BODY_MAX, NotAdmitted, ReplyBody, ResetReply, ResetRequest, ResetService, completion_timeout,
};
use crate::snapshot::Directory;

/// The header with the token.
const TOKEN: &str = "x-reset-token";
/// Time within which a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest name of an account that is logged, in characters.
const NAME_MAX: usize = 64;

/// The service of the admin listener.
pub struct Admin {
    resets: ResetService,
    process: Arc<ProcessMetrics>,
    directory: Arc<Directory>,
}

impl Admin {
    /// An admin listener that passes requests to `resets`; the accounts are those in `directory`.
    pub fn new(
        resets: ResetService,
        process: Arc<ProcessMetrics>,
        directory: Arc<Directory>,
    ) -> Self {
        // Each code is exported from the start, so that a first increase is seen.
        for code in AdminCode::ALL {
            process.admin_refusals.with_label_values(&[code.label()]);
        }
        Self { resets, process, directory }
    }

    /// How long responses may take during shutdown, because a reset that was sent to upstream cannot be
    /// cancelled.
    pub(super) fn reset_time(&self) -> Duration {
        completion_timeout(self.directory.longest_timeout())
    }

    /// The one route, to which `access` applies.
    pub(super) fn routes(self: &Arc<Self>, access: &Arc<Access>) -> Router {
        Router::new()
            .route("/api/v1/admin/accounts/{account}/reset", any(reset))
            .fallback(not_found)
            .with_state(Arc::clone(self))
            .layer(from_fn_with_state((Arc::clone(self), Arc::clone(access)), admit))
    }

    fn refuse(&self, code: AdminCode, peer: SocketAddr, account: Option<&str>) -> Response {
        self.count(code, peer, account);
        let (status, code, message) = (code.status(), code.label(), message(code).to_owned());
        json(status, &ReplyBody { code, message, ..ReplyBody::default() })
    }

    fn count(&self, code: AdminCode, peer: SocketAddr, account: Option<&str>) {
        self.process.admin_refusals.with_label_values(&[code.label()]).inc();
        let account: Option<String> = account.map(|account| {
            let letters = account.chars().map(|one| if one.is_control() { ' ' } else { one });
            letters.take(NAME_MAX).collect()
        });
        let code = code.label();
        warn!(code, caller = %peer, account, "a request to the admin listener was refused");
    }
}

async fn admit(
    State((admin, access)): State<(Arc<Admin>, Arc<Access>)>,
    Extension(peer): Extension<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let Err(refusal) = access.check(request.headers(), peer).await else {
        return next.run(request).await;
    };
    let code = match refusal {
        NoAccess::LoginRequired => AdminCode::LoginRequired,
        NoAccess::RateLimited => AdminCode::RateLimited,
        NoAccess::Busy => AdminCode::Busy,
    };
    let mut response = admin.refuse(code, peer, None);
    for (name, value) in refusal.into_response().headers() {
        response.headers_mut().entry(name).or_insert(value.clone());
    }
    response
}

async fn reset(
    State(admin): State<Arc<Admin>>,
    Extension(peer): Extension<SocketAddr>,
    account: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(account) = account.ok().map(|Path(name)| name).filter(|name| !name.is_empty()) else {
        return admin.refuse(AdminCode::NotFound, peer, None);
    };
    let refuse = |code| admin.refuse(code, peer, Some(&account));
    if method != Method::POST {
        let mut refusal = refuse(AdminCode::MethodNotAllowed);
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return refusal;
    }
    if is_from_browser(&headers) {
        return refuse(AdminCode::CrossSite);
    }
    let token = single(&headers, TOKEN).unwrap_or_default();
    let admitted = match admin.resets.admit(&account, &token).await {
        Ok(admitted) => admitted,
        Err(NotAdmitted::Refused(code)) => return refuse(code),
        Err(NotAdmitted::Elsewhere(reply)) => {
            admin.count(AdminCode::OtherShard, peer, Some(&account));
            return reset_response(&reply);
        }
    };
    let body = timeout(BODY_TIMEOUT, to_bytes(body, BODY_MAX)).await;
    let request = ResetRequest {
        content_type: single(&headers, CONTENT_TYPE),
        body: body.ok().and_then(Result::ok),
        caller: peer,
        user_agent: single(&headers, USER_AGENT),
    };
    match admin.resets.reset(admitted, request).await {
        Some(reply) => reset_response(&reply),
        None => refuse(AdminCode::Busy),
    }
}

async fn not_found(
    State(admin): State<Arc<Admin>>,
    Extension(peer): Extension<SocketAddr>,
) -> Response {
    admin.refuse(AdminCode::NotFound, peer, None)
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

/// The value of a header; `None` if it is given more than once.
fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Vec<u8>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes().to_vec()),
        _ => None,
    }
}

fn reset_response(reply: &ResetReply) -> Response {
    let mut response = json(reply.status, &reply.body);
    if let Some(seconds) = reply.body.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: u16, document: &ReplyBody) -> Response {
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
    fn every_code_has_its_own_message() {
        let messages: std::collections::HashSet<_> =
            AdminCode::ALL.iter().copied().map(message).collect();
        assert_eq!(messages.len(), AdminCode::ALL.len());
    }
}
