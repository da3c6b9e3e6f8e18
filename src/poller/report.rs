//! What the log is told of an account that cannot be read, and of its lists: one line when it begins,
//! one when it is over, and little in between, however often requests fail.
//!
//! An [`Outage`] and a [`ListFailure`] are pure: the poller tells them what is the case and logs what
//! they make of it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::Poller;
use crate::clock::{Stamp, span};
use crate::snapshot::{Facts, FailingReason};

/// How often in a row a list cannot be read, while no sweep says why, until that is logged.
const PATIENCE: u32 = 3;

/// The time in which an account cannot be read.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Stamp>,
    /// The reasons that were logged, each once: they may alternate for hours.
    told: Vec<FailingReason>,
    /// Whether it is known in the log by somebody else's line: a partner's login fails.
    logged_elsewhere: bool,
}

/// What is new about an account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutageEvent {
    /// It cannot be read.
    Began,
    /// It cannot be read for as long already, and now for another reason.
    ReasonChanged(Duration),
    /// It cannot be read, as somebody else has logged.
    BeganLoggedElsewhere,
    /// It can be read again.
    Ended {
        /// How long it could not.
        down_for: Duration,
        /// Why; none if only somebody else has logged it.
        reasons: Vec<FailingReason>,
    },
}

impl Outage {
    /// Goes on where another poller has left the account.
    pub(super) fn going_on(facts: &Facts) -> Self {
        let (since, told) = (facts.failing_since, facts.failing_told.clone());
        Self { since, logged_elsewhere: since.is_some() && told.is_empty(), told }
    }

    /// Takes down why the account fails at this time, if it does, and whether that is logged
    /// `elsewhere`. It is back only at the `end` of a sweep: in mid-sweep the next answer may differ.
    pub(super) fn note(
        &mut self,
        failing: Option<FailingReason>,
        elsewhere: bool,
        end: bool,
        now: Stamp,
    ) -> Option<OutageEvent> {
        match (failing, self.since) {
            (None, Some(since)) if end => {
                let reasons = std::mem::take(self).told;
                Some(OutageEvent::Ended { down_for: since.age(now), reasons })
            }
            (None, _) => None,
            (Some(_), _) if elsewhere => {
                self.since.get_or_insert(now);
                (!std::mem::replace(&mut self.logged_elsewhere, true))
                    .then_some(OutageEvent::BeganLoggedElsewhere)
            }
            (Some(reason), _) if self.told.contains(&reason) => None,
            (Some(reason), since) => {
                self.since.get_or_insert(now);
                let first = self.told.is_empty();
                self.told.push(reason);
                let age = since.filter(|_| !first).map(|since| since.age(now));
                Some(age.map_or(OutageEvent::Began, OutageEvent::ReasonChanged))
            }
        }
    }
}

/// What the log is told of a list.
#[derive(Debug, Default)]
pub(super) struct ListFailure {
    /// What is wrong and was not logged: it may be the account as a whole.
    waiting: Option<Arc<str>>,
    /// How often in a row it could not be read.
    times: u32,
    told: bool,
}

impl ListFailure {
    /// The list could not be read. Returns what is to be logged now.
    pub(super) fn failed(&mut self, problem: Arc<str>) -> Option<Arc<str>> {
        self.times = self.times.saturating_add(1);
        if !self.told {
            self.waiting = Some(problem);
        }
        if self.times >= PATIENCE { self.tell() } else { None }
    }

    /// The account as a whole can be read. Returns what is to be logged now.
    pub(super) fn tell(&mut self) -> Option<Arc<str>> {
        let problem = self.waiting.take();
        self.told |= problem.is_some();
        problem
    }

    /// The account cannot be read, and that is why the list cannot.
    pub(super) fn excuse(&mut self) {
        self.waiting = None;
        self.times = 0;
    }

    /// Whether it was logged, so that the list can be read again is to be, too.
    pub(super) fn was_told(self) -> bool {
        self.told
    }
}

