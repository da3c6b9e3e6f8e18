//! Connections: accepting them, and bounding what each may cost.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tracing::{debug, warn};

use super::routes::Site;
use crate::shutdown::{DRAIN, Shutdown};

/// Connections open at the same time on one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// Connections from which on new ones are served once and have to be quick, so that idle ones
/// cannot take all places.
const CONNECTIONS_CROWDED: usize = CONNECTIONS_MAX / 2;
/// Time for a request's headers, and for which an idle connection is kept: longer than the usual
/// times between two scrapes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// The same in a crowd.
const HEADER_TIMEOUT_CROWDED: Duration = Duration::from_secs(5);
/// Time in which a client has to take an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept, which would fail again at once when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Room for a request's headers.
const BUFFER: usize = 16 * 1024;

/// Answers requests on `listener` until `shutdown`, then finishes those in flight for up to
/// [`DRAIN`].
pub async fn serve(listener: TcpListener, site: Arc<Site>, shutdown: Shutdown) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let (usual, crowded) = (builder(false), builder(true));
    loop {
        let (stream, permit) = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = shutdown.wait() => break,
        };
        let deadline = Arc::new(Deadline::new(WRITE_TIMEOUT));
        let stream = TokioIo::new(Bounded::new(stream, Arc::clone(&deadline)));
        let site = Arc::clone(&site);
        let service = service_fn(move |request| {
            let (site, deadline) = (Arc::clone(&site), Arc::clone(&deadline));
            async move {
                let answer = site.answer(request).await;
                deadline.restart();
                Ok::<_, Infallible>(answer)
            }
        });
        let open = CONNECTIONS_MAX - permits.available_permits();
        let builder = if open > CONNECTIONS_CROWDED { &crowded } else { &usual };
        let connection = graceful.watch(builder.serve_connection(stream, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("a connection ended early: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("some answers were still being sent; leaving them");
    }
}

fn builder(crowded: bool) -> http1::Builder {
    let patience = if crowded { HEADER_TIMEOUT_CROWDED } else { HEADER_TIMEOUT };
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(BUFFER);
    builder.keep_alive(!crowded);
    builder
}

/// The next connection; errors end one attempt, never the listener.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("nobody closes this semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Until when an answer has to be written; shared by a connection's service and its stream.
#[derive(Debug)]
struct Deadline {
    origin: Instant,
    allowed: Duration,
    millis: AtomicU64,
}

impl Deadline {
    fn new(allowed: Duration) -> Self {
        Self { origin: Instant::now(), allowed, millis: AtomicU64::new(allowed.as_millis() as u64) }
    }

    fn restart(&self) {
        let until = self.origin.elapsed() + self.allowed;
        self.millis.store(until.as_millis() as u64, Relaxed);
    }

    fn at(&self) -> Instant {
        self.origin + Duration::from_millis(self.millis.load(Relaxed))
    }
}

/// A stream whose writes fail once the deadline has passed and the peer still takes nothing.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    deadline: Arc<Deadline>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Bounded<S> {
    fn new(stream: S, deadline: Arc<Deadline>) -> Self {
        let timer = Box::pin(sleep_until(deadline.at()));
        Self { stream, deadline, timer }
    }

    /// Called when a write has to wait: not beyond the deadline.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let at = self.deadline.at();
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.wait(context),
            done @ Poll::Ready(_) => done,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
            Poll::Pending => self.wait(context),
            done @ Poll::Ready(_) => done,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_left_at_the_deadline() {
        let (stream, mut client) = duplex(8);
        let deadline = Arc::new(Deadline::new(WRITE_TIMEOUT));
        let mut bounded = Bounded::new(stream, Arc::clone(&deadline));
        sleep(WRITE_TIMEOUT * 2).await;
        deadline.restart();
        let started = Instant::now();
        let mut first = [0; 8];
        let (written, read) =
            tokio::join!(bounded.write_all(&[7; 32]), client.read_exact(&mut first));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read.unwrap(), 8);
        assert_eq!(started.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
    }
}
