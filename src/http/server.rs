//! The server of a listener: accepts connections and bounds how many there are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::connection::{Connection, ConnectionError, WRITE_TIMEOUT};
use super::service::Service;
use super::write_timeout::{WriteDeadline, WriteTimeout};
use super::{http1, http2, tls};
use crate::shutdown::Shutdown;

/// Connections open at the same time on one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: u32 = 512;
/// Connections from which on new ones get short timeouts and one request each, so that idle ones
/// cannot use up the limit.
const CONNECTIONS_CROWDED: u32 = CONNECTIONS_MAX / 2;
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which would fail again at once when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `listener` until `shutdown`, then finishes the requests in flight for as long as `service`
/// allows.
pub async fn serve(listener: TcpListener, service: Service, shutdown: Shutdown) {
    let service = Arc::new(service);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    loop {
        let (stream, peer, permit) = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = shutdown.wait() => break,
        };
        let open = CONNECTIONS_MAX as usize - permits.available_permits();
        let crowded = open > CONNECTIONS_CROWDED as usize;
        let shutdown = shutdown.clone();
        let connection = Connection { service: Arc::clone(&service), peer, crowded, shutdown };
        tokio::spawn(async move {
            if let Err(error) = serve_connection(connection, stream).await {
                debug!("a connection ended early: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    // All permits are free when the last connection has ended.
    if timeout(service.drain(), permits.acquire_many(CONNECTIONS_MAX)).await.is_err() {
        warn!("some responses were still being sent at the end of the shutdown; they are aborted");
    }
}

/// Accepts the next connection; an error is logged and the next attempt follows after a pause.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("this semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Else the end of an answer waits for an ACK that the client delays, for 40 ms. That it can
                // fail on a connection that is gone already does not matter.
                let _ = stream.set_nodelay(true);
                return (stream, peer, permit);
            }
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection, encrypted or not, in the protocol that the client chose.
async fn serve_connection(
    connection: Connection,
    stream: TcpStream,
) -> Result<(), ConnectionError> {
    let deadline = Arc::new(WriteDeadline::new(WRITE_TIMEOUT));
    let Some(encryption) = connection.service.encryption() else {
        return http1::serve(
            connection,
            WriteTimeout::new(stream, Arc::clone(&deadline)),
            deadline,
        )
        .await;
    };
    let allowed = HANDSHAKE_TIMEOUT.min(connection.idle_timeout());
    let handshake = tls::accept(stream, &encryption, &deadline);
    let stream = tokio::select! {
        done = timeout(allowed, handshake) => done.map_err(|_| ConnectionError::HandshakeTimeout)??,
        () = connection.shutdown.wait() => return Ok(()),
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(connection, stream, deadline).await
    } else {
        http1::serve(connection, stream, deadline).await
    }
}
