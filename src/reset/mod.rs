//! The reset of an account's counters, the one request that changes something upstream.
//!
//! `DELETE /v2/chats/unanswered` clears the counters of every chat of an account, for good. The
//! [`ResetService`] admits a request by its `token` and executes it (`execute`): it checks the other `guards` in
//! their order, has the account's [`poller`](crate::poller) handed over and every user read, records what
//! is about to be done (`journal`, `audit`, `cooldown`) and only then sends the request. Each reset runs in a
//! task of its own: its caller may disconnect, and a shutdown waits for what was sent.

mod audit;
mod clear_outcome;
mod cooldown;
mod elsewhere;
mod execute;
mod guards;
mod journal;
mod request;
mod service;
mod token;

pub use self::audit::{AUDIT_FILE, AuditKind, AuditLine, each_line};
pub use self::elsewhere::Elsewhere;
pub use self::guards::BODY_MAX;
#[cfg(fuzzing)]
pub use self::guards::body_refusal;
#[cfg(fuzzing)]
pub use self::journal::uses_last_reset;
pub use self::request::{Figures, ReplyBody, ResetReply, ResetRequest};
pub use self::service::{AdmittedReset, NotAdmitted, ResetService, completion_timeout};
