//! The status page: who owes replies, and what is not known.
//!
//! It is rendered whole by the server and complete without a script: `page.js` only fetches it again
//! and swaps what has changed, puts times into the viewer's zone, searches while one types, and says
//! when the exporter cannot be reached any more. All addresses are relative, so that the page works
//! below any prefix, and nothing comes from elsewhere, which [`POLICY`] makes the browser enforce.
//!
//! [`ask`] chooses what is shown, [`overview`] writes what concerns all accounts, [`account`] one of
//! them, with [`chart`], [`channels`] and [`people`].

mod account;
mod ask;
mod channels;
mod chart;
mod overview;
mod people;

use std::fmt::{self, Display, Write as _};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub(super) use self::ask::Ask;

use self::account::write_account;
use self::ask::Selection;
use self::overview::{Summary, write_exporter, write_others};
use super::status::Status;
use super::text::{Count, Escaped};

/// What the browser is allowed. Forms may go to the exporter itself, for a search without a script.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file that the page needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asset {
    /// Where it is found.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
}

/// The files that the page needs.
pub(super) const ASSETS: [Asset; 3] = [
    Asset {
        path: "/style.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("style.css"),
    },
    Asset {
        path: "/page.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("page.js"),
    },
    Asset {
        path: "/favicon.svg",
        content_type: "image/svg+xml",
        content: include_str!("favicon.svg"),
    },
];

/// Shortest and longest time between two looks at the exporter by an open page, in seconds.
const REFRESH: (f64, f64) = (2.0, 10.0);

/// What everything on a page is written from.
struct View<'a> {
    status: &'a Status,
    ask: &'a Ask,
    /// The path of the exposition.
    metrics: &'a str,
    /// The largest red counter, which has the longest bar.
    most: u64,
}

/// Renders the whole page; `metrics` is the path of the exposition.
pub(super) fn render(status: &Status, ask: &Ask, metrics: &str) -> String {
    let mut html = String::new();
    let users = status.accounts.iter().flat_map(|account| &account.users);
    let most = users.filter_map(|user| user.red).max().unwrap_or_default();
    let view = View { status, ask, metrics, most };
    write_page(&mut html, &view).expect("writing to a String cannot fail");
    html
}

fn write_page(html: &mut String, view: &View<'_>) -> fmt::Result {
    let View { status, ask, .. } = *view;
    let selection = ask.select(status);
    let summary = Summary::of(status, ask, &selection);
    write_head(html, view, &summary.title())?;
    write_header(html, ask, &selection)?;
    write!(html, "<main data-refresh=\"{:.1}\">", refresh(status))?;
    if let Some(name) = &ask.account {
        write!(
            html,
            "<p class=\"only\">Only <bdi>{}</bdi>. <a href=\"./\">All accounts</a></p>",
            Escaped(name)
        )?;
    }
    summary.write(html, status.time)?;
    for part in &selection.accounts {
        write_account(html, part, view)?;
    }
    write_others(html, &selection.others)?;
    write_exporter(html, &selection, view)?;
    html.push_str("</main></body></html>\n");
    Ok(())
}

fn write_head(html: &mut String, view: &View<'_>, title: &str) -> fmt::Result {
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\" data-build=\"{version} {revision}\"><head><meta charset=\"utf-8\">\
         <title>{title} · Unanswered messages</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
         <noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\
         <link rel=\"icon\" href=\"favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"style.css\"><script src=\"page.js\" defer></script></head>",
        version = Escaped(view.status.version),
        revision = Escaped(view.status.revision),
        title = Escaped(title),
    )
}

fn write_header(html: &mut String, ask: &Ask, selection: &Selection<'_>) -> fmt::Result {
    html.push_str(
        "<body><p id=\"contact\" role=\"alert\" hidden></p><header><h1>Unanswered messages</h1>\
         <form action=\"./\" role=\"search\"><p id=\"found\" role=\"status\">",
    );
    match selection.found {
        None => {}
        Some(0) => html.push_str("Nobody found"),
        Some(found) => write!(html, "{} found", Count(found, "user"))?,
    }
    write!(
        html,
        "</p><input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"Search name, id, account\" \
         aria-label=\"Search users by name, id or account\" maxlength=\"200\" autocomplete=\"off\" \
         spellcheck=\"false\"></form></header>",
        Escaped(&ask.text)
    )
}

/// How often an open page looks at the exporter, in seconds: as often as the figures change.
fn refresh(status: &Status) -> f64 {
    let (least, most) = REFRESH;
    let intervals = status.accounts.iter().map(|account| account.interval_seconds);
    intervals.fold(most, f64::min).max(least)
}

/// The address of the page of one account.
struct AccountLink<'a>(&'a str);

impl Display for AccountLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "./?account={}", utf8_percent_encode(self.0, NON_ALPHANUMERIC))
    }
}

/// Writes texts with a dot between each two.
fn write_joined(html: &mut String, texts: &[&String]) -> fmt::Result {
    for (index, text) in texts.iter().enumerate() {
        let joint = if index > 0 { " · " } else { "" };
        write!(html, "{joint}<bdi>{}</bdi>", Escaped(text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
