//! How a reset ended whose intent was recorded: for the caller, the audit log and the metrics.

use crate::api::ClearOutcome;
use crate::metrics::ResetResult;
use crate::transport::Error;

/// The outcome of a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResetOutcome {
    pub(super) result: ResetResult,
    pub(super) code: &'static str,
    pub(super) status: u16,
    /// What happened and what to do, as text.
    pub(super) message: String,
    /// The status that upstream answered with, if it was another one than 200.
    pub(super) upstream_status: Option<u16>,
    /// What exactly went wrong.
    pub(super) problem: Option<String>,
}

/// Every code of an outcome, with its HTTP status.
const CODES: [(&str, u16); 7] = [
    ("cleared", 200),
    ("dry_run", 200),
    ("account_mismatch", 502),
    ("not_cleared", 502),
    ("upstream_refused", 502),
    ("not_sent", 502),
    ("outcome_unknown", 504),
];

/// The codes of all replies that are not refusals, with their HTTP status; for documentation.
pub fn result_codes() -> impl Iterator<Item = (&'static str, u16)> {
    CODES.into_iter()
}

const COOLDOWN_HOLDS: &str = "The cooldown holds all the same";

impl ResetOutcome {
    /// The outcome for a response of upstream, or for none.
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
                        "Wazzup24 reports that it has cleared another account, {found}: the token does not \
                         belong to the configured account. Resets of this account are locked until the \
                         exporter is restarted; find out which account the token belongs to first"
                    ),
                )
            },
            ClearOutcome::NotCleared => Self::new(
                (ResetResult::Failed, "not_cleared", 502),
                format!(
                    "Wazzup24 reports that the counters were not cleared. {COOLDOWN_HOLDS}; check the figures, \
                     and contact Wazzup24 before trying again"
                ),
            ),
            ClearOutcome::Refused(error) => Self {
                upstream_status: status_of(error),
                problem: Some(error.to_string()),
                ..Self::new(
                    (ResetResult::Failed, "upstream_refused", 502),
                    format!(
                        "Wazzup24 refused and cleared nothing: {error}. {COOLDOWN_HOLDS}; make sure that the token may \
                         reset, then try again"
                    ),
                )
            },
            ClearOutcome::NotSent(why) => Self::not_sent(&why.to_string()),
            ClearOutcome::Unknown(error) => {
                Self { upstream_status: status_of(error), ..Self::unknown(&error.to_string()) }
            }
        }
    }

    fn not_sent(why: &str) -> Self {
        Self {
            problem: Some(why.to_owned()),
            ..Self::new(
                (ResetResult::Failed, "not_sent", 502),
                format!(
                    "nothing was sent: {why}. {COOLDOWN_HOLDS}, because the intent is recorded"
                ),
            )
        }
    }

    fn unknown(why: &str) -> Self {
        Self {
            problem: Some(why.to_owned()),
            ..Self::new(
                (ResetResult::Unknown, "outcome_unknown", 504),
                format!(
                    "it is unknown whether the counters were cleared: {why}. {COOLDOWN_HOLDS}; the figures that \
                     were read afterwards show it, so check them before trying again"
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
        Error::Status { status, code: None, detail: "why".to_owned(), retry_after: None }
    }

    #[test]
    fn every_outcome_has_its_result_code_and_status() {
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
            let outcome = ResetOutcome::of(&clearing);
            let found = (outcome.result, outcome.code, outcome.status, outcome.upstream_status);
            assert_eq!(found, (result, code, answered, upstream), "{clearing:?}");
            assert!(CODES.contains(&(outcome.code, outcome.status)));
        }
    }
}
