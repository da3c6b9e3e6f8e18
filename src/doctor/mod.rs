//! Diagnoses why counters may be missing, frozen or meaningless.
//!
//! [`examine`] checks one account from the outside in: whether its host can be reached, there is a token,
//! the token is accepted, channels are active, users exist and have roles, and the limit suffices. Every
//! problem comes with a remedy. [`app`](crate::app) passes the client that a poller would use, and
//! `wazzup-exporter doctor` prints the [`Diagnosis`].

mod account;
mod examination;
mod report;
mod users;

pub use self::examination::{examine, examine_user};
pub use self::report::{Check, Diagnosis, Finding, UserReport, Verdict};
