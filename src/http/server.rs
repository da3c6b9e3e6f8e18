//! The server of a listener: accepts connections and bounds how many there are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::open_connections::OpenConnections;
use super::service::Service;
use crate::net;
use crate::shutdown::Shutdown;

/// Connections open at the same time on one listener, where there are descriptors for them.
const CONNECTIONS_MAX: u32 = 512;
/// The same where there are few.
const CONNECTIONS_MIN: u32 = 8;
/// Pause after a failed accept, which would fail again at once when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How many connections each of so many listeners may hold: together half of the process's descriptors, the
/// other half is for polling and files.
pub fn connections_max(listeners: usize) -> u32 {
    let each = net::descriptors() / 2 / (listeners.max(1) as u64);
    u32::try_from(each).unwrap_or(u32::MAX).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

/// Serves `listener` until `shutdown`, then finishes the requests in flight for as long as `service`
/// allows. It holds up to `connections_max` connections; for more, others are aborted.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    connections_max: u32,
    shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(connections_max as usize));
    let open = OpenConnections::default();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.wait() => break,
        };
        if permits.available_permits() == 0 {
            open.abort_one();
        }
        let permit = Arc::clone(&permits).acquire_owned().await;
        let connection = open.add(peer);
        let (service, shutdown) = (service.clone(), shutdown.clone());
        tokio::spawn(async move {
            let _permit = permit.expect("this semaphore is never closed");
            if let Err(error) = connection.serve(stream, service, shutdown).await {
                debug!("a connection ended early: {error}");
            }
        });
    }
    drop(listener);
    // All permits are free when the last connection has ended.
    if timeout(service.drain(), permits.acquire_many(connections_max)).await.is_err() {
        warn!("some responses were still being sent at the end of the shutdown; they are aborted");
    }
}

/// Accepts the next connection; an error is logged and the next attempt follows after a pause.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Else the end of an answer waits for an ACK that the client delays, for 40 ms. That it can
                // fail on a connection that is gone already does not matter.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
