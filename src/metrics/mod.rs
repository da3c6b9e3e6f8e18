//! What the exporter counts about itself.
//!
//! Two kinds, because they live and end differently. [`Tally`] holds an account's counters, which
//! end with the account and which [`exposition`](crate::exposition) renders with its
//! publications. [`ProcessMetrics`] holds what concerns the whole process, in a registry of the
//! `prometheus` crate that is gathered at every scrape. The code that does the work counts it.

mod labels;
mod os;
mod process;
mod registration;
mod resets;
mod tally;

pub(crate) use labels::closed_lists;
pub use process::{BuildInfo, ProcessMetrics, ShardInfo, dropped_log_lines};
pub use resets::{AdminCode, LastReset, RefusalCode, ResetMarks, ResetResult, ResetValues};
pub use tally::{Endpoint, Outcome, SweepResult, Tally, TallyValues};
