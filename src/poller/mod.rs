//! One actor per account: reads every user once per interval, and publishes.
//!
//! A [`Poller`] is the only writer of its account's view. It sends its requests from one task (no task
//! per user), publishes at the end of a sweep and at most once per [`PUBLISH_PERIOD`] in between, and
//! waits for the next sweep. An account that cannot be read at all is probed with single requests until
//! one succeeds. The supervisor runs the poller and restarts it if it panics or gets stuck; its state is
//! in the slot. Where the account's settings change, a successor takes over and keeps the schedule
//! ([`StartMode`]). Where the account may be reset, the poller executes that between sweeps
//! ([`Registry`]): nothing else may send or publish meanwhile.
//!
//! `actor` holds the poller, `run` its loop, `sweep` and `full_read` the two ways to read counters, `lists`
//! and `apply_lists` everything else that is read, `state` what is known between two publications.

mod actor;
mod apply_lists;
mod full_read;
mod handover;
mod identity;
mod list_requests;
mod persist;
mod readings;
mod registry;
mod report;
mod reset;
mod run;
mod slots;
mod state;
mod sweep;

pub use self::actor::{PUBLISH_PERIOD, Poller};
pub use self::handover::{Predecessor, StartMode};
pub use self::readings::{FullReadError, Readings};
pub use self::registry::{PollerHandle, PollerUnavailable, Registry, ResetProgress};
pub use self::slots::{changed_slot, mark_down, new_slot};
