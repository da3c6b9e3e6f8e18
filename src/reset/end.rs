//! How a reset ended that was written down: what the caller, the audit log and the metrics are told.

use crate::api::ClearOutcome;
use crate::metrics::ResetResult;
use crate::transport::Error;

/// The end of a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) result: ResetResult,
    pub(super) code: &'static str,
    pub(super) status: u16,
    /// For people, with what to do.
    pub(super) message: String,
    /// The status that upstream answered with, if it was another one than 200.
    pub(super) upstream_status: Option<u16>,
    /// What exactly went wrong.
    pub(super) problem: Option<String>,
}

/// Every code of an end, with its HTTP status.
pub(super) const CODES: [(&str, u16); 7] = [
    ("cleared", 200),
    ("dry_run", 200),
    ("account_mismatch", 502),
    ("not_cleared", 502),
    ("upstream_refused", 502),
    ("not_sent", 502),
    ("outcome_unknown", 504),
];

const KEPT: &str = "The cooldown holds all the same";

impl End {
    /// What upstream's answer, or the lack of one, means.
    pub(super) fn of(clearing: &ClearOutcome) -> Self {
        match clearing {
            ClearOutcome::Cleared => Self::new(
                (ResetResult::Cleared, "cleared", 200),
                "the counters of all chats of the account are cleared".to_owned(),
            ),
            ClearOutcome::OtherAccount { found } => Self {
                problem: Some(format!("the answer names the account {found}")),
                ..Self::new(
                    (ResetResult::Failed, "account_mismatch", 502),
                    format!(
                        "Wazzup24 says that it has cleared another account, {found}: the token is not \
                         of the account that is configured. No reset of this account is done until the \
                         exporter is restarted; find out whose token it is first"
                    ),
                )
            },
            ClearOutcome::NotCleared => Self::new(
                (ResetResult::Failed, "not_cleared", 502),
                format!(
                    "Wazzup24 answers that the counters were not cleared. {KEPT}; look at the figures, \
                     and ask Wazzup24 before trying again"
                ),
            ),
            ClearOutcome::Refused(error) => Self {
                upstream_status: status_of(error),
                problem: Some(error.to_string()),
                ..Self::new(
                    (ResetResult::Failed, "upstream_refused", 502),
                    format!(
                        "Wazzup24 refused and cleared nothing: {error}. {KEPT}; see that the token may \
                         reset, then ask again"
                    ),
                )
            },
            ClearOutcome::NotSent(why) => Self::not_sent(&why.to_string()),
            ClearOutcome::Unknown(error) => {
                Self { upstream_status: status_of(error), ..Self::unknown(&error.to_string()) }
            }
        }
    }

    /// The poller was gone when the word came.
    pub(super) fn not_taken() -> Self {
        Self::not_sent("the account's poller has ended")
    }

    /// The poller had the word, and nobody tells whether it has sent anything.
    pub(super) fn without_a_word() -> Self {
        Self::unknown("the account's poller has ended in the middle")
    }

    fn not_sent(why: &str) -> Self {
        Self {
            problem: Some(why.to_owned()),
            ..Self::new(
                (ResetResult::Failed, "not_sent", 502),
                format!("nothing was sent: {why}. {KEPT}, because the intent is on record"),
            )
        }
    }

    fn unknown(why: &str) -> Self {
        Self {
            problem: Some(why.to_owned()),
            ..Self::new(
                (ResetResult::Unknown, "outcome_unknown", 504),
                format!(
                    "nobody knows whether the counters were cleared: {why}. {KEPT}; the figures that \
                     were read afterwards tell, so look at them before asking again"
                ),
            )
        }
    }

    fn new((result, code, status): (ResetResult, &'static str, u16), message: String) -> Self {
        Self { result, code, status, message, upstream_status: None, problem: None }
    }
}

fn status_of(error: &Error) -> Option<u16> {
    match error {
        Error::Status { status, .. } => Some(*status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::NotSentReason;

    fn status(status: u16) -> Error {
        Error::Status { status, detail: "why".to_owned(), retry_after: None }
    }

    #[test]
    fn every_end_has_its_result_code_and_status() {
        use ResetResult::{Cleared, Failed, Unknown};
        let other = ClearOutcome::OtherAccount { found: "99999999".to_owned() };
        for (clearing, result, code, answered, upstream) in [
            (ClearOutcome::Cleared, Cleared, "cleared", 200, None),
            (other, Failed, "account_mismatch", 502, None),
            (ClearOutcome::NotCleared, Failed, "not_cleared", 502, None),
            (ClearOutcome::Refused(status(403)), Failed, "upstream_refused", 502, Some(403)),
            (
                ClearOutcome::NotSent(NotSentReason::NoRoom(Duration::from_secs(1))),
                Failed,
                "not_sent",
                502,
                None,
            ),
            (ClearOutcome::Unknown(status(500)), Unknown, "outcome_unknown", 504, Some(500)),
            (
                ClearOutcome::Unknown(Error::Timeout(Duration::from_secs(1))),
                Unknown,
                "outcome_unknown",
                504,
                None,
            ),
        ] {
            let end = End::of(&clearing);
            let found = (end.result, end.code, end.status, end.upstream_status);
            assert_eq!(found, (result, code, answered, upstream), "{clearing:?}");
            assert!(CODES.contains(&(end.code, end.status)));
        }
        assert_eq!(End::not_taken().result, Failed);
        assert_eq!(End::without_a_word().result, Unknown);
    }
}
