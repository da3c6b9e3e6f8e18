//! The HTTP side: listeners with their limits, routes, the status page.
//!
//! [`app`](crate::app) binds the listeners and runs [`serve`] on each until shutdown. A [`Site`] is
//! what requests are answered from: views of the snapshot and of nothing else, so the metrics and
//! the page cannot disagree. [`Access`] decides who gets an answer and how connections are
//! encrypted; a [`Service`] puts the two together for a listener, or is one for probes alone, or that of
//! the [`Admin`] listener. All of a site is below its [`Prefix`], and [`RunningConfig`] is what it shows
//! of the configuration.

mod access;
mod admin;
mod connection;
mod format;
mod http1;
mod http2;
mod login;
mod page;
mod prefix;
mod probes;
mod rate_limit;
mod response;
mod routes;
mod running_config;
mod server;
mod service;
mod status;
mod tls;
mod write_timeout;

pub use self::access::Access;
pub use self::admin::Admin;
pub use self::prefix::{InvalidPrefix, Prefix};
pub use self::routes::{SCRAPES_MAX, Site, VIEWS_MAX};
pub use self::running_config::RunningConfig;
pub use self::server::serve;
pub use self::service::Service;
