//! Connections in HTTP/1.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, ConnectionError, HEADERS_MAX};
use super::write_timeout::WriteDeadline;

/// Serves one connection.
pub(super) async fn serve<S>(
    connection: Connection,
    stream: S,
    deadline: Arc<WriteDeadline>,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(connection.idle_timeout())
        .max_buf_size(HEADERS_MAX);
    builder.keep_alive(!connection.crowded);
    let Connection { service, peer, shutdown, .. } = connection;
    let service = service_fn(move |request| {
        let (service, deadline) = (Arc::clone(&service), Arc::clone(&deadline));
        async move {
            let response = service.respond(request, peer).await;
            deadline.restart();
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = shutdown.wait() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}
