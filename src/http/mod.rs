//! The HTTP side: listeners with their limits, routes, the status page.
//!
//! [`app`](crate::app) binds the listeners and runs [`serve`] on each until shutdown. A [`Site`] is
//! what requests are answered from: views of the snapshot and of nothing else, so the metrics and
//! the page cannot disagree.

mod answer;
mod connection;
mod page;
mod routes;
mod status;
mod text;

pub use self::connection::serve;
pub use self::routes::{SCRAPES_MAX, Site, VIEWS_MAX};
