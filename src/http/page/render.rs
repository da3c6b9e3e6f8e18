//! The whole page: its head, its header, and its parts in their order.

use maud::{DOCTYPE, Markup, html};

use super::account::account;
use super::exporter::{broken_files, exporter};
use super::query::{PageContext, PageQuery, PageSelection};
use super::summary::Summary;
use crate::http::format::number_of;
use crate::http::status::Status;

/// Shortest and longest refresh interval of an open page, in seconds.
const REFRESH: (f64, f64) = (2.0, 10.0);

/// Renders the whole page; `metrics` is the path of the exposition.
pub(crate) fn render(status: &Status, query: &PageQuery, metrics: &str) -> String {
    let users = status.accounts.iter().flat_map(|account| &account.users);
    let most = users.filter_map(|user| user.red).max().unwrap_or_default();
    let view = PageContext { status, query, metrics, most };
    let selection = query.select(status);
    let summary = Summary::of(query, &selection);
    let page = html! {
        (DOCTYPE)
        html lang="en" data-build={ (status.version) " " (status.revision) } {
            (head(&summary.title()))
            body {
                p #contact role="alert" hidden {}
                (header(query, &selection))
                main data-refresh=(format!("{:.1}", refresh(status))) {
                    @if let Some(name) = &query.account {
                        p.only { "Only " bdi { (name) } ". " a href="./" { "All accounts" } }
                    }
                    (broken_files(status))
                    (summary.markup(status.time))
                    @for part in &selection.accounts { (account(part, &view)) }
                    (exporter(&selection, &view))
                }
            }
        }
    };
    page.into_string()
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            title { (title) " · Unanswered messages" }
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex";
            noscript { meta http-equiv="refresh" content="10"; }
            link rel="icon" href="favicon.svg" type="image/svg+xml";
            link rel="stylesheet" href="style.css";
            script src="page.js" defer {}
        }
    }
}

fn header(query: &PageQuery, selection: &PageSelection<'_>) -> Markup {
    html! {
        header {
            h1 { "Unanswered messages" }
            form action="./" role="search" {
                p #found role="status" {
                    @match selection.all_users.len() {
                        _ if !query.searches() => {}
                        0 => { "No user found" }
                        found => { (number_of(found, "user")) " found" }
                    }
                }
                input type="search" name="q" value=(query.text)
                    placeholder="Search name, id, account"
                    aria-label="Search users by name, id or account" maxlength="200"
                    autocomplete="off" spellcheck="false";
            }
        }
    }
}

/// The refresh interval of an open page, in seconds: as short as the shortest polling interval.
fn refresh(status: &Status) -> f64 {
    let (least, most) = REFRESH;
    let intervals = status.accounts.iter().map(|account| account.interval_seconds);
    intervals.fold(most, f64::min).max(least)
}
