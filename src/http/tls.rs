//! The server side of a TLS handshake.

use std::io;

use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::web_config::ServerTls;

/// The response to a request in plain HTTP.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 54\r\nConnection: close\r\n\r\n\
    This port speaks TLS; write https:// instead of http.\n";

/// Does the handshake. A resumed session is refused if its client certificate is no longer accepted.
pub(super) async fn accept(
    mut stream: TcpStream,
    tls: &ServerTls,
) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    // Every HTTP method begins with a capital letter, and no handshake does.
    if stream.peek(&mut first).await? == 1 && first.iter().all(u8::is_ascii_uppercase) {
        stream.write_all(NOT_TLS).await?;
        return Err(io::Error::other("the client sent HTTP without TLS"));
    }
    let mut stream = TlsAcceptor::from(tls.server()).accept(stream).await?;
    let session = stream.get_ref().1;
    if session.handshake_kind() == Some(HandshakeKind::Resumed)
        && let Err(why) = tls.still_good(session.peer_certificates())
    {
        stream.shutdown().await?;
        return Err(io::Error::other(why));
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_length_of_the_hint_is_right() {
        let text = std::str::from_utf8(super::NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
