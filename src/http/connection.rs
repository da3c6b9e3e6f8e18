//! One connection from its acceptance to its end: its protocol, and what ends it early.
//!
//! hyper limits what comes in. What goes out is limited here, from outside, because hyper waits for
//! ever for a client that opens no window or reads nothing: each response has [`WRITE_TIMEOUT`] until its last
//! byte is passed on, each connection has [`AGE_MAX`], and what is late aborts the connection. A
//! connection that [`OpenConnections`](super::open_connections::OpenConnections) chooses is aborted as well.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::service::Service;
use super::tls;
use crate::blocking::lock;
use crate::shutdown::Shutdown;

/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request's headers, and for which an idle connection in HTTP/1 is kept: longer than the
/// usual times between two scrapes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Time in which a client has to take a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Age at which a connection accepts no more requests; those in progress are finished.
const AGE_MAX: Duration = Duration::from_mins(15);
/// Size limit of a request's headers, in bytes.
const HEADERS_MAX: usize = 16 * 1024;
/// Requests at the same time on one connection in HTTP/2.
const STREAMS_MAX: u32 = 16;

/// An open connection.
pub(super) struct Connection {
    /// The client's address.
    pub(super) peer: SocketAddr,
    aborted: CancellationToken,
    requests: Mutex<Requests>,
}

/// The requests of a connection.
struct Requests {
    in_progress: usize,
    /// When one last began or ended.
    last: Instant,
    /// The responses that are being sent.
    sending: Vec<Sending>,
    /// How many were begun to be sent.
    begun: u64,
}

/// A response that is being sent.
struct Sending {
    number: u64,
    /// When it is late.
    deadline: Instant,
    /// Ends when it is cut before.
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("TLS: {0}")]
    Handshake(#[from] std::io::Error),
    #[error("no TLS handshake in time")]
    HandshakeTimeout,
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the client did not take a response in time, or others needed the place")]
    Aborted,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr) -> Self {
        let requests =
            Requests { in_progress: 0, last: Instant::now(), sending: Vec::new(), begun: 0 };
        Self { peer, aborted: CancellationToken::new(), requests: Mutex::new(requests) }
    }

    /// Ends the connection, whatever is in progress.
    pub(super) fn abort(&self) {
        self.aborted.cancel();
    }

    #[cfg(test)]
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.is_cancelled()
    }

    /// Since when the connection has been silent; those with a request in progress come last.
    pub(super) fn silence(&self) -> (bool, Instant) {
        let requests = lock(&self.requests);
        (requests.in_progress > 0, requests.last)
    }

    /// Serves `stream`, in the protocol that the client chooses, until it ends, is aborted, or `shutdown`
    /// begins and the requests in progress are done.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        service: Service,
        shutdown: Shutdown,
    ) -> Result<(), ConnectionError> {
        let this = Arc::clone(&self);
        this.unless_late(async {
            let Some(tls) = service.tls() else {
                return Box::pin(self.serve_http(stream, false, service, &shutdown)).await;
            };
            let handshake = timeout(HANDSHAKE_TIMEOUT, tls::accept(stream, &tls));
            let stream = tokio::select! {
                done = handshake => done.map_err(|_| ConnectionError::HandshakeTimeout)??,
                () = shutdown.wait() => return Ok(()),
            };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Box::pin(self.serve_http(stream, http2, service, &shutdown)).await
        })
        .await
    }

    /// Drives the connection until it ends, is aborted, or has a response that is late.
    async fn unless_late(
        &self,
        serving: impl Future<Output = Result<(), ConnectionError>>,
    ) -> Result<(), ConnectionError> {
        tokio::select! {
            // What it begins to send is looked at in the same turn.
            biased;
            ended = serving => ended,
            () = self.aborted.cancelled() => Err(ConnectionError::Aborted),
            // A busy connection uses up what a task may do in one turn, and its timer could do nothing more.
            () = unconstrained(self.late()) => Err(ConnectionError::Aborted),
        }
    }

    /// Waits until a response is late, or cut. One timer does for all responses of a connection: a task and a
    /// timer for each would cost a small response more than all the rest.
    async fn late(&self) {
        let mut timer = pin!(sleep(WRITE_TIMEOUT));
        poll_fn(|context| {
            let mut requests = lock(&self.requests);
            if requests.sending.iter_mut().any(|one| one.is_cut(context)) {
                return Poll::Ready(());
            }
            while timer.as_mut().poll(context).is_ready() {
                let now = Instant::now();
                let first = requests.sending.iter().map(|one| one.deadline).min();
                if first.is_some_and(|first| first <= now) {
                    return Poll::Ready(());
                }
                // No response that begins until then is late before.
                timer.as_mut().reset(first.unwrap_or(now + WRITE_TIMEOUT));
            }
            Poll::Pending
        })
        .await;
    }

    async fn serve_http<S: AsyncRead + AsyncWrite + Unpin + 'static>(
        self: Arc<Self>,
        stream: S,
        http2: bool,
        service: Service,
        shutdown: &Shutdown,
    ) -> Result<(), ConnectionError> {
        let (stream, drain) = (TokioIo::new(stream), service.drain());
        let respond =
            service_fn(move |request| Arc::clone(&self).respond(service.clone(), request));
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADERS_MAX as u32)
                .serve_connection(stream, respond);
            return drive(connection, drain, shutdown).await;
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADERS_MAX)
            // A body that was copied would be taken for one that is sent.
            .writev(true)
            .serve_connection(stream, respond);
        drive(connection, drain, shutdown).await
    }

    /// Responds to a request, and aborts the connection if the response is not taken in time.
    async fn respond(
        self: Arc<Self>,
        service: Service,
        request: Request<Incoming>,
    ) -> Result<Response<impl HttpBody<Data = Bytes, Error = axum::Error>>, Infallible> {
        let mut exchange = Exchange::begin(self);
        let head = request.method() == Method::HEAD;
        let peer = exchange.connection.peer;
        let response = service.respond(request.map(Body::new), peer).await;
        let (mut parts, mut body) = response.into_parts();
        // Neither hyper nor a mapped body does these for every response.
        if let Some(length) = body.size_hint().exact() {
            parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
        }
        if head {
            body = Body::empty();
        }
        exchange.begin_sending(parts.extensions.remove());
        let exchange = Arc::new(exchange);
        let hold = move |data| Bytes::from_owner(Unsent { data, _exchange: Arc::clone(&exchange) });
        let body = body.map_frame(move |frame| frame.map_data(&hold));
        Ok(Response::from_parts(parts, body))
    }
}

