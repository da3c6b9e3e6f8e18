//! Sums over the users of an account, for people; in Prometheus a query makes them.

use serde::Serialize;

use super::reasons::UntrustedReason;
use super::view::{AccountView, UserView};
use crate::channel::Role;
use crate::clock::Stamp;

/// Sums of the counters that are known at one moment. Grey is never added to red.
///
/// Red adds up over sales reps alone: a customer who has no responsible user counts for several, and a
/// setting turns all of a manager's counters red (docs/upstream.md, "Unanswered counter"). So where the
/// roles of all users are known and one is a sales rep, it is theirs. Otherwise it is a sum of counters,
/// not of customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Sum of red over those who count; `None` if no counter is known, because no sum is
    /// not a sum of zero.
    pub red: Option<u64>,
    /// Who counts to red.
    pub red_of: RedOf,
    /// Users who count to red.
    pub red_users: usize,
    /// Those of them whose counter is not known: unless it is 0, the sum of red is a lower bound.
    pub red_users_missing: usize,
    /// Those of them whose counter is known and may not count.
    pub red_users_in_doubt: usize,
    /// Sum of grey over all users, likewise.
    pub grey: Option<u64>,
    /// Users whose counter or its type is not known.
    pub users_missing: usize,
}

/// Which red counters a sum adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedOf {
    /// Those of sales representatives, where roles are known.
    SalesReps,
    /// Those of all users: a customer may be counted several times.
    #[default]
    Counters,
}

impl AccountView {
    /// The sums over the users with a live reading.
    pub fn totals(&self, now: Stamp) -> Totals {
        let stale_after = self.account.poll.stale_after;
        let is_rep = |user: &UserView| user.trust.role == Some(Role::SalesRep);
        let known = self.users().all(|user| user.trust.role.is_some());
        let reps = known && self.users().any(is_rep);
        let red_of = if reps { RedOf::SalesReps } else { RedOf::Counters };
        let mut totals = Totals { red_of, ..Totals::default() };
        for user in self.users() {
            let shown = user.shown(stale_after, now);
            totals.grey = sum(totals.grey, shown.grey);
            totals.users_missing += usize::from(shown.red.is_none());
            if is_rep(user) || !reps {
                totals.red = sum(totals.red, shown.red);
                totals.red_users += 1;
                totals.red_users_missing += usize::from(shown.red.is_none());
                totals.red_users_in_doubt += usize::from(user.in_doubt(now, self));
            }
        }
        totals
    }
}

impl UserView {
    /// Whether a figure is shown that may not count. A discovered user without a role is not in
    /// doubt: not every user of a CRM answers customers.
    pub fn in_doubt(&self, now: Stamp, account: &AccountView) -> bool {
        let stale_after = account.account.poll.stale_after;
        let matters = |reason| !(self.found && reason == UntrustedReason::NoRole);
        self.shown(stale_after, now).red.is_some() && self.untrusted(stale_after, now).any(matters)
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::fixture;
    use crate::channel::Trust;
    use crate::counter::{CounterType, Reading};
    use crate::snapshot::Facts;

    /// The totals of users with these roles, red counters and whether they are cut off.
    fn totals(users: &[(Option<Role>, Option<u64>, bool)]) -> Totals {
        let now = Stamp::now();
        let user = |(role, red, cut_off): &(Option<Role>, Option<u64>, bool)| {
            let user = UserView::new(Arc::clone(&fixture("acme", &["1"]).users[0]));
            let reading = |count| Reading {
                count,
                kind: CounterType::Red,
                server_time: None,
                last_message: None,
            };
            let last_good = red.map(|red| (reading(red), now));
            UserView {
                trust: Trust { role: *role, cut_off: *cut_off, not_known: false },
                last_good,
                ..user
            }
        };
        let users: Vec<UserView> = users.iter().map(user).collect();
        let account = Arc::new(fixture("acme", &[]));
        AccountView::new(account, Facts::default(), &users).totals(now)
    }

    #[test]
    fn the_sum_of_nothing_known_is_not_zero() {
        assert_eq!(sum(None, None), None);
        assert_eq!(sum(None, Some(0)), Some(0));
        assert_eq!(sum(Some(0), None), Some(0));
        assert_eq!(sum(Some(3), Some(4)), Some(7));
    }

    #[test]
    fn where_roles_are_known_only_sales_reps_count_to_red() {
        let rep = Some(Role::SalesRep);
        let users = [
            (rep, Some(3), false),
            (rep, None, false),
            (rep, Some(4), true),
            (Some(Role::Manager), Some(50), false),
            (Some(Role::QualityControl), None, false),
        ];
        let expected = Totals {
            red: Some(7),
            grey: Some(0),
            users_missing: 2,
            red_of: RedOf::SalesReps,
            red_users: 3,
            red_users_missing: 1,
            red_users_in_doubt: 1,
        };
        assert_eq!(totals(&users), expected);
    }

    #[test]
    fn without_sales_reps_every_counter_counts() {
        let sums = |role| {
            let totals = totals(&[(role, Some(3), false), (role, Some(4), false)]);
            (totals.red, totals.red_of, totals.red_users, totals.red_users_in_doubt)
        };
        assert_eq!(sums(None), (Some(7), RedOf::Counters, 2, 0));
        assert_eq!(sums(Some(Role::Manager)), (Some(7), RedOf::Counters, 2, 0));
        let half = totals(&[(Some(Role::SalesRep), Some(3), false), (None, Some(4), false)]);
        assert_eq!((half.red, half.red_of), (Some(7), RedOf::Counters));
        // The zero of a user without a role means nothing.
        assert_eq!(sums(Some(Role::None)), (Some(7), RedOf::Counters, 2, 2));
    }
}
