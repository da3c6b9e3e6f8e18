//! What a connection may cost, and why it may end early.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::service::Service;
use crate::shutdown::Shutdown;

/// Time for a request's headers, and for which an idle connection is kept: longer than the usual
/// times between two scrapes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// The same while many connections are open.
const HEADER_TIMEOUT_CROWDED: Duration = Duration::from_secs(5);
/// Time in which a client has to take a response.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Size limit of a request's headers, in bytes.
pub(super) const HEADERS_MAX: usize = 16 * 1024;

/// One connection from its acceptance to its end.
pub(super) struct Connection {
    pub(super) service: Arc<Service>,
    /// The client's address.
    pub(super) peer: SocketAddr,
    /// Whether so many connections are open that this one gets short timeouts.
    pub(super) crowded: bool,
    pub(super) shutdown: Shutdown,
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
    #[error("the client did not take the response in time")]
    WriteTimeout,
}

impl Connection {
    /// How long the connection may stay without a request.
    pub(super) fn idle_timeout(&self) -> Duration {
        if self.crowded { HEADER_TIMEOUT_CROWDED } else { HEADER_TIMEOUT }
    }
}
