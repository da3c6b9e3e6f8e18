//! The query of the page: all accounts in short, one account in full, or the results of a search.

use std::cmp::Reverse;

use url::form_urlencoded;

use crate::http::status::{AccountStatus, Reason, Status, UserStatus};

/// Longest search text, in characters; what is longer is cut.
const TEXT_MAX: usize = 200;
/// Rows of users on a page that shows everything in short, shared by its accounts.
const ROWS_SHORT: usize = 600;
/// Rows of users that an account has in short at least, and at most.
const ROWS_ACCOUNT: (usize, usize) = (8, 60);
/// Rows of users on a page that shows one account in full.
const ROWS_FULL: usize = 5000;
/// Rows of users that a search shows.
const ROWS_FOUND: usize = 200;
/// Users without red and without a problem that are listed beside the others.
const REST_MAX: usize = 12;
/// Accounts shown with their users and charts.
const ACCOUNTS_MAX: usize = 40;
/// Up to this number, accounts stay in the order of the configuration; more are sorted by red.
const ACCOUNTS_UNSORTED: usize = 12;

/// The query of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::http) struct PageQuery {
    /// The search text as it was typed.
    pub(super) text: String,
    /// Its words in lower case; all of them have to be found.
    words: Vec<String>,
    /// The only account to show.
    pub(super) account: Option<String>,
}

/// The input of every part of the page.
pub(super) struct PageContext<'a> {
    pub(super) status: &'a Status,
    pub(super) query: &'a PageQuery,
    /// The path of the exposition.
    pub(super) metrics: &'a str,
    /// The largest red counter; its bar is the longest.
    pub(super) most: u64,
}

/// What a page shows.
#[derive(Default)]
pub(super) struct PageSelection<'a> {
    pub(super) accounts: Vec<AccountSelection<'a>>,
    /// The accounts that the query is about, shown or not.
    pub(super) all_accounts: Vec<&'a AccountStatus>,
    /// The users that the query is about.
    pub(super) all_users: Vec<&'a UserStatus>,
}

/// What a page shows of an account.
pub(super) struct AccountSelection<'a> {
    pub(super) account: &'a AccountStatus,
    /// Whether it is shown in full, with chart and channels.
    pub(super) full: bool,
    /// Users in the table.
    pub(super) rows: Vec<&'a UserStatus>,
    /// How many more the query is about.
    pub(super) left_out: usize,
}

impl PageQuery {
    /// Reads `q` and `account`; anything else in the query is ignored.
    pub(in crate::http) fn of(text: Option<&str>) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            match &*name {
                "q" => query.text = value.trim().chars().take(TEXT_MAX).collect(),
                "account" if !value.is_empty() => query.account = Some(value.into_owned()),
                _ => {}
            }
        }
        query.words = query.text.split_whitespace().map(str::to_lowercase).collect();
        query
    }

    /// Whether this is a search.
    pub(super) fn searches(&self) -> bool {
        !self.words.is_empty()
    }

    /// Selects the accounts and users to show.
    pub(super) fn select<'a>(&self, status: &'a Status) -> PageSelection<'a> {
        let included = |account: &&AccountStatus| {
            self.account.as_ref().is_none_or(|name| account.name == *name)
        };
        let mut accounts: Vec<_> = status.accounts.iter().filter(included).collect();
        // The sort is stable: equal accounts stay in the order of the configuration.
        let many = accounts.len() > ACCOUNTS_UNSORTED;
        accounts.sort_by_key(|account| {
            (account.trouble.is_none(), Reverse(account.totals.red.filter(|_| many)))
        });
        if self.searches() {
            return self.search(&accounts);
        }
        let all_accounts = accounts.clone();
        let all_users = accounts.iter().flat_map(|account| &account.users).collect();
        let (least, most) = ROWS_ACCOUNT;
        let short = (ROWS_SHORT / accounts.len().clamp(1, ACCOUNTS_MAX)).clamp(least, most);
        let part = |(place, account)| match self.account {
            Some(_) => AccountSelection::new(account, by_urgency(account), ROWS_FULL),
            None if place < ACCOUNTS_MAX => AccountSelection::short(account, short),
            None => AccountSelection::sums(account),
        };
        let accounts = accounts.into_iter().enumerate().map(part).collect();
        PageSelection { accounts, all_accounts, all_users }
    }

    fn search<'a>(&self, accounts: &[&'a AccountStatus]) -> PageSelection<'a> {
        let mut selection = PageSelection::default();
        for account in accounts.iter().copied() {
            let account_text = searchable([account.name.as_str()], account.labels.values());
            let mut rows = by_urgency(account);
            rows.retain(|user| self.finds(&account_text, user));
            if rows.is_empty() {
                continue;
            }
            let room = ROWS_FOUND.saturating_sub(selection.all_users.len());
            selection.all_accounts.push(account);
            selection.all_users.extend(&rows);
            if room > 0 {
                selection.accounts.push(AccountSelection::new(account, rows, room));
            }
        }
        selection
    }

    fn finds(&self, account_text: &str, user: &UserStatus) -> bool {
        let names = [user.id.as_str(), user.name.as_deref().unwrap_or_default()];
        let text = searchable(names, user.labels.values());
        self.words.iter().all(|word| text.contains(word) || account_text.contains(word))
    }
}

