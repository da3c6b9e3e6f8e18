//! Sums over the users of an account, for people; in Prometheus a query makes them.

use super::AccountView;
use crate::clock::Stamp;

/// Sums of the counters that are known at one moment. Grey is never added to red.
///
/// They are sums of counters, not of customers: one who has no responsible user counts for several
/// (docs/upstream.md, "Unanswered counter").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Sum of red; `None` if of nobody is known how much it is, because no sum is not a sum of zero.
    pub red: Option<u64>,
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
        let mut totals = Totals::default();
        for user in self.users() {
            let shown = user.shown(stale_after, now);
            totals.red = sum(totals.red, shown.red);
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
    use super::sum;

    #[test]
    fn the_sum_of_nothing_known_is_not_zero() {
        assert_eq!(sum(None, None), None);
        assert_eq!(sum(None, Some(0)), Some(0));
        assert_eq!(sum(Some(0), None), Some(0));
        assert_eq!(sum(Some(3), Some(4)), Some(7));
    }
}
