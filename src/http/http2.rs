//! Connections in HTTP/2, which carry several requests at once.
//!
//! hyper limits the size of headers and the number of streams. The idle and write timeouts, which HTTP/1
//! gets from a header timeout and from [`WriteTimeout`](super::write_timeout::WriteTimeout), are enforced
//! here: [`OpenStreams`] records how long the connection has been idle and since when each response is
//! being sent, and [`serve`] checks it regularly. A client that opens no window blocks no write, so the
//! write timeout of the socket does not see it.

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
use super::response::{Cut, SlicedBody};
use super::service::Service;
use super::write_timeout::WriteDeadline;
use crate::blocking::lock;

/// Requests at the same time on one connection.
const STREAMS_MAX: u32 = 16;
/// Send buffer per request.
const SEND_BUFFER: usize = 64 * 1024;
/// How often the timeouts of a connection are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Time for a client to close the connection after GOAWAY.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(5);

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
    let streams = Arc::new(OpenStreams::new());
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
            () = sleep(CHECK_INTERVAL) => {}
        }
        if streams.stuck() {
            return Err(ConnectionError::WriteTimeout);
        }
        if streams.idle() >= idle_timeout {
            break;
        }
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = sleep(GOAWAY_TIMEOUT) => {}
        }
        if streams.stuck() || streams.idle() >= GOAWAY_TIMEOUT {
            return Err(ConnectionError::WriteTimeout);
        }
    }
}

async fn respond(
    service: Arc<Service>,
    (request, peer): (Request<Incoming>, SocketAddr),
    stream: Stream,
    deadline: Arc<WriteDeadline>,
) -> Result<Response<StreamBody>, Infallible> {
    let head = request.method() == Method::HEAD;
    let (mut parts, mut body) = service.respond(request, peer).await.into_parts();
    if head {
        // hyper omits the body by itself only in HTTP/1.
        let length = body.size_hint().exact().map(HeaderValue::from);
        parts.headers.extend(length.map(|length| (CONTENT_LENGTH, length)));
        body.clear();
    }
    deadline.restart();
    stream.start_sending();
    Ok(Response::from_parts(parts, StreamBody { body, _stream: stream }))
}

/// The requests of a connection that are not finished.
#[derive(Debug)]
struct OpenStreams(Mutex<StreamTimes>);

#[derive(Debug)]
struct StreamTimes {
    next: u64,
    /// The open streams, each with the time at which its response began to be sent.
    open: BTreeMap<u64, Option<Instant>>,
    /// When the last one ended.
    ended: Instant,
}

/// One request, until its response is sent.
#[derive(Debug)]
struct Stream {
    streams: Arc<OpenStreams>,
    number: u64,
}

impl OpenStreams {
    fn new() -> Self {
        Self(Mutex::new(StreamTimes { next: 0, open: BTreeMap::new(), ended: Instant::now() }))
    }

    fn lock(&self) -> MutexGuard<'_, StreamTimes> {
        lock(&self.0)
    }

    /// Whether a response is not taken by the client in time.
    fn stuck(&self) -> bool {
        self.lock().open.values().flatten().any(|since| since.elapsed() >= WRITE_TIMEOUT)
    }

    /// For how long there has been no request.
    fn idle(&self) -> Duration {
        let times = self.lock();
        if times.open.is_empty() { times.ended.elapsed() } else { Duration::ZERO }
    }
}

impl Stream {
    fn begin(streams: &Arc<OpenStreams>) -> Self {
        let mut times = streams.lock();
        let number = times.next;
        times.next += 1;
        times.open.insert(number, None);
        drop(times);
        Self { streams: Arc::clone(streams), number }
    }

    /// Records that the response begins to be sent.
    fn start_sending(&self) {
        self.streams.lock().open.insert(self.number, Some(Instant::now()));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut times = self.streams.lock();
        times.open.remove(&self.number);
        times.ended = Instant::now();
    }
}

/// A body that keeps its stream open until it is sent.
#[derive(Debug)]
struct StreamBody {
    body: SlicedBody,
    _stream: Stream,
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
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
    async fn a_connection_is_idle_from_its_last_response_on() {
        let streams = Arc::new(OpenStreams::new());
        advance(CHECK_INTERVAL).await;
        assert_eq!(streams.idle(), CHECK_INTERVAL);
        let (one, other) = (Stream::begin(&streams), Stream::begin(&streams));
        advance(CHECK_INTERVAL).await;
        drop(one);
        assert_eq!(streams.idle(), Duration::ZERO);
        drop(other);
        advance(2 * CHECK_INTERVAL).await;
        assert_eq!(streams.idle(), 2 * CHECK_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_stuck_while_it_is_not_taken_and_not_while_it_is_made() {
        let streams = Arc::new(OpenStreams::new());
        let stream = Stream::begin(&streams);
        advance(2 * WRITE_TIMEOUT).await;
        assert!(!streams.stuck());
        stream.start_sending();
        advance(WRITE_TIMEOUT / 2).await;
        assert!(!streams.stuck());
        advance(WRITE_TIMEOUT / 2).await;
        assert!(streams.stuck());
        drop(stream);
        assert!(!streams.stuck());
    }
}
