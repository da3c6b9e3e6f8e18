//! What the daemon is started with, and why it may not start.

use super::listen::{BindError, ListenAddress};
use crate::http::Prefix;
use crate::reload::ConfigSource;
use crate::shard::Shard;
use crate::storage::{Storage, StorageError};
use crate::systemd::{Notifier, Sockets};
use crate::transport::BuildError;
use crate::web_config::WebConfig;

/// Where and how the daemon serves.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; each is an address of its own.
    pub listen: Vec<ListenAddress>,
    /// Listeners that are open already, in place of `listen`.
    pub sockets: Option<Sockets>,
    /// The path below which everything is.
    pub route_prefix: Prefix,
    /// The path of the exposition.
    pub telemetry_path: String,
    /// Which of the configured accounts to poll.
    pub shard: Shard,
    /// Where to keep what survives a restart; nowhere if `None`.
    pub storage: Option<Storage>,
    /// TLS, users and headers from a file that is checked for changes while the daemon runs;
    /// plain HTTP without a login if `None`.
    pub web: Option<WebConfig>,
    /// Where to serve health and readiness alone, in plain HTTP; only with the rest if `None`.
    pub health_listen: Option<ListenAddress>,
    /// The files that a reload reads; there are no reloads if `None`.
    pub source: Option<ConfigSource>,
    /// Whether reloads may be requested over HTTP.
    pub lifecycle: bool,
    /// Reports the daemon's state to the service manager.
    pub notifier: Notifier,
    /// Where accounts can be reset that allow it; nowhere if `None`.
    pub admin_listen: Option<ListenAddress>,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The HTTP client could not be set up.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The storage cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A signal cannot be caught.
    #[error("cannot catch SIGHUP: {0}")]
    Signal(#[from] std::io::Error),
    /// Reset tokens would cross a network in plain HTTP.
    #[error(
        "--web.admin-listen-address={0} can be reached from elsewhere, and reset tokens would be sent \
         there in plain HTTP; listen on 127.0.0.1, or set up TLS with --web.config.file"
    )]
    PlainAdmin(ListenAddress),
}
