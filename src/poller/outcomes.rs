//! How the requests of a sweep ended, and what follows from that for the account as a whole.

use crate::metrics::{Outcome, SweepResult};
use crate::snapshot::FailingReason;

/// Numbers of the outcomes of a sweep, in the order of [`Outcome::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SweepOutcomes([usize; Outcome::ALL.len()]);

impl SweepOutcomes {
    pub(super) fn add(&mut self, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// Removes a failure whose request is sent again.
    pub(super) fn remove(&mut self, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many there are.
    pub(super) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// The result of a sweep with these outcomes, and why the account fails. The most frequent failure is
    /// the account's reason, and the first in [`Outcome::ALL`] among equals.
    pub(super) fn judge(&self) -> (SweepResult, Option<FailingReason>) {
        let counted = || Outcome::ALL.iter().copied().zip(self.0);
        let good = counted().find(|(outcome, _)| *outcome == Outcome::Ok).map_or(0, |(_, n)| n);
        let all = self.total();
        if good == all {
            // Also where the list of users is empty: there was nothing to read.
            return (SweepResult::Ok, None);
        }
        if good > 0 {
            return (SweepResult::Partial, None);
        }
        let mut most_frequent: Option<(FailingReason, usize)> = None;
        for (outcome, count) in counted() {
            if let Some(reason) = FailingReason::of(outcome)
                && count > most_frequent.map_or(0, |(_, most)| most)
            {
                most_frequent = Some((reason, count));
            }
        }
        (SweepResult::Failed, most_frequent.map(|(reason, _)| reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(ends: &[(Outcome, usize)]) -> (SweepResult, Option<FailingReason>) {
        let mut outcomes = SweepOutcomes::default();
        for (outcome, count) in ends {
            (0..*count).for_each(|_| outcomes.add(*outcome));
        }
        outcomes.judge()
    }

    #[test]
    fn one_good_reading_keeps_an_account_from_failing() {
        assert_eq!(judged(&[(Outcome::Ok, 3)]), (SweepResult::Ok, None));
        let partial = judged(&[(Outcome::Ok, 1), (Outcome::ServerError, 9)]);
        assert_eq!(partial, (SweepResult::Partial, None));
    }

    #[test]
    fn the_most_frequent_failure_is_the_accounts_reason() {
        let ends = [(Outcome::Unauthorized, 1), (Outcome::Timeout, 2), (Outcome::NotFound, 9)];
        assert_eq!(judged(&ends), (SweepResult::Failed, Some(FailingReason::Unreachable)));
    }

    #[test]
    fn unknown_users_are_no_failure_of_the_account() {
        assert_eq!(judged(&[(Outcome::NotFound, 2)]), (SweepResult::Failed, None));
    }
}
