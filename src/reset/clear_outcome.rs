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
}

const COOLDOWN_HOLDS: &str = "The cooldown holds all the same";

impl ResetOutcome {
    /// The outcome for a response of upstream, or for none.
    pub(super) fn of(clearing: &ClearOutcome) -> Self {
        use ResetResult::{Cleared, Failed, Unknown};
        let (result, status, code, message) = match clearing {
            ClearOutcome::Cleared => {
                let message = "the counters of all chats of the account are cleared".to_owned();
                (Cleared, 200, "cleared", message)
            }
            ClearOutcome::OtherAccount { found } => {
                let message = format!(
                    "the answer of Wazzup24 is about another account, {found}, whose counters may be \
                     cleared: the token does not belong to the configured account. Resets of this account \
                     are locked until the exporter is restarted; find out which account the token belongs \
                     to first"
                );
                (Failed, 502, "account_mismatch", message)
            }
            ClearOutcome::NotCleared => {
                let message = format!(
                    "Wazzup24 reports that the counters were not cleared. {COOLDOWN_HOLDS}; check the \
                     figures, and contact Wazzup24 before trying again"
                );
                (Failed, 502, "not_cleared", message)
            }
            ClearOutcome::Refused(error) => {
                let message = format!(
                    "Wazzup24 refused and cleared nothing: {error}. {COOLDOWN_HOLDS}; make sure that the \
                     token may reset, then try again"
                );
                (Failed, 502, "upstream_refused", message)
            }
            ClearOutcome::NotSent(why) => {
                let holds = "because the intent is recorded";
                let message = format!("nothing was sent: {why}. {COOLDOWN_HOLDS}, {holds}");
                (Failed, 502, "not_sent", message)
            }
            ClearOutcome::Unknown(error) => {
                let message = format!(
                    "it is unknown whether the counters were cleared: {error}. {COOLDOWN_HOLDS}; the \
                     figures that were read afterwards show it, so check them before trying again"
                );
                (Unknown, 504, "outcome_unknown", message)
            }
        };
        Self { result, code, status, message, upstream_status: upstream_status(clearing) }
    }
}

fn upstream_status(clearing: &ClearOutcome) -> Option<u16> {
    match clearing {
        ClearOutcome::Refused(Error::Status { status, .. })
        | ClearOutcome::Unknown(Error::Status { status, .. }) => Some(*status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Outcome;

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
                ClearOutcome::NotSent(Error::NotSent("no room".to_owned(), Outcome::RateLimited)),
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
        }
    }
}
