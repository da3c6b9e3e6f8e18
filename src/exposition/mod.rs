//! From views to the text that Prometheus scrapes.
//!
//! A poller calls [`render_chunk`] and [`render_account`] when it publishes, so the lines of each family
//! are rendered and compressed before a scrape. A scrape ([`document`]) only collects them, family by
//! family over all accounts, and renders again the blocks in which a reading has turned stale since:
//! staleness is decided at scrape time, and a dead poller cannot keep a series alive. Metrics of the
//! process follow, written by the same `text` writer.

mod deflate;
mod document;
mod families;
mod negotiate;
mod render;
#[cfg(test)]
mod tests;
mod text;

pub use self::document::document;
pub use self::negotiate::{accepts_gzip, negotiate};
pub use self::render::{render_account, render_chunk};
pub use self::text::Format;
