//! Answers and their bodies.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

/// An answer with a body that is ready in memory.
pub(super) type Answer = Response<Slices>;

/// Size of the pieces a body is handed out in, so that its permit lives about as long as the
/// sending takes.
const SLICE: usize = 64 * 1024;

/// A body handed out in slices; holds a permit until the last one.
#[derive(Debug)]
pub(super) struct Slices {
    rest: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slices {
    /// Leaves nothing to send.
    pub(super) fn clear(&mut self) {
        self.rest.clear();
    }
}

/// An answer of the given type.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    holding(status, content_type, body, None)
}

/// An answer that holds `permit` until it is sent.
pub(super) fn holding(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
    permit: Option<OwnedSemaphorePermit>,
) -> Answer {
    let mut answer = Response::new(Slices { rest: body.into(), _permit: permit });
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

/// A short answer in plain words.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

/// The refusal of a method; `allow` lists those that a path knows.
pub(super) fn wrong_method(allow: &'static str) -> Answer {
    let words = allow.replace(", ", " and ");
    let text = format!("Only {words} are allowed here.\n");
    let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, text);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    refusal
}

/// A body compressed with gzip, as a page or a document is once, where it is sent.
pub(super) fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("writing to memory cannot fail")
}

impl Body for Slices {
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
