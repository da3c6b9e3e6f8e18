//! The parts above and below the accounts: the summary, further accounts, facts about the exporter.

use std::fmt::{self, Write as _};

use super::context::{AccountLink, PageContext};
use super::query::{AccountSelection, PageQuery, Selection, by_red};
use crate::http::format::{Age, Clock, Count, Escaped, Figure, Grouped, Period};
use crate::http::status::{AccountStatus, Completeness, RedOf, Status, UserStatus};

/// How many users with the highest counters are named in the summary.
const TOP: usize = 5;
/// How many broken account files are named.
const BROKEN_MAX: usize = 20;

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
    pub(super) fn of(status: &'a Status, query: &PageQuery, selection: &Selection<'a>) -> Self {
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

    pub(super) fn write(&self, html: &mut String, now: f64) -> fmt::Result {
        let as_of = Clock { at: now, now, seconds: true };
        write!(
            html,
            "<div class=\"summary\"><p class=\"asof\">as of {as_of}<noscript> UTC</noscript></p>\
             <p class=\"headline\">{}</p>",
            Headline(self)
        )?;
        if self.accounts > 1 {
            write_top(html, &self.owing)?;
        }
        html.push_str("<ul>");
        if let Some(red) = self.red {
            let least = if self.completeness() == Completeness::AtLeast { "at least " } else { "" };
            let kind = match self.kinds {
                (_, 0) => ", sum of counters",
                (0, _) => " of sales reps",
                _ => ", of sales reps where roles are known",
            };
            write!(html, "<li>{least}{} red{kind}</li>", Grouped(red))?;
        }
        if let Some(at) = self.since {
            let since = Clock { at, now, seconds: false };
            write!(html, "<li>longest red since {since} · {}</li>", Age::seconds(now - at))?;
        }
        self.write_doubts(html)?;
        html.push_str("</ul></div>");
        Ok(())
    }

    fn write_doubts(&self, html: &mut String) -> fmt::Result {
        if self.failing > 0 {
            let accounts = Count(self.failing, "account");
            write!(html, "<li class=\"reason\">{accounts} cannot be read</li>")?;
        }
        let users = Count(self.users, "user");
        for (count, what) in [(self.missing, "without a figure"), (self.in_doubt, "in doubt")] {
            if count > 0 {
                let count = Grouped(count as u64);
                write!(html, "<li class=\"reason\">{count} of {users} {what}</li>")?;
            }
        }
        Ok(())
    }
}

/// How many users owe replies, in one sentence that claims no more than is known.
struct Headline<'a>(&'a Summary<'a>);

impl fmt::Display for Headline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { missing, in_doubt, users, waiting, .. } = *self.0;
        match (self.0.owing.len(), missing) {
            _ if users == 0 => f.write_str("No users"),
            (0, 0) if in_doubt == 0 => f.write_str("No user owes a reply"),
            (0, _) if missing < users => f.write_str("No user is known to owe a reply"),
            (0, _) if waiting > 0 => f.write_str("The first figures are being read"),
            (0, _) => f.write_str("No figures are known"),
            (1, _) => f.write_str("<b>1</b> user owes replies"),
            (owing, _) => write!(f, "<b>{}</b> users owe replies", Grouped(owing as u64)),
        }
    }
}

/// The users with the highest counters, over all accounts.
fn write_top(html: &mut String, owing: &[&UserStatus]) -> fmt::Result {
    if owing.is_empty() {
        return Ok(());
    }
    html.push_str("<ol aria-label=\"Most red\">");
    for user in owing.iter().take(TOP) {
        let name = Escaped(user.name.as_ref().unwrap_or(&user.id));
        write!(html, "<li><b>{}</b> <bdi>{name}</bdi></li>", Figure(user.red))?;
    }
    html.push_str("</ol>");
    Ok(())
}

/// The account files that cannot be used: their accounts may be missing here.
pub(super) fn write_broken_files(html: &mut String, status: &Status) -> fmt::Result {
    let broken = &status.broken_files;
    if broken.is_empty() {
        return Ok(());
    }
    let count = Count(broken.len(), "account file");
    write!(html, "<section class=\"broken\"><h2>{count} broken</h2><ul>")?;
    for file in broken.iter().take(BROKEN_MAX) {
        let accounts = match file.accounts.len() {
            0 => "no account comes from it".to_owned(),
            kept => format!("{} as before", Count(kept, "account")),
        };
        let (name, reason) = (Escaped(&file.file), Escaped(&file.reason));
        write!(html, "<li class=\"reason\"><bdi>{name}</bdi>: {accounts}. {reason}</li>")?;
    }
    html.push_str("</ul></section>");
    Ok(())
}

