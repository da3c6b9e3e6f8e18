//! Bodies and heads of the simulated API, as the real one writes them.
//!
//! `api` and `control` pick from these. The shapes are those recorded from production: v2 errors
//! are `code`, `title`, `detail`, `errors`; the gateway's are `error`, `description`, `data`.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, LOCATION, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::HeaderValue;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::endpoint::Version;
use super::spec::Pinned;

/// An answer on its way out.
pub(super) type Reply = Response<Either<Full<Bytes>, Cut>>;

/// A body with this status, marked as JSON.
pub(super) fn text(status: u16, body: String) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from(body))));
    // Statuses below 200 cannot end a request, so a fault asking for one is an error of its own.
    *reply.status_mut() = StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_informational())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// A page for browsers, which may do only what the policy says.
pub(super) fn html(status: u16, body: String, policy: &str) -> Reply {
    let mut reply = text(status, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    with(reply, CONTENT_SECURITY_POLICY, policy)
}

pub(super) fn json(status: u16, body: &Value) -> Reply {
    text(status, body.to_string())
}

/// The answer of the counter endpoint.
pub(super) fn counter(reading: Pinned) -> Reply {
    let Pinned { counter, kind } = reading;
    enveloped(&json!({"counter": counter, "type": kind}))
}

/// 200 with the envelope of v2.
pub(super) fn enveloped(data: &Value) -> Reply {
    json(200, &json!({"data": data, "meta": meta()}))
}

/// The API's own body for an error status.
pub(super) fn error(version: Version, status: u16) -> Reply {
    let (code, title, detail) = match (status, version) {
        (401, Version::V2) => (
            "OAUTH_TOKEN_UNKNOWN_OR_REVOKED",
            "Unauthorized",
            "The access token is unknown, expired or revoked",
        ),
        (401, Version::V3) => ("INVALID_APIKEY", "Unauthorized", "The API key is unknown"),
        (404, _) => ("NOT_FOUND", "Not Found", "There is nothing at this path"),
        (405, _) => ("METHOD_NOT_ALLOWED", "Method Not Allowed", "This method does not work here"),
        (403, _) => return gateway(status, "FORBIDDEN", "This key may not do that"),
        (429, _) => {
            return gateway(status, "TOO_MANY_REQUESTS", "Too many requests, try again later");
        }
        (500.., _) => return gateway(status, "INTERNAL_SERVER_ERROR", "Something went wrong"),
        _ => ("SIMULATED_FAULT", "Simulated fault", "The simulator was asked for this status"),
    };
    refusal(version, status, code, title, detail)
}

pub(super) fn user_not_found(version: Version) -> Reply {
    refusal(version, 404, "USER_NOT_FOUND", "Not Found", "There is no user with this id")
}

/// 400 for a request with something missing or wrong in it.
pub(super) fn invalid(version: Version, detail: &str) -> Reply {
    let code = "VALIDATION_FAILED";
    match version {
        Version::V2 => json(
            400,
            &json!({"code": code, "title": "Bad Request", "detail": detail, "errors": [detail]}),
        ),
        Version::V3 => gateway(400, code, detail),
    }
}

/// An error in the spelling of its version. v3 answers as the gateway does, which has no titles.
pub(super) fn refusal(
    version: Version,
    status: u16,
    code: &str,
    title: &str,
    detail: &str,
) -> Reply {
    match version {
        Version::V2 => {
            json(status, &json!({"code": code, "title": title, "detail": detail, "errors": []}))
        }
        Version::V3 => gateway(status, code, detail),
    }
}

fn gateway(status: u16, error: &str, description: &str) -> Reply {
    json(status, &json!({"error": error, "description": description, "data": {}}))
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Reply {
    with(error(Version::V2, 405), ALLOW, allowed)
}

/// 429; where the limit says so, with the seconds to the next window.
pub(super) fn too_many(next_window: Option<Duration>) -> Reply {
    match next_window {
        Some(wait) => retry_after(429, &wait.as_secs_f64().ceil().to_string()),
        None => error(Version::V2, 429),
    }
}

pub(super) fn retry_after(status: u16, value: &str) -> Reply {
    with(error(Version::V2, status), RETRY_AFTER, value)
}

pub(super) fn redirect(location: &str) -> Reply {
    with(text(302, String::new()), LOCATION, location)
}

/// Valid JSON with a counter in it, padded to a size.
pub(super) fn oversized(bytes: usize) -> Reply {
    let data = json!({"counter": 5, "type": "red", "padding": "x".repeat(bytes)});
    json(200, &json!({"data": data, "meta": meta()}))
}

pub(super) fn malformed() -> Reply {
    text(200, r#"{"data":{"counter":5,"type":"#.to_owned())
}

pub(super) fn wrong_type() -> Reply {
    json(200, &json!({"data": {"counter": "five", "type": "red"}, "meta": meta()}))
}

/// The same answer with its body compressed; one that is cut short stays as it is.
pub(super) async fn gzipped(reply: Reply) -> Reply {
    let (head, body) = reply.into_parts();
    let Either::Left(body) = body else {
        return Response::from_parts(head, body);
    };
    let Ok(body) = body.collect().await;
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packed.write_all(&body.to_bytes()).and_then(|()| packed.finish());
    let packed = packed.expect("writing to memory does not fail");
    let reply = Response::from_parts(head, Either::Left(Full::new(Bytes::from(packed))));
    with(reply, CONTENT_ENCODING, "gzip")
}

/// A head that promises more than is sent before the connection is closed.
pub(super) fn truncated() -> Reply {
    let reply = text(200, String::new()).map(|_| Either::Right(Cut::Whole));
    with(reply, CONTENT_LENGTH, "64")
}

fn meta() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({"timestamp": now.as_secs()})
}

/// Adds a header; a value no header can hold is left out.
fn with(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// A body that ends before its promised length, at which the server closes the connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// Nothing is sent yet.
    Whole,
    /// The beginning is on its way; waiting once lets the server write it out before the end.
    Begun,
    /// Nothing more comes.
    Ended,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match *self {
            Self::Whole => {
                *self = Self::Begun;
                let beginning = Bytes::from_static(br#"{"data":{"counter":5,"#);
                Poll::Ready(Some(Ok(Frame::data(beginning))))
            }
            Self::Begun => {
                *self = Self::Ended;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Ended => Poll::Ready(None),
        }
    }
}
