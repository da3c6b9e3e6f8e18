//! Responses and their bodies.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

/// A response whose body is in memory.
pub(super) type BufferedResponse = Response<SlicedBody>;

/// Size of the frames of a body: small, so that its permit is held about as long as the sending takes.
const SLICE: usize = 64 * 1024;

/// A body that is sent in slices; it holds a permit until the last one.
#[derive(Debug)]
pub(super) struct SlicedBody {
    rest: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl SlicedBody {
    /// Drops what is left to send.
    pub(super) fn clear(&mut self) {
        self.rest.clear();
    }
}

/// A response of the given content type.
pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> BufferedResponse {
    response_with_permit(status, content_type, body, None)
}

/// A response that holds `permit` until it is sent.
pub(super) fn response_with_permit(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
    permit: Option<OwnedSemaphorePermit>,
) -> BufferedResponse {
    let mut response = Response::new(SlicedBody { rest: body.into(), _permit: permit });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// A response in plain text.
pub(super) fn plain_text(status: StatusCode, text: impl Into<Bytes>) -> BufferedResponse {
    response(status, "text/plain; charset=utf-8", text)
}

/// The response to an unsupported method; `allow` lists the supported ones.
pub(super) fn method_not_allowed(allow: &'static str) -> BufferedResponse {
    let methods = allow.replace(", ", " and ");
    let text = format!("Only {methods} are allowed here.\n");
    let mut refusal = plain_text(StatusCode::METHOD_NOT_ALLOWED, text);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    refusal
}

/// The response while the limit of concurrent requests is reached.
pub(super) fn overloaded() -> BufferedResponse {
    let text = "Too many requests at once; try again.\n";
    let mut refusal = plain_text(StatusCode::SERVICE_UNAVAILABLE, text);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    refusal
}

/// All values of a header that may be repeated, as one list.
pub(super) fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// Compresses a body with gzip.
pub(super) fn gzip_body(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("writing to memory cannot fail")
}

impl Body for SlicedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(SLICE);
        let slice = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
