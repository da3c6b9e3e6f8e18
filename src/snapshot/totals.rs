//! Sums over the users of an account, for people; in Prometheus a query makes them.

use super::{AccountView, UserView};
use crate::channel::Role;
use crate::clock::Stamp;

/// Sums of the counters that are known at one moment. Grey is never added to red.
///
/// Sums of counters are none of customers: one who has no responsible user counts for several, and a
/// setting turns all of a manager's counters red (docs/upstream.md, "Unanswered counter"). Where the
/// roles of all users are known and one of them is a sales rep, red is summed over sales reps only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Sum of red; `None` if of nobody is known how much it is, because no sum is not a sum of zero.
    pub red: Option<u64>,
    /// Whether red is summed over sales reps only.
    pub of_sales_reps: bool,
    /// Sum of grey, likewise.
    pub grey: Option<u64>,
    /// Users who are missing from the sums, because their counter or its type is not known. Unless
    /// it is 0 the sums are lower bounds.
    pub missing: usize,
}

impl AccountView {
    /// The sums over the users with a live reading.
    pub fn totals(&self, now: Stamp) -> Totals {
        let stale_after = self.account.poll.stale_after;
        let known = self.users().all(|user| user.standing.role.is_some());
        let is_rep = |user: &UserView| user.standing.role == Some(Role::SalesRep);
        let of_sales_reps = known && self.users().any(is_rep);
        let mut totals = Totals { of_sales_reps, ..Totals::default() };
        for user in self.users() {
            let shown = user.shown(stale_after, now);
            totals.red = sum(totals.red, shown.red.filter(|_| !of_sales_reps || is_rep(user)));
            totals.grey = sum(totals.grey, shown.grey);
            totals.missing += usize::from(shown.red.is_none());
        }
        totals
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
    use super::*;
    use crate::account::{Labels, User, UserId, fixture};
    use crate::channel::Standing;
    use crate::counter::{CounterType, Reading};
    use crate::snapshot::{Chunk, Facts};
    use std::sync::Arc;

    /// The sum of red over users with these roles, each with one message more than the one before.
    fn red(roles: &[Option<Role>]) -> (Option<u64>, bool) {
        let account = Arc::new(fixture("acme", &[]));
        let now = Stamp::now();
        let users = (1..).zip(roles).map(|(count, role)| {
            let id = UserId::parse(&count.to_string()).unwrap();
            let user = User { id, name: None, labels: Labels::new() };
            let kind = CounterType::Red;
            let reading = Reading { count, kind, server_time: None, last_message: None };
            UserView {
                last_good: Some((reading, now)),
                standing: Standing { role: *role, cut_off: false },
                ..UserView::new(Arc::new(user))
            }
        });
        let chunk = Chunk { users: users.collect(), blocks: Vec::new() };
        let (facts, chunks) = (Facts::default(), vec![Arc::new(chunk)]);
        let totals = AccountView { account, facts, chunks, blocks: Vec::new() }.totals(now);
        (totals.red, totals.of_sales_reps)
    }

    #[test]
    fn red_is_of_sales_reps_where_all_roles_are_known_and_there_is_one() {
        let (rep, manager) = (Some(Role::SalesRep), Some(Role::Manager));
        assert_eq!(red(&[rep, manager, rep]), (Some(4), true));
        assert_eq!(red(&[rep, manager, None]), (Some(6), false));
        assert_eq!(red(&[manager, manager]), (Some(3), false), "a sum of nobody is not zero");
    }

    #[test]
    fn the_sum_of_nothing_known_is_not_zero() {
        assert_eq!(sum(None, None), None);
        assert_eq!(sum(None, Some(0)), Some(0));
        assert_eq!(sum(Some(0), None), Some(0));
        assert_eq!(sum(Some(3), Some(4)), Some(7));
    }
}
