//! Listeners that a `.socket` unit opened: `sd_listen_fds(3)`.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

/// TCP listeners that the service manager opened. It holds them open, too: no
/// connection is refused while the daemon restarts.
#[derive(Debug, Clone)]
pub struct Sockets(Arc<[TcpListener]>);

/// Why there are no listeners to take over.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// The process was not started by a `.socket` unit.
    #[error(
        "--web.systemd-socket: systemd has passed no socket; start the .socket unit, or listen on \
         --web.listen-address instead"
    )]
    None,
    /// Something that is no TCP socket.
    #[error(
        "--web.systemd-socket: socket {number} that systemd has passed is no TCP socket \
         ({source}); let ListenStream= name a port, or an address and a port"
    )]
    NotTcp {
        /// Which one, from 1.
        number: usize,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A connection instead of a listener.
    #[error(
        "--web.systemd-socket: socket {number} that systemd has passed does not listen; remove \
         Accept=yes from the .socket unit"
    )]
    NotListening {
        /// Which one, from 1.
        number: usize,
    },
}

impl Sockets {
    /// Takes over what was passed. To be called at most once and before the process has threads: it
    /// removes variables from the environment.
    ///
    /// # Errors
    /// When nothing was passed, or something that connections do not come through.
    pub fn take() -> Result<Self, SocketsError> {
        let mut passed = ListenFd::from_env();
        let mut listeners = Vec::new();
        for number in 1..=passed.len() {
            let taken = passed.take_tcp_listener(number - 1);
            let taken = taken.map_err(|source| SocketsError::NotTcp { number, source })?;
            let listener = taken.filter(|listener| socket_acceptconn(listener).unwrap_or(true));
            listeners.push(listener.ok_or(SocketsError::NotListening { number })?);
        }
        if listeners.is_empty() { Err(SocketsError::None) } else { Ok(Self(listeners.into())) }
    }

    /// The same listeners for the runtime that this is called in.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listeners(&self) -> io::Result<Vec<tokio::net::TcpListener>> {
        let listener = |listener: &TcpListener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener.try_clone()?)
        };
        self.0.iter().map(listener).collect()
    }
}

/// How many sockets were passed to a process that does not use them.
pub fn passed() -> usize {
    sd_notify::listen_fds().map_or(0, |sockets| sockets.len())
}
