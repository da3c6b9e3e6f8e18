//! What is logged of an account that cannot be read, and of its lists: one line when an outage begins,
//! one when it ends, and few in between, however often requests fail.
//!
//! [`Outage`] and [`ListFailure`] are pure: the poller records results with them, and they decide what
//! is to be logged.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::account::AccountName;
use crate::clock::Stamp;
use crate::snapshot::{Facts, FailingReason};
use crate::text;

/// Consecutive failures of a list, while no sweep fails for the same reason, until it is logged.
const FAILURES_BEFORE_LOG: u32 = 3;

/// The time in which an account cannot be read.
#[derive(Debug, Default)]
pub(super) struct Outage {
    pub(super) since: Option<Stamp>,
    /// The reasons that were logged, each once: they may alternate for hours.
    pub(super) logged: Vec<FailingReason>,
    /// Whether the cause is logged elsewhere: by the login of a partner, once for all its accounts.
    logged_elsewhere: bool,
}

/// A change that is to be logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutageEvent {
    /// The account cannot be read.
    Began,
    /// It has not been readable for this long, and fails for another reason now.
    ReasonChanged(Duration),
    /// It cannot be read, and the cause is logged elsewhere.
    BeganLoggedElsewhere,
    /// It can be read again.
    Ended {
        /// How long it could not be read.
        down_for: Duration,
        /// Why; empty if the cause was logged elsewhere.
        reasons: Vec<FailingReason>,
    },
}

impl Outage {
    /// Continues the outage that another poller has published.
    pub(super) fn resume(facts: &Facts) -> Self {
        let (since, logged) = (facts.failing_since, facts.failing_logged.clone());
        Self { since, logged_elsewhere: since.is_some() && logged.is_empty(), logged }
    }

    /// Records why the account fails now, if it does, and whether that is logged `elsewhere`. An outage
    /// ends only at the `end` of a sweep: in the middle of one the next response may differ.
    pub(super) fn note(
        &mut self,
        failing: Option<FailingReason>,
        elsewhere: bool,
        end: bool,
        now: Stamp,
    ) -> Option<OutageEvent> {
        match (failing, self.since) {
            (None, Some(since)) if end => {
                let reasons = std::mem::take(self).logged;
                Some(OutageEvent::Ended { down_for: since.age(now), reasons })
            }
            (None, _) => None,
            (Some(_), _) if elsewhere => {
                self.since.get_or_insert(now);
                (!std::mem::replace(&mut self.logged_elsewhere, true))
                    .then_some(OutageEvent::BeganLoggedElsewhere)
            }
            (Some(reason), _) if self.logged.contains(&reason) => None,
            (Some(reason), since) => {
                self.since.get_or_insert(now);
                let first = self.logged.is_empty();
                self.logged.push(reason);
                let age = since.filter(|_| !first).map(|since| since.age(now));
                Some(age.map_or(OutageEvent::Began, OutageEvent::ReasonChanged))
            }
        }
    }
}

/// Failures of one list, and whether they were logged.
#[derive(Debug, Default)]
pub(super) struct ListFailure {
    /// The last problem, not logged yet: it may concern the account as a whole.
    unlogged: Option<Arc<str>>,
    /// Consecutive failures.
    times: u32,
    pub(super) logged: bool,
}

impl ListFailure {
    /// Records a failure. Returns the problem if it is to be logged now.
    pub(super) fn failed(&mut self, problem: Arc<str>) -> Option<Arc<str>> {
        self.times = self.times.saturating_add(1);
        if !self.logged {
            self.unlogged = Some(problem);
        }
        if self.times >= FAILURES_BEFORE_LOG { self.take_unlogged() } else { None }
    }

    /// Returns a problem that was not logged yet: the account as a whole can be read.
    pub(super) fn take_unlogged(&mut self) -> Option<Arc<str>> {
        let problem = self.unlogged.take();
        self.logged |= problem.is_some();
        problem
    }

