//! The current state of all accounts: immutable views, and the slots that hold them.
//!
//! Each account has one [`Slot`]. Its poller, as the [`Writer`], replaces the [`AccountView`] in it; a
//! scrape or the status page loads the view once and sees one publication, never half of one. The
//! [`Directory`] of slots is swapped as a whole. Users are kept in [`Chunk`]s, so that a publication copies
//! only those that changed, and an exposition renders only these again. Beside the view a slot keeps a
//! short [`History`] for the status page.

mod history;
mod lists;
mod reasons;
mod slot;
mod totals;
mod view;

pub use self::history::{History, HistorySamples, POINTS, Point};
pub use self::lists::{ListStatus, SkippedUsers};
pub use self::reasons::{FailingReason, UntrustedReason};
pub use self::slot::{Directory, Slot, Writer};
pub use self::totals::{RedOf, Totals};
pub use self::view::{AccountView, Attempt, CHUNK_USERS, Chunk, Facts, Sweep, UserView, chunks};