impl<'a> AccountSelection<'a> {
    /// The first of these users, up to `most`.
    fn new(account: &'a AccountStatus, mut rows: Vec<&'a UserStatus>, most: usize) -> Self {
        let left_out = rows.len().saturating_sub(most);
        rows.truncate(most);
        Self { account, full: true, rows, left_out }
    }

    /// Only its sums.
    fn sums(account: &'a AccountStatus) -> Self {
        Self { account, full: false, rows: Vec::new(), left_out: account.users.len() }
    }

    /// Users with red or with a problem, up to `most`; and the others if they are few.
    fn short(account: &'a AccountStatus, most: usize) -> Self {
        let rows = by_urgency(account);
        let urgent = rows.iter().take_while(|user| needs_attention(user, account)).count();
        let few = urgent <= most && rows.len() - urgent <= REST_MAX;
        let shown = if few { rows.len() } else { urgent.min(most) };
        Self::new(account, rows, shown)
    }
}

/// Users with red or a problem come first, by red; then the others.
fn by_urgency(account: &AccountStatus) -> Vec<&UserStatus> {
    let mut users: Vec<&UserStatus> = account.users.iter().collect();
    users.sort_by_cached_key(|user| (!needs_attention(user, account), by_red(user)));
    users
}

/// The sort key of users: by red, then by how long they have been red.
pub(super) fn by_red(user: &UserStatus) -> (Reverse<u64>, Option<u64>) {
    (Reverse(user.red.unwrap_or_default()), user.red_since.map(|since| since as u64))
}

/// Whether a user has red, or a problem that is not the account's.
fn needs_attention(user: &UserStatus, account: &AccountStatus) -> bool {
    // Discovered users of a CRM need not answer customers.
    let idle = |code: &str| user.found && code == "no_role";
    user.red.is_some_and(|red| red > 0)
        || own_reasons(user, account).any(|reason| !idle(reason.code))
}

/// The reasons of a user that do not follow from a problem of the whole account: if it cannot be read,
/// all figures become stale, and if no channel is active, no message reaches any user.
pub(super) fn own_reasons<'a>(
    user: &'a UserStatus,
    account: &AccountStatus,
) -> impl Iterator<Item = &'a Reason> {
    let failing = user.reasons.iter().any(|reason| reason.code == "account_failing");
    let cut_off = account.is_cut_off();
    user.reasons.iter().filter(move |reason| match reason.code {
        "account_failing" | "stale" => !failing,
        "no_active_channel" => !cut_off,
        _ => true,
    })
}

fn searchable<'a>(
    names: impl IntoIterator<Item = &'a str>,
    labels: impl Iterator<Item = &'a String>,
) -> String {
    let texts: Vec<&str> = names.into_iter().chain(labels.map(String::as_str)).collect();
    // A line end, so that no search word matches across two texts.
    texts.join("\n").to_lowercase()
}