impl Poller {
    /// Logs what is new about the account, at the `end` of a sweep or in the middle of one.
    pub(super) fn report(&mut self, end: bool, now: Stamp) {
        let failing = self.state.facts.failing;
        let news = self.outage.note(failing, self.logged_elsewhere, end, now);
        self.state.facts.failing_since = self.outage.since;
        self.state.facts.failing_told.clone_from(&self.outage.told);
        let account = &self.state.account.name;
        let (reason, problem) = (failing.map(FailingReason::label), self.state.last_problem());
        match news {
            Some(OutageEvent::Began) => {
                warn!(%account, reason, problem, "the account cannot be read")
            }
            Some(OutageEvent::ReasonChanged(age)) => {
                let down_for = span(age);
                warn!(%account, reason, problem, down_for, "the account still cannot be read, for another reason");
            }
            Some(OutageEvent::BeganLoggedElsewhere) => {
                debug!(%account, reason, problem, "the account cannot be read")
            }
            Some(OutageEvent::Ended { down_for, reasons }) => {
                let down_for = span(down_for);
                let reason =
                    reasons.iter().map(|reason| reason.label()).collect::<Vec<_>>().join(",");
                if reasons.is_empty() {
                    debug!(%account, down_for, "the account can be read again");
                } else {
                    info!(%account, reason, down_for, "the account can be read again");
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailingReason::{RateLimited, ServerError, Unreachable};
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp { uptime: Duration::from_secs(seconds), unix: Duration::ZERO }
    }

    #[test]
    fn an_outage_of_alternating_reasons_is_a_line_for_each_and_one_for_its_end() {
        let mut outage = Outage::default();
        let mut told = Vec::new();
        for second in 0..50 {
            let reason = if second % 2 == 0 { Unreachable } else { ServerError };
            told.extend(outage.note(Some(reason), false, true, at(second)));
        }
        told.extend(outage.note(None, false, true, at(330)));
        told.extend(outage.note(None, false, true, at(331)));
        let back = OutageEvent::Ended {
            down_for: Duration::from_secs(330),
            reasons: vec![Unreachable, ServerError],
        };
        assert_eq!(
            told,
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
    fn a_poller_that_follows_tells_no_more_than_the_one_before_would_have() {
        let facts = Facts {
            failing_since: Some(at(1)),
            failing_told: vec![ServerError],
            ..Facts::default()
        };
        let mut outage = Outage::going_on(&facts);
        assert_eq!(outage.note(Some(ServerError), false, true, at(2)), None);
        let back =
            OutageEvent::Ended { down_for: Duration::from_secs(4), reasons: vec![ServerError] };
        assert_eq!(outage.note(None, false, true, at(5)), Some(back));
        let logged_elsewhere = Facts { failing_told: Vec::new(), ..facts };
        assert_eq!(
            Outage::going_on(&logged_elsewhere).note(Some(ServerError), true, true, at(2)),
            None
        );
        let mut fresh = Outage::going_on(&Facts::default());
        assert_eq!(fresh.note(None, false, true, at(2)), None);
    }

    #[test]
    fn what_a_partner_has_said_is_not_repeated_but_what_follows_is_told() {
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

    #[test]
    fn a_list_is_complained_about_once_and_not_while_the_account_fails() {
        let mut failure = ListFailure::default();
        let problem: Arc<str> = "upstream answered 500".into();
        assert_eq!(failure.failed(Arc::clone(&problem)), None);
        failure.excuse();
        assert_eq!(failure.tell(), None);
        assert_eq!(failure.failed(Arc::clone(&problem)), None);
        assert_eq!(failure.tell(), Some(Arc::clone(&problem)));
        assert_eq!(failure.failed(Arc::clone(&problem)), None);
        assert_eq!(failure.tell(), None);
        assert!(failure.was_told());
        let mut failure = ListFailure::default();
        failure.failed(Arc::clone(&problem));
        failure.excuse();
        assert!(!failure.was_told());
        let mut failure = ListFailure::default();
        let told = (0..9).filter(|_| failure.failed(Arc::clone(&problem)).is_some());
        assert_eq!(told.count(), 1, "where sweeps are rare");
    }
}