/// Drives a connection to its end. From `shutdown` or [`AGE_MAX`] on it accepts no more requests, and
/// those in progress have at least `drain`.
async fn drive<C: GracefulConnection<Error = hyper::Error>>(
    connection: C,
    drain: Duration,
    shutdown: &Shutdown,
) -> Result<(), ConnectionError> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = shutdown.wait() => {}
        () = sleep(AGE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    let ended = timeout(drain.max(WRITE_TIMEOUT), connection).await;
    Ok(ended.map_err(|_| ConnectionError::Aborted)??)
}

/// A request and its response, until the last byte of that is passed on.
struct Exchange {
    connection: Arc<Connection>,
    /// The number of the response, once it is being sent.
    sending: Option<u64>,
}

impl Exchange {
    fn begin(connection: Arc<Connection>) -> Self {
        let mut requests = lock(&connection.requests);
        (requests.in_progress, requests.last) = (requests.in_progress + 1, Instant::now());
        drop(requests);
        Self { connection, sending: None }
    }

    /// Starts the time for the response; where `cut` is given, it ends when that is cancelled.
    fn begin_sending(&mut self, cut: Option<CancellationToken>) {
        let mut requests = lock(&self.connection.requests);
        requests.begun += 1;
        let number = requests.begun;
        let cut = cut.map(|cut| Box::pin(cut.cancelled_owned()));
        requests.sending.push(Sending { number, deadline: Instant::now() + WRITE_TIMEOUT, cut });
        self.sending = Some(number);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut requests = lock(&self.connection.requests);
        (requests.in_progress, requests.last) = (requests.in_progress - 1, Instant::now());
        requests.sending.retain(|one| Some(one.number) != self.sending);
    }
}

impl Sending {
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(context).is_ready())
    }
}

/// A part of a response that is not passed on yet.
struct Unsent {
    data: Bytes,
    _exchange: Arc<Exchange>,
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    /// Larger than every buffer on the way.
    const LARGE: usize = 4 << 20;

    struct Served {
        client: DuplexStream,
        server: tokio::task::JoinHandle<Result<(), ConnectionError>>,
        connection: Arc<Connection>,
    }

    /// Serves a large document over a connection in memory.
    fn serve(http2: bool) -> Served {
        let (client, stream) = duplex(1024);
        let connection = Arc::new(Connection::new("192.0.2.1:1".parse().unwrap()));
        let routes = Router::new().route("/", get(async || vec![7; LARGE]));
        let (service, shutdown) = (Service::without_access(routes), Shutdown::default());
        let this = Arc::clone(&connection);
        let server = tokio::spawn(async move {
            let serving = Arc::clone(&this).serve_http(stream, http2, service, &shutdown);
            this.unless_late(serving).await
        });
        Served { client, server, connection }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_disconnected_at_the_deadline() {
        let mut served = serve(false);
        served.client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        served.client.read_u8().await.unwrap();
        assert!(served.connection.silence().0);
        let started = Instant::now();
        assert!(matches!(served.server.await.unwrap(), Err(ConnectionError::Aborted)));
        assert_eq!(started.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_opens_no_window_is_disconnected_at_the_deadline() {
        let served = serve(true);
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(0);
        let handshake = builder.handshake::<_, Empty<Bytes>>(TokioIo::new(served.client));
        let (mut sender, client) = handshake.await.unwrap();
        let client = tokio::spawn(client);
        let request = Request::get("http://x/").body(Empty::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.headers()["content-length"], LARGE.to_string());
        let started = Instant::now();
        assert!(matches!(served.server.await.unwrap(), Err(ConnectionError::Aborted)));
        assert_eq!(started.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        drop((response, sender, client));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_does_not_hold_up_its_own_deadline() {
        let connection = Arc::new(Connection::new("192.0.2.1:1".parse().unwrap()));
        let mut exchange = Exchange::begin(Arc::clone(&connection));
        exchange.begin_sending(None);
        let busy = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        let mut serving = pin!(connection.unless_late(busy));
        assert!(futures_util::poll!(serving.as_mut()).is_pending());
        tokio::time::advance(WRITE_TIMEOUT).await;
        let ended = futures_util::poll!(serving.as_mut());
        assert!(matches!(ended, Poll::Ready(Err(ConnectionError::Aborted))));
    }

    async fn read_response(client: &mut DuplexStream) -> std::io::Result<()> {
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await?);
        }
        let mut body = vec![0; LARGE];
        client.read_exact(&mut body).await.map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_is_served_until_its_connection_is_too_old() {
        let mut served = serve(false);
        let started = Instant::now();
        let mut responses = 0;
        while read_response(&mut served.client).await.is_ok() {
            responses += 1;
            sleep(HEADER_TIMEOUT / 2).await;
        }
        let _ = served.server.await.unwrap();
        assert!(started.elapsed() >= AGE_MAX && responses > 20, "{responses}");
        assert!(!served.connection.silence().0);
    }
}
