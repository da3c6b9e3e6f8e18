//! Responses and their bodies.

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

use crate::exposition::Answer;

/// A response whose body is in memory.
pub(super) type BufferedResponse = Response<SlicedBody>;

/// Size of the frames of a body: small, so that its permit is held about as long as the sending takes.
const SLICE: usize = 64 * 1024;

/// A body that is sent in slices; it holds a permit until the last one.
#[derive(Debug)]
pub(super) struct SlicedBody {
    rest: Bytes,
    /// What follows, of an answer to a scrape.
    answer: Option<Answer>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The client is disconnected, because newer answers need the memory.
#[derive(Debug, thiserror::Error)]
#[error("the client was too slow for the number of answers")]
pub(super) struct Cut;

impl SlicedBody {
    /// Drops what is left to send.
    pub(super) fn clear(&mut self) {
        self.rest.clear();
        self.answer = None;
    }
}

/// A response with the answer to a scrape.
pub(super) fn scrape_response(content_type: &'static str, answer: Answer) -> BufferedResponse {
    let mut response = response(StatusCode::OK, content_type, Bytes::new());
    response.body_mut().answer = Some(answer);
    response
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
    let mut response =
        Response::new(SlicedBody { rest: body.into(), answer: None, _permit: permit });
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
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.rest.is_empty() {
            let Some(piece) = self.answer.as_mut().and_then(Iterator::next) else {
                return Poll::Ready(None);
            };
            self.rest = piece;
        }
        if self.answer.as_ref().is_some_and(|answer| answer.cut().is_cancelled()) {
            return Poll::Ready(Some(Err(Cut)));
        }
        let slice = if self.answer.is_some() { usize::MAX } else { SLICE };
        let length = self.rest.len().min(slice);
        let slice = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        let answer = self.answer.as_ref().map_or(0, Answer::length);
        SizeHint::with_exact(self.rest.len() as u64 + answer)
    }
}
