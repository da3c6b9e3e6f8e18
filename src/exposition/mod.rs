//! From views to the text that Prometheus scrapes.
//!
//! A scrape asks [`Documents`] for an answer. A document consists of blocks: the lines of one family and of
//! about a thousand users, or of some accounts, rendered and compressed when a scrape first meets what they
//! show, and kept until that changes or turns stale. So staleness is decided at scrape time, and a dead poller
//! cannot keep a series alive. Metrics of the process follow, written by the same `text` writer. Commands,
//! which need one exposition only, call [`text`].

mod blocks;
mod deflate;
mod document;
mod documents;
mod families;
mod negotiate;
mod recent_answers;
mod runs;
#[cfg(test)]
mod tests;
mod text;
mod wanted;

pub use self::document::{Answer, text};
pub use self::documents::Documents;
pub use self::negotiate::{accepts_gzip, negotiate};
pub use self::text::Format;
#[cfg(fuzzing)]
pub use self::text::label;
pub use self::wanted::{NoAnswer, Selection};
