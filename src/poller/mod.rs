//! One actor per account: reads every user once per interval, and publishes.
//!
//! A [`Poller`] is the only writer of its account's view. It sends its requests from one task (no task
//! per user), publishes at the end of a sweep and at most once per [`PUBLISH_PERIOD`] in between, and
//! waits for the next sweep. An account that cannot be read at all is probed with single requests until
//! one succeeds. The supervisor runs the poller and restarts it if it panics or gets stuck; its state is
//! in the slot. Where the account's settings change, a successor takes over and keeps the schedule
//! ([`StartMode`]). Where the account may be reset, a reset gets the poller itself between two sweeps
//! ([`PollerHandle::hold`]): nothing else may send or publish meanwhile.
//!
//! `actor` holds the poller, `run` its loop. `sweep` and `full_read` are the two ways to read counters, both
//! with `counter_requests`; `list_requests` and `apply_lists` are everything else that is read. `state` is what
//! is known between two publications, of the `users` and their `outcomes`.

mod actor;
mod apply_lists;
mod counter_requests;
mod full_read;
mod held;
mod identity;
mod list_requests;
mod outcomes;
mod persist;
mod registry;
mod report;
mod run;
mod slots;
mod state;
mod sweep;
mod sweep_progress;
mod users;

pub use self::actor::{PUBLISH_PERIOD, Poller};
pub use self::full_read::Readings;
pub use self::held::{BeforeReset, FullReadError, HeldPoller};
#[cfg(fuzzing)]
pub use self::persist::uses_saved_trends;
pub use self::registry::{PollerHandle, Registry};
pub use self::slots::{Predecessor, StartMode, changed_slot, mark_down, new_slot};
