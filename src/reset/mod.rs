//! The reset of an account's counters, the one request that changes something upstream.
//!
//! `DELETE /v2/chats/unanswered` clears the counters of every chat of an account, for good. The
//! [`ResetService`] receives requests from a [`ResetHook`], checks the guards in their order (`token`
//! first, then `guards`), has the account's [`poller`](crate::poller) read every user, records what is
//! about to be done (`journal`, `audit`, `cooldown`) and only then decides (`execute`). Each request runs
//! in a task of its own: its caller may disconnect, and a shutdown waits for what was sent.

mod account_resets;
mod audit;
mod clear_outcome;
mod cooldown;
mod execute;
mod guards;
mod hook;
mod journal;
mod service;
mod token;

pub use self::audit::{AUDIT_FILE, AuditKind, AuditLine, each_line};
pub use self::clear_outcome::result_codes;
pub use self::guards::BODY_MAX;
pub use self::hook::{Caller, Figures, ResetCredentials, ResetHook, ResetReply, ResetRequest};
pub use self::service::{InFlightResets, ResetService, completion_timeout};
