//! What `/api/v1/status` and the status page show.
//!
//! [`document`] has the types that are serialized, [`collect`] fills them in from the views of the
//! snapshot, and [`messages`] has the sentences for failures and reasons.

mod collect;
mod document;
mod messages;

pub(super) use self::document::{
    AccountProblem, AccountStatus, ChannelStatus, Completeness, HistoryStatus, Reason, Status,
    UserStatus,
};

#[cfg(test)]
pub(super) mod tests;
