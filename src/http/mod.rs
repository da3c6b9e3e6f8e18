//! The HTTP side: listeners with their limits, routes, the status page.
//!
//! [`app`](crate::app) binds the listeners and runs [`serve`] on each until shutdown. A [`Site`] is
//! what requests are answered from: views of the snapshot and of nothing else, so the metrics and
//! the page cannot disagree. [`Access`] decides who gets an answer and how connections are
//! encrypted; a [`Front`] puts the two together for a listener, or is one for probes alone, or that of
//! the [`Admin`] listener. All of a site is below its [`Prefix`], and [`RunningConfig`] is what it shows
//! of the configuration.

mod access;
mod admin;
mod answer;
mod bounded;
mod bucket;
mod connection;
mod front;
mod login;
mod page;
mod prefix;
mod probes;
mod routes;
mod running;
mod status;
mod streams;
mod text;
mod tls;

pub use self::access::Access;
pub use self::admin::Admin;
pub use self::connection::serve;
pub use self::front::Front;
pub use self::prefix::{InvalidPrefix, Prefix};
pub use self::routes::{SCRAPES_MAX, Site, VIEWS_MAX};
pub use self::running::RunningConfig;
