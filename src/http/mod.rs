//! The HTTP side: listeners with their limits, routes, the status page.
//!
//! [`app`](crate::app) binds the listeners and runs [`serve`] on each until shutdown. A [`Site`] has the
//! routes and builds every response from the views of the snapshot alone, so the metrics and the page
//! cannot disagree. [`Access`] authenticates requests and holds the TLS settings. A [`Service`] combines
//! the two for one listener; there is one for the site, one for probes alone and one for the [`Admin`]
//! listener. A site is served below its [`Prefix`].

mod access;
mod admin;
mod connection;
mod documents;
mod format;
mod handlers;
mod login;
mod open_connections;
mod page;
mod prefix;
mod probes;
mod response;
mod routes;
mod server;
mod service;
mod status;
mod tls;
mod turns;

pub use self::access::Access;
pub use self::admin::Admin;
pub use self::handlers::{HANDLERS, is_site_path};
pub use self::prefix::{InvalidPrefix, Prefix};
pub use self::routes::Site;
pub use self::server::{connections_max, serve};
pub use self::service::Service;
