//! Connections in HTTP/2, which carry several requests at once.
//!
//! The library bounds the size of headers and the number of streams. What HTTP/1 gets from a time
//! limit on headers and on writing has to be done here: [`Streams`] knows how long nothing was asked
//! and since when an answer is being sent, and [`serve`] looks at it now and then. A client that
//! opens no window makes no write wait, it just takes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::connection::{Connection, ConnectionError, HEADERS_MAX, WRITE_TIMEOUT};
use super::response::SlicedBody;
use super::service::Service;
use super::write_timeout::WriteDeadline;
use crate::blocking::lock;

/// RequestsStatus at the same time on one connection.
const STREAMS_MAX: u32 = 16;
/// Memory for what a client has not taken yet, per request.
const SEND_BUFFER: usize = 64 * 1024;
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Time for a client to leave that was asked to.
const LEAVE: Duration = Duration::from_secs(5);

/// Serves one connection.
pub(super) async fn serve<S>(
    connection: Connection,
    stream: S,
    deadline: Arc<WriteDeadline>,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_MAX as u32)
        .max_send_buf_size(SEND_BUFFER);
    let idle_timeout = connection.idle_timeout();
    let Connection { service, peer, shutdown, .. } = connection;
    let streams = Arc::new(Streams::new());
    let seen = Arc::clone(&streams);
    let service = service_fn(move |request| {
        let stream = Stream::begin(&seen);
        respond(Arc::clone(&service), (request, peer), stream, Arc::clone(&deadline))
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = shutdown.wait() => break,
            () = sleep(LOOK) => {}
        }
        if streams.stuck() {
            return Err(ConnectionError::WriteTimeout);
        }
        if streams.quiet() >= idle_timeout {
            break;
        }
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = sleep(LEAVE) => {}
        }
        if streams.stuck() || streams.quiet() >= LEAVE {
            return Err(ConnectionError::WriteTimeout);
        }
    }
}

async fn respond(
    service: Arc<Service>,
    (request, peer): (Request<Incoming>, SocketAddr),
    stream: Stream,
    deadline: Arc<WriteDeadline>,
) -> Result<Response<Sent>, Infallible> {
    let head = request.method() == Method::HEAD;
    let (mut parts, mut body) = service.respond(request, peer).await.into_parts();
    if head {
        // Only in HTTP/1 the library leaves the body out by itself.
        let length = body.size_hint().exact().map(HeaderValue::from);
        parts.headers.extend(length.map(|length| (CONTENT_LENGTH, length)));
        body.clear();
    }
    deadline.restart();
    stream.send();
    Ok(Response::from_parts(parts, Sent { body, _stream: stream }))
}

/// What is going on on a connection.
#[derive(Debug)]
struct Streams(Mutex<Activity>);

#[derive(Debug)]
struct Activity {
    next: u64,
    /// The streams that are open, with the time since when their answer is being sent.
    open: BTreeMap<u64, Option<Instant>>,
    /// When the last one ended.
    ended: Instant,
}

/// One request and its answer, to the end of the latter.
#[derive(Debug)]
struct Stream {
    streams: Arc<Streams>,
    number: u64,
}

impl Streams {
    fn new() -> Self {
        Self(Mutex::new(Activity { next: 0, open: BTreeMap::new(), ended: Instant::now() }))
    }

    fn lock(&self) -> MutexGuard<'_, Activity> {
        lock(&self.0)
    }

    /// Whether an answer is not taken.
    fn stuck(&self) -> bool {
        self.lock().open.values().flatten().any(|since| since.elapsed() >= WRITE_TIMEOUT)
    }

    /// For how long nothing was asked.
    fn quiet(&self) -> Duration {
        let activity = self.lock();
        if activity.open.is_empty() { activity.ended.elapsed() } else { Duration::ZERO }
    }
}

impl Stream {
    fn begin(streams: &Arc<Streams>) -> Self {
        let mut activity = streams.lock();
        let number = activity.next;
        activity.next += 1;
        activity.open.insert(number, None);
        drop(activity);
        Self { streams: Arc::clone(streams), number }
    }

    /// Notes that the answer is there and has to be taken.
    fn send(&self) {
        self.streams.lock().open.insert(self.number, Some(Instant::now()));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut activity = self.streams.lock();
        activity.open.remove(&self.number);
        activity.ended = Instant::now();
    }
}

/// A body that ends its stream.
#[derive(Debug)]
struct Sent {
    body: SlicedBody,
    _stream: Stream,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_from_its_last_answer_on() {
        let streams = Arc::new(Streams::new());
        advance(LOOK).await;
        assert_eq!(streams.quiet(), LOOK);
        let (one, other) = (Stream::begin(&streams), Stream::begin(&streams));
        advance(LOOK).await;
        drop(one);
        assert_eq!(streams.quiet(), Duration::ZERO);
        drop(other);
        advance(2 * LOOK).await;
        assert_eq!(streams.quiet(), 2 * LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_stuck_when_it_is_not_taken_and_not_while_it_is_made() {
        let streams = Arc::new(Streams::new());
        let stream = Stream::begin(&streams);
        advance(2 * WRITE_TIMEOUT).await;
        assert!(!streams.stuck());
        stream.send();
        advance(WRITE_TIMEOUT / 2).await;
        assert!(!streams.stuck());
        advance(WRITE_TIMEOUT / 2).await;
        assert!(streams.stuck());
        drop(stream);
        assert!(!streams.stuck());
    }
}
