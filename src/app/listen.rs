//! Addresses to listen on, as Prometheus' components take them.

use std::io;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::net::is_loopback_host;
use rustix::net::listen;
use tokio::net::TcpListener;

/// Connections that may wait to be accepted: as many as Linux allows where `net.core.somaxconn` has its
/// default. When more come, a client's first packet is lost, and it sends the next after a second.
const BACKLOG: i32 = 4096;

/// An address to listen on: `host:port`, or `:port` for every interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// `None` for every interface.
    host: Option<String>,
    port: u16,
}

/// Why a text is no address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write host:port, or :port for every interface, for example 127.0.0.1:10117 or [::1]:10117"
)]
pub struct InvalidListenAddress;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", remedy(source))]
pub struct BindError {
    address: String,
    source: io::Error,
}

impl BindError {
    /// For sockets that systemd has opened.
    pub(super) fn inherited(source: io::Error) -> Self {
        Self { address: "the sockets that systemd has passed".to_owned(), source }
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListenAddress)?;
        let port = port.parse().map_err(|_| InvalidListenAddress)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => {
                host.parse::<Ipv6Addr>().map_err(|_| InvalidListenAddress)?;
                Some(host.to_owned())
            }
            None if host.is_empty() => None,
            None if host.contains([':', '/', ' ', '@']) => return Err(InvalidListenAddress),
            None => Some(host.to_owned()),
        };
        Ok(Self { host, port })
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, ":{}", self.port),
        }
    }
}

impl ListenAddress {
    /// The same host with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self { host: self.host.clone(), port }
    }

    /// Whether only this machine can reach it. Of names only `localhost` is taken for that.
    pub fn is_loopback(&self) -> bool {
        self.host.as_deref().is_some_and(is_loopback_host)
    }

    /// Opens a listener here.
    ///
    /// # Errors
    /// What the operating system says, with the address and, where one is known, a remedy.
    pub async fn bind(&self) -> Result<TcpListener, BindError> {
        let at_host = async |host: &str| -> io::Result<TcpListener> {
            let listener = TcpListener::bind((host, self.port)).await?;
            // It listens already, with the backlog of tokio; this one takes its place.
            listen(&listener, BACKLOG)?;
            Ok(listener)
        };
        let bound = match &self.host {
            Some(host) => at_host(host).await,
            // Takes IPv4 as well; a machine without IPv6 refuses it.
            None => match at_host("::").await {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => at_host("0.0.0.0").await,
                bound => bound,
            },
        };
        bound.map_err(|source| BindError { address: self.to_string(), source })
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop what listens there, or choose another address with --web.listen-address \
             (for probes --web.health-listen-address, for resets --web.admin-listen-address)"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in [":10117", "127.0.0.1:0", "[::1]:10117", "localhost:80", "[::]:1"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "10117", "::1:80", "[::1]", "[x]:1", "host:70000", "host:", "http://a:1", "a@b:1"]
        {
            assert_eq!(text.parse::<ListenAddress>(), Err(InvalidListenAddress), "{text}");
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        let loopback = |text: &str| text.parse::<ListenAddress>().unwrap().is_loopback();
        for yes in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1"] {
            assert!(loopback(yes), "{yes}");
        }
        for no in [
            ":1",
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:1",
            "localhost.example:1",
            "127.0.0.1.example:1",
        ] {
            assert!(!loopback(no), "{no}");
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_named_with_a_remedy() {
        let first = "127.0.0.1:0".parse::<ListenAddress>().unwrap().bind().await.unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let error = taken.parse::<ListenAddress>().unwrap().bind().await.unwrap_err().to_string();
        assert!(error.contains(&taken) && error.contains("--web.listen-address"), "{error}");
    }

    #[tokio::test]
    async fn every_interface_includes_ipv4() {
        let listener = ":0".parse::<ListenAddress>().unwrap().bind().await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    }
}
