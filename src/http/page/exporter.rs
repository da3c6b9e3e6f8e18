//! The legend, and facts about the exporter: its broken files and its sweeps.

use maud::{Markup, html};

use super::query::{AccountSelection, PageContext, PageSelection};
use crate::http::format::{age_of, clock, grouped, number_of, period};
use crate::http::status::{AccountStatus, Status};

/// What red means, and grey; each after its name.
const LEGEND_RED: &str = ": messages without a reply of customers the user is responsible for. ";
const LEGEND_GREY: &str = ": the user only looks on. Sums are of sales reps where roles are known; elsewhere they \
     add up counters, not customers: one without a responsible user counts for several. A dash means \
     not known, never zero. In a chart, a shaded gap means the same, and a dotted line that the sum \
     lacks users or holds figures that may not count.";

/// The columns of the table of sweeps, beside the account.
const COLUMNS: [&str; 8] =
    ["Read every", "Last sweep", "Took", "Requests", "Failed", "Limit", "Used", "Held back"];

/// How many broken account files are named.
const BROKEN_MAX: usize = 20;

/// The account files that cannot be used: their accounts may be missing here.
pub(super) fn broken_files(status: &Status) -> Markup {
    let broken = &status.broken_files;
    html! {
        @if !broken.is_empty() {
            section.broken {
                h2 { (number_of(broken.len(), "account file")) " broken" }
                ul {
                    @for file in broken.iter().take(BROKEN_MAX) {
                        li.reason {
                            bdi { (file.file) } ": "
                            @match file.accounts.len() {
                                0 => { "no account comes from it" }
                                kept => { (number_of(kept, "account")) " as before" }
                            }
                            ". " (file.reason)
                        }
                    }
                }
            }
        }
    }
}

/// The legend, and facts about the exporter.
pub(super) fn exporter(selection: &PageSelection<'_>, view: &PageContext<'_>) -> Markup {
    let status = view.status;
    let users = status.accounts.iter().map(|account| account.users.len()).sum();
    html! {
        section.exporter {
            h2 { "About this page" }
            p { b { "Red" } (LEGEND_RED) b { "Grey" } (LEGEND_GREY) }
            @if !selection.accounts.is_empty() { (sweeps(&selection.accounts)) }
            // Which accounts are looked for here in vain.
            @if let Some(shard) = &status.shard {
                p {
                    "This is shard " (shard.ordinal) " of " (shard.shards) ", counted from 0: "
                    (number_of(shard.accounts_elsewhere, "account"))
                    " of the configuration belong to others."
                }
            }
            p {
                "wazzup-exporter " (status.version) ", revision " (status.revision)
                " · running since " (clock(status.started, status.time, false))
                noscript { " UTC" } " (" (age_of(status.uptime_seconds)) ") · "
                (number_of(status.accounts.len(), "account")) " · " (number_of(users, "user"))
                " · configuration hash " (status.config_hash)
            }
            nav aria-label="Documents" {
                a href=(view.metrics.trim_start_matches('/')) { "Metrics" } " "
                a href="api/v1/status" { "Status as JSON" } " "
                a href="config" { "Configuration" } " "
                a href="-/healthy" { "Health" } " "
                a href="-/ready" { "Readiness" }
            }
        }
    }
}

/// How the accounts are polled, and the share of the limit that it takes.
fn sweeps(parts: &[AccountSelection<'_>]) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th scope="col" { "Account" }
                        @for column in COLUMNS { th.number scope="col" { (column) } }
                    }
                }
                tbody {
                    @for account in parts.iter().filter(|part| part.full).map(|part| part.account) {
                        tr data-key=(account.name) {
                            th scope="row" { bdi { (account.name) } }
                            @for cell in sweep(account) { td.number { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn sweep(account: &AccountStatus) -> [String; COLUMNS.len()] {
    let requests = &account.requests;
    let all: u64 = requests.outcomes.values().sum();
    let good = requests.outcomes.get("ok").copied().unwrap_or_default();
    let (sweep, took) = match &account.last_sweep {
        Some(sweep) => (
            format!("{}, {} ago", sweep.result, age_of(sweep.age_seconds)),
            format!("{:.2}\u{a0}s", sweep.duration_seconds),
        ),
        None => ("–".to_owned(), "–".to_owned()),
    };
    [
        period(account.interval_seconds),
        sweep,
        took,
        grouped(all),
        grouped(all.saturating_sub(good)),
        format!("{} in {}", grouped(requests.limit.into()), period(requests.limit_window_seconds)),
        percent(requests.limit_share),
        format!("{:.1}\u{a0}s", requests.waited_seconds),
    ]
}

/// A share of the whole, in percent.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 0.1 => "< 0.1\u{a0}%".to_owned(),
        percent => format!("{percent:.*}\u{a0}%", usize::from(percent < 10.0)),
    }
}