    /// Drops the problem: the account as a whole cannot be read, which is logged already.
    pub(super) fn attribute_to_account(&mut self) {
        self.unlogged = None;
        self.times = 0;
    }
}

impl OutageEvent {
    /// Logs it: one line where it begins, changes or ends; at debug level what is logged elsewhere.
    pub(super) fn log(
        self,
        account: &AccountName,
        failing: Option<FailingReason>,
        problem: Option<&str>,
    ) {
        let reason = failing.map(FailingReason::label);
        match self {
            Self::Began => warn!(%account, reason, problem, "the account cannot be read"),
            Self::ReasonChanged(age) => {
                let down_for = text::elapsed(age);
                warn!(%account, reason, problem, down_for, "the account still cannot be read, for another reason");
            }
            Self::BeganLoggedElsewhere => {
                debug!(%account, reason, problem, "the account cannot be read");
            }
            Self::Ended { down_for, reasons } => {
                let down_for = text::elapsed(down_for);
                let reason =
                    reasons.iter().map(|reason| reason.label()).collect::<Vec<_>>().join(",");
                if reasons.is_empty() {
                    debug!(%account, down_for, "the account can be read again");
                } else {
                    info!(%account, reason, down_for, "the account can be read again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::FailingReason::{RateLimited, ServerError, Unreachable};
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp { uptime: Duration::from_secs(seconds), unix: Duration::ZERO }
    }

    #[test]
    fn an_outage_of_alternating_reasons_is_a_line_for_each_and_one_for_its_end() {
        let mut outage = Outage::default();
        let mut logged = Vec::new();
        for second in 0..50 {
            let reason = if second % 2 == 0 { Unreachable } else { ServerError };
            logged.extend(outage.note(Some(reason), false, true, at(second)));
        }
        logged.extend(outage.note(None, false, true, at(330)));
        logged.extend(outage.note(None, false, true, at(331)));
        let back = OutageEvent::Ended {
            down_for: Duration::from_secs(330),
            reasons: vec![Unreachable, ServerError],
        };
        assert_eq!(
            logged,
            [OutageEvent::Began, OutageEvent::ReasonChanged(Duration::from_secs(1)), back]
        );
    }

    #[test]
    fn an_account_is_back_at_the_end_of_a_sweep_only() {
        let mut outage = Outage::default();
        assert_eq!(outage.note(Some(RateLimited), false, false, at(1)), Some(OutageEvent::Began));
        assert_eq!(outage.note(None, false, false, at(2)), None);
        assert_eq!(outage.note(Some(RateLimited), false, true, at(3)), None);
        let back = outage.note(None, false, true, at(4));
        let down_for = Duration::from_secs(3);
        assert_eq!(back, Some(OutageEvent::Ended { down_for, reasons: vec![RateLimited] }));
        assert_eq!(outage.note(Some(RateLimited), false, true, at(5)), Some(OutageEvent::Began));
    }

    #[test]
    fn a_successor_logs_no_more_than_its_predecessor_would_have() {
        let facts = Facts {
            failing_since: Some(at(1)),
            failing_logged: vec![ServerError],
            ..Facts::default()
        };
        let mut outage = Outage::resume(&facts);
        assert_eq!(outage.note(Some(ServerError), false, true, at(2)), None);
        let back =
            OutageEvent::Ended { down_for: Duration::from_secs(4), reasons: vec![ServerError] };
        assert_eq!(outage.note(None, false, true, at(5)), Some(back));
        let logged_elsewhere = Facts { failing_logged: Vec::new(), ..facts };
        assert_eq!(
            Outage::resume(&logged_elsewhere).note(Some(ServerError), true, true, at(2)),
            None
        );
        let mut fresh = Outage::resume(&Facts::default());
        assert_eq!(fresh.note(None, false, true, at(2)), None);
    }

    #[test]
    fn what_a_partner_login_has_logged_is_not_repeated_but_what_follows_is_logged() {
        let mut outage = Outage::default();
        assert_eq!(
            outage.note(Some(Unreachable), true, true, at(1)),
            Some(OutageEvent::BeganLoggedElsewhere)
        );
        assert_eq!(outage.note(Some(Unreachable), true, true, at(2)), None);
        let back = OutageEvent::Ended { down_for: Duration::from_secs(2), reasons: Vec::new() };
        assert_eq!(outage.note(None, false, true, at(3)), Some(back));
        assert_eq!(
            outage.note(Some(Unreachable), true, true, at(4)),
            Some(OutageEvent::BeganLoggedElsewhere)
        );
        assert_eq!(outage.note(Some(ServerError), false, true, at(9)), Some(OutageEvent::Began));
        let back =
            OutageEvent::Ended { down_for: Duration::from_secs(6), reasons: vec![ServerError] };
        assert_eq!(outage.note(None, false, true, at(10)), Some(back));
    }

    proptest! {
        #[test]
        fn each_reason_is_logged_once_until_the_outage_ends(
            sweeps in proptest::collection::vec(
                (proptest::option::of(0..FailingReason::ALL.len()), any::<bool>(), any::<bool>()),
                0..60,
            ),
        ) {
            let (mut outage, mut logged) = (Outage::default(), Vec::new());
            for (second, (reason, elsewhere, end)) in (0..).zip(sweeps) {
                let failing = reason.map(|index| FailingReason::ALL[index]);
                match (outage.note(failing, elsewhere, end, at(second)), failing) {
                    (Some(OutageEvent::Began | OutageEvent::ReasonChanged(_)), Some(reason)) => {
                        prop_assert!(!elsewhere && !logged.contains(&reason));
                        logged.push(reason);
                    }
                    (Some(OutageEvent::Ended { reasons, .. }), None) => {
                        prop_assert!(end);
                        prop_assert_eq!(reasons, std::mem::take(&mut logged));
                    }
                    (Some(event), _) => {
                        prop_assert_eq!(event, OutageEvent::BeganLoggedElsewhere);
                        prop_assert!(elsewhere);
                    }
                    (None, Some(reason)) => prop_assert!(elsewhere || logged.contains(&reason)),
                    (None, None) => {}
                }
            }
        }

        #[test]
        fn a_list_failure_is_logged_once(steps in proptest::collection::vec(0..3, 0..60)) {
            let mut failure = ListFailure::default();
            let mut logged = 0;
            for step in steps {
                let line = match step {
                    0 => failure.failed("upstream answered 500".into()),
                    1 => failure.take_unlogged(),
                    _ => {
                        failure.attribute_to_account();
                        None
                    }
                };
                logged += usize::from(line.is_some());
            }
            prop_assert_eq!(logged, usize::from(failure.logged));
        }
    }

    #[test]
    fn a_list_failure_is_logged_once_and_not_while_the_account_fails() {
        let mut failure = ListFailure::default();
        let problem: Arc<str> = "upstream answered 500".into();
        assert_eq!(failure.failed(Arc::clone(&problem)), None);
        failure.attribute_to_account();
        assert_eq!(failure.take_unlogged(), None);
        assert_eq!(failure.failed(Arc::clone(&problem)), None);
        assert_eq!(failure.take_unlogged(), Some(Arc::clone(&problem)));
        assert_eq!(failure.failed(Arc::clone(&problem)), None);
        assert_eq!(failure.take_unlogged(), None);
        assert!(failure.logged);
        let mut failure = ListFailure::default();
        failure.failed(Arc::clone(&problem));
        failure.attribute_to_account();
        assert!(!failure.logged);
        let mut failure = ListFailure::default();
        let logged = (0..9).filter(|_| failure.failed(Arc::clone(&problem)).is_some());
        assert_eq!(logged.count(), 1, "where sweeps are rare");
    }
}