/// Accounts of which only the sums are shown.
pub(super) fn write_others(html: &mut String, others: &[&AccountStatus]) -> fmt::Result {
    if others.is_empty() {
        return Ok(());
    }
    write!(
        html,
        "<section class=\"others\"><h2>{}</h2><table><thead><tr><th scope=\"col\">Account</th>\
         <th scope=\"col\" class=\"number\">Red</th><th scope=\"col\" class=\"number\">Grey</th>\
         <th scope=\"col\" class=\"number\">Users</th><th scope=\"col\" class=\"number\">No figure</th>\
         </tr></thead><tbody>",
        Count(others.len(), "more account")
    )?;
    for account in others {
        let link = AccountLink(&account.name);
        let name = Escaped(&account.name);
        write!(
            html,
            "<tr data-key=\"{name}\"><th scope=\"row\"><a href=\"{link}\"><bdi>{name}</bdi></a>",
        )?;
        if let Some(trouble) = &account.trouble {
            write!(html, "<p class=\"reason\">{}</p>", Escaped(&trouble.text))?;
        }
        write!(
            html,
            "</th><td class=\"number red\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            Figure(account.red),
            Figure(account.grey),
            Grouped(account.users.len() as u64),
            Grouped(account.users_missing as u64),
        )?;
    }
    html.push_str("</tbody></table></section>");
    Ok(())
}

/// The legend, and facts about the exporter.
pub(super) fn write_exporter(
    html: &mut String,
    selection: &Selection<'_>,
    view: &PageContext<'_>,
) -> fmt::Result {
    let status = view.status;
    html.push_str(
        "<section class=\"exporter\"><h2>About this page</h2><p><b>Red</b>: messages without a reply of \
         customers the user is responsible for. <b>Grey</b>: the user only looks on. Sums are of \
         sales reps where roles are known; elsewhere they add up counters, not customers: one without a \
         responsible user counts for several. A dash means not known, never zero. In a \
         chart, a shaded gap means the same, and a dotted line that the sum lacks users or holds figures \
         that may not count.</p>",
    );
    write_sweeps(html, &selection.accounts)?;
    write_shard(html, status)?;
    let started = Clock { at: status.started, now: status.time, seconds: false };
    write!(
        html,
        "<p>wazzup-exporter {}, revision {} · running since {started}<noscript> UTC</noscript> ({}) · {} · \
         {} · configuration hash {}</p>",
        Escaped(status.version),
        Escaped(status.revision),
        Age::seconds(status.uptime_seconds),
        Count(status.accounts.len(), "account"),
        Count(users(status), "user"),
        status.config_hash,
    )?;
    write!(
        html,
        "<nav aria-label=\"Documents\"><a href=\"{}\">Metrics</a> <a href=\"api/v1/status\">Status as JSON</a> \
         <a href=\"config\">Configuration</a> <a href=\"-/healthy\">Health</a> <a href=\"-/ready\">Readiness</a></nav></section>",
        Escaped(view.metrics.trim_start_matches('/'))
    )
}

/// Which accounts are looked for here in vain.
fn write_shard(html: &mut String, status: &Status) -> fmt::Result {
    let Some(shard) = &status.shard else { return Ok(()) };
    write!(
        html,
        "<p>This is shard {} of {}, counted from 0: {} of the configuration belong to others.</p>",
        shard.ordinal,
        shard.total,
        Count(shard.accounts_elsewhere, "account"),
    )
}

fn users(status: &Status) -> usize {
    status.accounts.iter().map(|account| account.users.len()).sum()
}

/// How the accounts are polled, and the share of the limit that it takes.
fn write_sweeps(html: &mut String, parts: &[AccountSelection<'_>]) -> fmt::Result {
    if parts.is_empty() {
        return Ok(());
    }
    html.push_str(
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Account</th>\
         <th scope=\"col\" class=\"number\">Read every</th><th scope=\"col\" class=\"number\">Last sweep</th>\
         <th scope=\"col\" class=\"number\">Took</th><th scope=\"col\" class=\"number\">Requests</th>\
         <th scope=\"col\" class=\"number\">Failed</th><th scope=\"col\" class=\"number\">Limit</th>\
         <th scope=\"col\" class=\"number\">Used</th><th scope=\"col\" class=\"number\">Held back</th>\
         </tr></thead><tbody>",
    );
    for part in parts {
        write_sweep(html, part.account)?;
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

/// A share of the whole, in percent.
struct Share(f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent < 0.1 {
            return f.write_str("&lt; 0.1\u{a0}%");
        }
        write!(f, "{percent:.*}\u{a0}%", usize::from(percent < 10.0))
    }
}

fn write_sweep(html: &mut String, account: &AccountStatus) -> fmt::Result {
    let requests = &account.requests;
    let all: u64 = requests.outcomes.values().sum();
    let good = requests.outcomes.get("ok").copied().unwrap_or_default();
    let (sweep, took) = match &account.last_sweep {
        Some(sweep) => (
            format!("{}, {} ago", sweep.result, Age::seconds(sweep.age_seconds)),
            format!("{:.2}\u{a0}s", sweep.duration_seconds),
        ),
        None => ("–".to_owned(), "–".to_owned()),
    };
    let cells = [
        Period(account.interval_seconds).to_string(),
        sweep,
        took,
        Grouped(all).to_string(),
        Grouped(all.saturating_sub(good)).to_string(),
        format!("{} in {}", Grouped(requests.limit.into()), Period(requests.limit_window_seconds)),
        Share(requests.limit_share).to_string(),
        format!("{:.1}\u{a0}s", requests.waited_seconds),
    ];
    let name = Escaped(&account.name);
    write!(html, "<tr data-key=\"{name}\"><th scope=\"row\"><bdi>{name}</bdi></th>")?;
    for cell in cells {
        write!(html, "<td class=\"number\">{cell}</td>")?;
    }
    html.push_str("</tr>");
    Ok(())
}
