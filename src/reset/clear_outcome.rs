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

const fn http_status(result: ResetResult) -> u16 {
    match result {
        ResetResult::Cleared | ResetResult::DryRun => 200,
        ResetResult::Failed => 502,
        ResetResult::Unknown => 504,
    }
}

impl ResetOutcome {
    /// The outcome for a response of upstream, or for none.
    pub(super) fn of(clearing: &ClearOutcome) -> Self {
        use ResetResult::{Cleared, Failed, Unknown};
        let (result, code, problem) = match clearing {
            ClearOutcome::Cleared => (Cleared, "cleared", None),
            ClearOutcome::OtherAccount { found } => {
                (Failed, "account_mismatch", Some(format!("the answer names the account {found}")))
            }
            ClearOutcome::NotCleared => (Failed, "not_cleared", None),
            ClearOutcome::Refused(error) => (Failed, "upstream_refused", Some(error.to_string())),
            ClearOutcome::NotSent(why) => (Failed, "not_sent", Some(why.to_string())),
            ClearOutcome::Unknown(error) => (Unknown, "outcome_unknown", Some(error.to_string())),
        };
        let upstream_status = match clearing {
            ClearOutcome::Refused(Error::Status { status, .. })
            | ClearOutcome::Unknown(Error::Status { status, .. }) => Some(*status),
            _ => None,
        };
        let (status, message) = (http_status(result), message(clearing));
        Self { result, code, status, message, upstream_status, problem }
    }
}

/// What happened and what to do.
fn message(clearing: &ClearOutcome) -> String {
    const COOLDOWN_HOLDS: &str = "The cooldown holds all the same";
    match clearing {
        ClearOutcome::Cleared => "the counters of all chats of the account are cleared".to_owned(),
        ClearOutcome::OtherAccount { found } => format!(
            "the answer of Wazzup24 is about another account, {found}, whose counters may be cleared: the token \
             does not belong to the configured account. Resets of this account are locked until the exporter is restarted; find \
             out which account the token belongs to first"
        ),
        ClearOutcome::NotCleared => format!(
            "Wazzup24 reports that the counters were not cleared. {COOLDOWN_HOLDS}; check the figures, and \
             contact Wazzup24 before trying again"
        ),
        ClearOutcome::Refused(error) => format!(
            "Wazzup24 refused and cleared nothing: {error}. {COOLDOWN_HOLDS}; make sure that the token may \
             reset, then try again"
        ),
        ClearOutcome::NotSent(why) => {
            format!("nothing was sent: {why}. {COOLDOWN_HOLDS}, because the intent is recorded")
        }
        ClearOutcome::Unknown(error) => format!(
            "it is unknown whether the counters were cleared: {error}. {COOLDOWN_HOLDS}; the figures that \
             were read afterwards show it, so check them before trying again"
        ),
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
