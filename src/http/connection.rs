//! Connections: accepting them, and bounding what each may cost.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::bounded::{Bounded, Deadline};
use super::front::Front;
use super::{streams, tls};
use crate::shutdown::Shutdown;

/// Connections open at the same time on one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: u32 = 512;
/// Connections from which on new ones are served once and have to be quick, so that idle ones
/// cannot take all places.
const CONNECTIONS_CROWDED: u32 = CONNECTIONS_MAX / 2;
/// Time for a request's headers, and for which an idle connection is kept: longer than the usual
/// times between two scrapes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// The same in a crowd.
const HEADER_TIMEOUT_CROWDED: Duration = Duration::from_secs(5);
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a client has to take an answer.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept, which would fail again at once when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Room for a request's headers.
pub(super) const BUFFER: usize = 16 * 1024;

/// Answers requests on `listener` until `shutdown`, then finishes those in flight for as
/// long as `front` allows.
pub async fn serve(listener: TcpListener, front: Front, shutdown: Shutdown) {
    let front = Arc::new(front);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    loop {
        let (stream, peer, permit) = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = shutdown.wait() => break,
        };
        let open = CONNECTIONS_MAX as usize - permits.available_permits();
        let crowded = open > CONNECTIONS_CROWDED as usize;
        let visit = Visit { front: Arc::clone(&front), peer, crowded, shutdown: shutdown.clone() };
        tokio::spawn(async move {
            if let Err(error) = visit.run(stream).await {
                debug!("a connection ended early: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    // All places are free when the last connection is gone.
    if timeout(front.drain(), permits.acquire_many(CONNECTIONS_MAX)).await.is_err() {
        warn!("some answers were still being sent; leaving them");
    }
}

/// The next connection; errors end one attempt, never the listener.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("nobody closes this semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection from its acceptance to its end.
pub(super) struct Visit {
    pub(super) front: Arc<Front>,
    /// Where it comes from.
    pub(super) peer: SocketAddr,
    /// Whether there are so many that this one has to be quick.
    crowded: bool,
    pub(super) shutdown: Shutdown,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Early {
    #[error("TLS: {0}")]
    Handshake(#[from] std::io::Error),
    #[error("no TLS handshake in time")]
    Dawdling,
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("its client took no answer in time")]
    Stuck,
}

impl Visit {
    async fn run(self, stream: TcpStream) -> Result<(), Early> {
        let deadline = Arc::new(Deadline::new(WRITE_TIMEOUT));
        let Some(encryption) = self.front.encryption() else {
            return self.http1(Bounded::new(stream, Arc::clone(&deadline)), deadline).await;
        };
        let patience = HANDSHAKE_TIMEOUT.min(self.patience());
        let shake = tls::accept(stream, &encryption, &deadline);
        let stream = tokio::select! {
            shaken = timeout(patience, shake) => shaken.map_err(|_| Early::Dawdling)??,
            () = self.shutdown.wait() => return Ok(()),
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            streams::serve(self, stream, deadline).await
        } else {
            self.http1(stream, deadline).await
        }
    }

    /// How long it may stay without asking for anything.
    pub(super) fn patience(&self) -> Duration {
        if self.crowded { HEADER_TIMEOUT_CROWDED } else { HEADER_TIMEOUT }
    }

    async fn http1<S>(self, stream: S, deadline: Arc<Deadline>) -> Result<(), Early>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.patience()).max_buf_size(BUFFER);
        builder.keep_alive(!self.crowded);
        let Self { front, peer, shutdown, .. } = self;
        let service = service_fn(move |request| {
            let (front, deadline) = (Arc::clone(&front), Arc::clone(&deadline));
            async move {
                let answer = front.answer(request, peer).await;
                deadline.restart();
                Ok::<_, Infallible>(answer)
            }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = shutdown.wait() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}
