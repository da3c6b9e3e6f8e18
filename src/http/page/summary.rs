//! The summary at the top: how many users owe replies, and how much of it is known.

use maud::{Markup, html};

use super::query::{PageQuery, PageSelection, by_red};
use crate::http::format::{Age, Count, Figure, Grouped, clock};
use crate::http::status::{AccountStatus, Completeness, RedOf, Status, UserStatus};

/// How many users with the highest counters are named in the summary.
const TOP: usize = 5;

/// Sums over users of several accounts.
#[derive(Debug, Default)]
pub(super) struct Summary<'a> {
    /// Sum of red, where any is known.
    red: Option<u64>,
    /// How many sums of all users, and of sales reps, are in `red`.
    kinds: (usize, usize),
    /// Figures that are missing from `red`, and figures in it that are in doubt.
    doubts: (usize, usize),
    /// Users with red above 0, those with the most first.
    owing: Vec<&'a UserStatus>,
    /// Accounts in the selection.
    accounts: usize,
    /// The earliest time since which a counter has been red, unix time.
    since: Option<f64>,
    users: usize,
    /// Users whose red is not known.
    missing: usize,
    /// Users whose figures are in doubt.
    in_doubt: usize,
    /// Accounts that cannot be read.
    failing: usize,
    /// Accounts without a finished sweep.
    waiting: usize,
}

impl<'a> Summary<'a> {
    /// The summary of the users that a search found, of one account, or of all accounts.
    pub(super) fn of(status: &'a Status, query: &PageQuery, selection: &PageSelection<'a>) -> Self {
        let mut summary = Self::default();
        if query.searches() {
            for part in selection.accounts.iter().chain(&selection.beyond) {
                summary.add(part.account, part.rows.iter().chain(&part.left_out).copied());
            }
            // A search sums up all users that it found, whatever their role.
            let red = summary.owing.iter().filter_map(|user| user.red);
            let known = summary.users > summary.missing;
            summary.red = known.then(|| red.fold(0, u64::saturating_add));
            summary.kinds = (1, 0);
            summary.doubts = (summary.missing, summary.in_doubt);
        } else {
            for account in status.accounts.iter().filter(|account| query.includes(account)) {
                summary.add(account, account.users.iter());
                summary.add_sum(account);
            }
        }
        summary.owing.sort_by_cached_key(|user| by_red(user));
        summary
    }

    fn add(&mut self, account: &AccountStatus, users: impl Iterator<Item = &'a UserStatus>) {
        for user in users {
            self.owing.extend(user.red.is_some_and(|red| red > 0).then_some(user));
            self.since = self.since.into_iter().chain(user.red_since).reduce(f64::min);
            self.users += 1;
            self.missing += usize::from(user.red.is_none());
            self.in_doubt += usize::from(user.in_doubt);
        }
        self.accounts += 1;
        self.failing += usize::from(account.trouble.is_some());
        self.waiting += usize::from(account.last_sweep.is_none());
    }

    fn add_sum(&mut self, account: &AccountStatus) {
        self.doubts.0 += account.red_users_missing;
        self.doubts.1 += account.red_users_in_doubt;
        let Some(red) = account.red else { return };
        self.red = Some(self.red.unwrap_or_default().saturating_add(red));
        match account.red_of {
            RedOf::Counters => self.kinds.0 += 1,
            RedOf::SalesReps => self.kinds.1 += 1,
        }
    }

    fn completeness(&self) -> Completeness {
        Completeness::new(self.doubts.0, self.doubts.1)
    }

    /// A short form for the title of the page.
    pub(super) fn title(&self) -> String {
        let red = match (self.red, self.completeness()) {
            (None, _) => "nothing known".to_owned(),
            (Some(red), Completeness::Complete) => format!("{} red", Grouped(red)),
            (Some(red), Completeness::AtLeast) => format!("≥ {} red", Grouped(red)),
            (Some(red), Completeness::InDoubt) => format!("{} red in doubt", Grouped(red)),
        };
        match self.failing {
            0 => red,
            failing => format!("{red}, {failing} failing"),
        }
    }

    pub(super) fn markup(&self, now: f64) -> Markup {
        html! {
            div.summary {
                p.asof { "as of " (clock(now, now, true)) noscript { " UTC" } }
                p.headline { (self.headline()) }
                // Of one account the table is enough.
                @if self.accounts > 1 && !self.owing.is_empty() { (self.top()) }
                ul {
                    @if let Some(red) = self.red { li { (self.sum(red)) } }
                    @if let Some(at) = self.since {
                        li {
                            "longest red since " (clock(at, now, false)) " · "
                            (Age::seconds(now - at))
                        }
                    }
                    @if self.failing > 0 {
                        li.reason { (Count(self.failing, "account")) " cannot be read" }
                    }
                    @for (count, what) in
                        [(self.missing, "without a figure"), (self.in_doubt, "in doubt")]
                    {
                        @if count > 0 {
                            li.reason {
                                (Grouped(count as u64)) " of " (Count(self.users, "user")) " " (what)
                            }
                        }
                    }
                }
            }
        }
    }

    /// How many users owe replies, in one sentence that claims no more than is known.
    fn headline(&self) -> Markup {
        let Self { missing, in_doubt, users, waiting, .. } = *self;
        let text = match (self.owing.len(), missing) {
            _ if users == 0 => "No users",
            (0, 0) if in_doubt == 0 => "No user owes a reply",
            (0, _) if missing < users => "No user is known to owe a reply",
            (0, _) if waiting > 0 => "The first figures are being read",
            (0, _) => "No figures are known",
            (1, _) => return html! { b { "1" } " user owes replies" },
            (owing, _) => return html! { b { (Grouped(owing as u64)) } " users owe replies" },
        };
        html! { (text) }
    }

    /// The users with the highest counters, over all accounts.
    fn top(&self) -> Markup {
        html! {
            ol aria-label="Most red" {
                @for user in self.owing.iter().take(TOP) {
                    li {
                        b { (Figure(user.red)) } " "
                        bdi { (user.name.as_ref().unwrap_or(&user.id)) }
                    }
                }
            }
        }
    }

    fn sum(&self, red: u64) -> String {
        let least = if self.completeness() == Completeness::AtLeast { "at least " } else { "" };
        let kind = match self.kinds {
            (_, 0) => ", sum of counters",
            (0, _) => " of sales reps",
            _ => ", of sales reps where roles are known",
        };
        format!("{least}{} red{kind}", Grouped(red))
    }
}
