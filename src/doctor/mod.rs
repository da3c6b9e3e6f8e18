//! Asks the API why counters may be missing, frozen or meaningless, and says it in words.
//!
//! [`examine`] looks at one account from the outside in: can its host be reached, is there a token, is
//! it taken, do channels work, do the users exist and have roles, has the limit room. What is wrong
//! comes with a remedy. [`app`](crate::app) gives it the same client that a poller would use, and
//! `wazzup-exporter doctor` prints the [`Diagnosis`].

mod account;
mod examination;
mod remedies;
mod report;
mod users;

pub use self::examination::{examine, examine_user};
pub use self::report::{Check, Diagnosis, Finding, UserReport, Verdict};
