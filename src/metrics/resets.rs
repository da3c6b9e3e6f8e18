//! What is counted of resets, and the closed lists of their label values.

use std::time::Duration;

use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantArray};

use super::labels::{closed_lists, count};

/// How a reset ended: the label `result` of `wazzup_resets_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray, Serialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ResetResult {
    /// Upstream says that the counters are cleared.
    Cleared,
    /// Everything was done but the reset itself, as the caller requested.
    DryRun,
    /// Nothing was cleared by upstream's response, or another account's counters were.
    Failed,
    /// The request may have been sent, and no response says whether it was carried out.
    Unknown,
}

/// Why a request with a valid token was refused: the label `code` of `wazzup_reset_refusals_total`,
/// in the order of the guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RefusalCode {
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is longer than any good one.
    BodyTooLarge,
    /// The body is not the documented JSON.
    InvalidBody,
    /// The confirmation is not the account's number.
    ConfirmationMismatch,
    /// Another reset of the account is in progress.
    ResetInProgress,
    /// An earlier reset was answered with another account's number.
    Locked,
    /// The last reset was too short a time ago.
    Cooldown,
    /// Not every user could be read.
    IncompleteReading,
    /// More is unanswered than may be cleared without naming the number.
    TooManyUnanswered,
    /// The exporter is stopping, or the account's settings have changed.
    Interrupted,
    /// The audit log or the cooldown could not be written.
    StorageFailed,
}

/// Why a request to the admin listener was refused before it reached an account of this process: the label
/// `code` of `wazzup_exporter_admin_refusals_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum AdminCode {
    /// There is nothing at the path.
    NotFound,
    /// Only POST does something.
    MethodNotAllowed,
    /// A browser sent it.
    CrossSite,
    /// The web configuration requires a login.
    LoginRequired,
    /// The web configuration's limit is reached.
    RateLimited,
    /// Too many requests at once.
    Busy,
    /// No reset token of this account.
    Unauthorized,
    /// Another shard polls the account.
    OtherShard,
}

/// The figures before and after a reset, as the status shows them, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LastReset {
    /// How it ended.
    pub result: ResetResult,
    /// When it was decided, in unix time.
    #[serde(rename = "time", serialize_with = "seconds")]
    pub at: Duration,
    /// Unanswered messages of every kind before.
    pub before: u64,
    /// The same after it, where that was read.
    pub after: Option<u64>,
}

/// What is known of the account's resets beside their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResetMarks {
    /// When counters were last cleared, in unix time.
    pub last_success: Option<Duration>,
    /// Whether it is not known how the last reset ended.
    pub unresolved: bool,
    /// The last reset that was no dry run.
    pub last: Option<LastReset>,
}

/// What is counted and kept of an account's resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResetValues {
    /// In the order of [`ResetResult::ALL`].
    pub results: [u64; ResetResult::ALL.len()],
    /// In the order of [`RefusalCode::ALL`].
    pub refusals: [u64; RefusalCode::ALL.len()],
    /// The rest.
    pub marks: ResetMarks,
}

closed_lists!(ResetResult, RefusalCode, AdminCode);

impl RefusalCode {
    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::UnsupportedMediaType => 415,
            Self::BodyTooLarge => 413,
            Self::InvalidBody => 400,
            Self::ConfirmationMismatch => 422,
            Self::ResetInProgress
            | Self::Locked
            | Self::IncompleteReading
            | Self::TooManyUnanswered => 409,
            Self::Cooldown => 429,
            Self::Interrupted => 503,
            Self::StorageFailed => 500,
        }
    }
}

impl AdminCode {
    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound | Self::OtherShard => 404,
            Self::MethodNotAllowed => 405,
            Self::CrossSite => 403,
            Self::LoginRequired | Self::Unauthorized => 401,
            Self::RateLimited => 429,
            Self::Busy => 503,
        }
    }
}

impl ResetValues {
    /// Counts one reset.
    pub fn ended(&mut self, result: ResetResult) {
        count(&mut self.results, result as usize);
    }

    /// Counts one refusal.
    pub fn refused(&mut self, code: RefusalCode) {
        count(&mut self.refusals, code as usize);
    }
}

fn seconds<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_and_code_has_its_own_count() {
        let mut tally = ResetValues::default();
        for (times, result) in ResetResult::ALL.iter().enumerate() {
            (0..times).for_each(|_| tally.ended(*result));
        }
        for (times, code) in RefusalCode::ALL.iter().enumerate() {
            (0..times).for_each(|_| tally.refused(*code));
        }
        let values = tally;
        assert_eq!(values.results, [0, 1, 2, 3]);
        assert_eq!(values.refusals, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
}
