//! Bodies and heads of the simulated API, as the real one writes them.
//!
//! `api` and `control` pick from these. The shapes are those recorded from production: v2 errors
//! are `code`, `title`, `detail`, `errors`; the gateway's are `error`, `description`, `data`.

use std::io::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::endpoint::Version;

/// A body with this status, marked as JSON.
pub(super) fn text(status: u16, body: String) -> Response {
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    with(reply, CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

pub(super) fn json(status: u16, body: &Value) -> Response {
    text(status, body.to_string())
}

/// 200 with the envelope of v2.
pub(super) fn enveloped(data: &Value) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json(200, &json!({"data": data, "meta": {"timestamp": now.as_secs()}}))
}

/// The API's own body for an error status.
pub(super) fn error(version: Version, status: u16) -> Response {
    let (code, detail) = match (status, version) {
        (401, Version::V2) => {
            ("OAUTH_TOKEN_UNKNOWN_OR_REVOKED", "The access token is unknown, expired or revoked")
        }
        (401, Version::V3) => ("INVALID_APIKEY", "The API key is unknown"),
        (404, _) => ("NOT_FOUND", "There is nothing at this path"),
        (405, _) => ("METHOD_NOT_ALLOWED", "This method does not work here"),
        (403, _) => return gateway(status, "FORBIDDEN", "This key may not do that"),
        (429, _) => {
            return gateway(status, "TOO_MANY_REQUESTS", "Too many requests, try again later");
        }
        (500.., _) => return gateway(status, "INTERNAL_SERVER_ERROR", "Something went wrong"),
        _ => ("SIMULATED_FAULT", "The simulator was asked for this status"),
    };
    refusal(version, status, code, detail)
}

/// 400 for a request with something missing or wrong in it.
pub(super) fn invalid(version: Version, detail: &str) -> Response {
    failure(version, 400, "VALIDATION_FAILED", detail, &[detail])
}

pub(super) fn refusal(version: Version, status: u16, code: &str, detail: &str) -> Response {
    failure(version, status, code, detail, &[])
}

/// An error in the spelling of its version. v3 answers as the gateway does.
fn failure(version: Version, status: u16, code: &str, detail: &str, errors: &[&str]) -> Response {
    if version == Version::V3 {
        return gateway(status, code, detail);
    }
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    json(status, &json!({"code": code, "title": title, "detail": detail, "errors": errors}))
}

fn gateway(status: u16, error: &str, description: &str) -> Response {
    json(status, &json!({"error": error, "description": description, "data": {}}))
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Response {
    with(error(Version::V2, 405), ALLOW, HeaderValue::from_static(allowed))
}

/// A head with this status that promises more than is sent before the connection is closed.
pub(super) fn truncated(status: u16) -> Response {
    let beginning = async { Ok(Bytes::from_static(br#"{"data":{"counter":5,"#)) };
    let end = async {
        // Waiting once lets the server write out the beginning.
        yield_now().await;
        Err(io::Error::other("a fault ends the body"))
    };
    let body = stream::once(beginning).chain(stream::once(end));
    let mut reply = with(Response::new(Body::from_stream(body)), CONTENT_LENGTH, 64.into());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    reply
}

/// The same answer with its body compressed; one that is cut short stays as it is.
pub(super) async fn gzipped(reply: Response) -> Response {
    let (head, body) = reply.into_parts();
    if head.headers.contains_key(CONTENT_LENGTH) {
        return Response::from_parts(head, body);
    }
    let body = to_bytes(body, usize::MAX).await.expect("the body is in memory");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packed.write_all(&body).and_then(|()| packed.finish());
    let packed = packed.expect("writing to memory does not fail");
    let reply = Response::from_parts(head, Body::from(packed));
    with(reply, CONTENT_ENCODING, HeaderValue::from_static("gzip"))
}

/// Sets a header.
pub(super) fn with(mut reply: Response, name: HeaderName, value: HeaderValue) -> Response {
    reply.headers_mut().insert(name, value);
    reply
}
