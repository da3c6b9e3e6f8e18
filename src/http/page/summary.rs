//! The summary at the top: how many users owe replies, and how much of it is known.

use maud::{Markup, html};

use super::query::{PageQuery, PageSelection, by_red};
use crate::http::format::{age_of, clock, figure, grouped, number_of};
use crate::http::status::{AccountStatus, Completeness, UserStatus};
use crate::snapshot::RedOf;

/// How many users with the highest counters are named in the summary.
const TOP: usize = 5;

/// Sums over the users that a search found, of one account, or of all accounts.
pub(super) struct Summary<'a> {
    accounts: &'a [&'a AccountStatus],
    users: &'a [&'a UserStatus],
    /// Users with red above 0, those with the most first.
    owing: Vec<&'a UserStatus>,
    /// Whether a search found the users: then red is theirs, whatever their role, not that of the accounts.
    found: bool,
}

impl<'a> Summary<'a> {
    pub(super) fn of(query: &PageQuery, selection: &'a PageSelection<'_>) -> Self {
        let (accounts, users) = (&selection.all_accounts, &selection.all_users);
        let owing = users.iter().copied().filter(|user| user.red.is_some_and(|red| red > 0));
        let mut owing: Vec<_> = owing.collect();
        owing.sort_by_cached_key(|user| by_red(user));
        Self { accounts, users, owing, found: query.searches() }
    }

    /// The sum of red, where any is known.
    fn red(&self) -> Option<u64> {
        let users = self.users.iter().filter_map(|user| user.red);
        let accounts = self.accounts.iter().filter_map(|account| account.totals.red);
        let sum = u64::saturating_add;
        if self.found { users.reduce(sum) } else { accounts.reduce(sum) }
    }

    fn completeness(&self) -> Completeness {
        if self.found {
            return Completeness::new(self.missing(), self.in_doubt());
        }
        let accounts = self.accounts.iter();
        let missing = accounts.clone().map(|account| account.totals.red_users_missing).sum();
        Completeness::new(missing, accounts.map(|account| account.totals.red_users_in_doubt).sum())
    }

    /// How many users have no known red.
    fn missing(&self) -> usize {
        self.users.iter().filter(|user| user.red.is_none()).count()
    }

    fn in_doubt(&self) -> usize {
        self.users.iter().filter(|user| user.in_doubt).count()
    }

    /// How many accounts cannot be read.
    fn failing(&self) -> usize {
        self.accounts.iter().filter(|account| account.trouble.is_some()).count()
    }

    /// A short form for the title of the page.
    pub(super) fn title(&self) -> String {
        let red = match (self.red(), self.completeness()) {
            (None, _) => "nothing known".to_owned(),
            (Some(red), Completeness::Complete) => format!("{} red", grouped(red)),
            (Some(red), Completeness::AtLeast) => format!("≥ {} red", grouped(red)),
            (Some(red), Completeness::InDoubt) => format!("{} red in doubt", grouped(red)),
        };
        match self.failing() {
            0 => red,
            failing => format!("{red}, {failing} failing"),
        }
    }

    pub(super) fn markup(&self, now: f64) -> Markup {
        let since = self.users.iter().filter_map(|user| user.red_since).reduce(f64::min);
        let (failing, users) = (self.failing(), number_of(self.users.len(), "user"));
        html! {
            div.summary {
                p.asof { "as of " (clock(now, now, true)) noscript { " UTC" } }
                p.headline { (self.headline()) }
                // Of one account the table is enough.
                @if self.accounts.len() > 1 && !self.owing.is_empty() { (self.top()) }
                ul {
                    @if let Some(red) = self.red() { li { (self.sum(red)) } }
                    @if let Some(at) = since {
                        li {
                            "longest red since " (clock(at, now, false)) " · " (age_of(now - at))
                        }
                    }
                    @if failing > 0 {
                        li.reason { (number_of(failing, "account")) " cannot be read" }
                    }
                    @for (count, what) in
                        [(self.missing(), "without a figure"), (self.in_doubt(), "in doubt")]
                    {
                        @if count > 0 {
                            li.reason { (grouped(count as u64)) " of " (users) " " (what) }
                        }
                    }
                }
            }
        }
    }

    /// How many users owe replies, in one sentence that claims no more than is known.
    fn headline(&self) -> Markup {
        let waiting = self.accounts.iter().any(|account| account.last_sweep.is_none());
        let text = match (self.owing.len(), self.missing()) {
            _ if self.users.is_empty() => "No users",
            (0, 0) if self.in_doubt() == 0 => "No user owes a reply",
            (0, missing) if missing < self.users.len() => "No user is known to owe a reply",
            (0, _) if waiting => "The first figures are being read",
            (0, _) => "No figures are known",
            (1, _) => return html! { b { "1" } " user owes replies" },
            (owing, _) => return html! { b { (grouped(owing as u64)) } " users owe replies" },
        };
        html! { (text) }
    }

    /// The users with the highest counters, over all accounts.
    fn top(&self) -> Markup {
        html! {
            ol aria-label="Most red" {
                @for user in self.owing.iter().take(TOP) {
                    li {
                        b { (figure(user.red)) } " "
                        bdi { (user.name.as_ref().unwrap_or(&user.id)) }
                    }
                }
            }
        }
    }

    fn sum(&self, red: u64) -> String {
        let least = if self.completeness() == Completeness::AtLeast { "at least " } else { "" };
        let sums = self.accounts.iter().filter(|account| account.totals.red.is_some());
        let of_reps =
            sums.clone().filter(|account| account.totals.red_of == RedOf::SalesReps).count();
        let kind = match of_reps {
            _ if self.found => ", sum of counters",
            0 => ", sum of counters",
            all if all == sums.count() => " of sales reps",
            _ => ", of sales reps where roles are known",
        };
        format!("{least}{} red{kind}", grouped(red))
    }
}
