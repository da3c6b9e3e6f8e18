//! What the exporter counts about itself.
//!
//! Two kinds, because they live and end differently. [`Tally`] holds an account's counters: atomics
//! that end with the account and that [`exposition`](crate::exposition) renders with its
//! publications. [`ProcessMetrics`] holds what concerns the whole process, in a registry of the
//! `prometheus` crate that is gathered at every scrape. The code that does the work counts it.

mod os;
mod process;
mod resets;
mod tally;

pub use process::{BuildInfo, ProcessMetrics, ShardInfo, dropped_log_lines};
pub use resets::{
    AdminCode, LastReset, RefusalCode, ResetMarks, ResetResult, ResetTally, ResetValues,
};
pub use tally::{Endpoint, Outcome, SweepResult, Tally, TallyValues};
