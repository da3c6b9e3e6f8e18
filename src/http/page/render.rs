//! The whole page: its head, its header, and its parts in their order.

use std::fmt::{self, Write as _};

use super::account::write_account;
use super::context::PageContext;
use super::overview::{Summary, write_broken_files, write_exporter, write_others};
use super::query::{PageQuery, Selection};
use crate::http::format::{Count, Escaped};
use crate::http::status::Status;

/// Shortest and longest refresh interval of an open page, in seconds.
const REFRESH: (f64, f64) = (2.0, 10.0);

/// Renders the whole page; `metrics` is the path of the exposition.
pub(crate) fn render(status: &Status, query: &PageQuery, metrics: &str) -> String {
    let mut html = String::new();
    let users = status.accounts.iter().flat_map(|account| &account.users);
    let most = users.filter_map(|user| user.red).max().unwrap_or_default();
    let view = PageContext { status, query, metrics, most };
    write_page(&mut html, &view).expect("writing to a String cannot fail");
    html
}

fn write_page(html: &mut String, view: &PageContext<'_>) -> fmt::Result {
    let PageContext { status, query, .. } = *view;
    let selection = query.select(status);
    let summary = Summary::of(status, query, &selection);
    write_head(html, view, &summary.title())?;
    write_header(html, query, &selection)?;
    write!(html, "<main data-refresh=\"{:.1}\">", refresh(status))?;
    if let Some(name) = &query.account {
        write!(
            html,
            "<p class=\"only\">Only <bdi>{}</bdi>. <a href=\"./\">All accounts</a></p>",
            Escaped(name)
        )?;
    }
    write_broken_files(html, status)?;
    summary.write(html, status.time)?;
    for part in &selection.accounts {
        write_account(html, part, view)?;
    }
    write_others(html, &selection.others)?;
    write_exporter(html, &selection, view)?;
    html.push_str("</main></body></html>\n");
    Ok(())
}

fn write_head(html: &mut String, view: &PageContext<'_>, title: &str) -> fmt::Result {
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

fn write_header(html: &mut String, query: &PageQuery, selection: &Selection<'_>) -> fmt::Result {
    html.push_str(
        "<body><p id=\"contact\" role=\"alert\" hidden></p><header><h1>Unanswered messages</h1>\
         <form action=\"./\" role=\"search\"><p id=\"found\" role=\"status\">",
    );
    match selection.found {
        None => {}
        Some(0) => html.push_str("No user found"),
        Some(found) => write!(html, "{} found", Count(found, "user"))?,
    }
    write!(
        html,
        "</p><input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"Search name, id, account\" \
         aria-label=\"Search users by name, id or account\" maxlength=\"200\" autocomplete=\"off\" \
         spellcheck=\"false\"></form></header>",
        Escaped(&query.text)
    )
}

/// The refresh interval of an open page, in seconds: as short as the shortest polling interval.
fn refresh(status: &Status) -> f64 {
    let (least, most) = REFRESH;
    let intervals = status.accounts.iter().map(|account| account.interval_seconds);
    intervals.fold(most, f64::min).max(least)
}
