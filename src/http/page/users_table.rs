//! The table of an account's users.

use maud::{Markup, html};

use super::query::{AccountSelection, PageContext, own_reasons};
use crate::http::format::{account_link, age_of, clock, figure, joined, number_of};
use crate::http::status::{AccountStatus, UserStatus};

/// Length of the longest bar in its own units.
const BAR: u64 = 100;

/// The users that are shown, and the way to the others.
pub(super) fn users(part: &AccountSelection<'_>, view: &PageContext<'_>) -> Markup {
    html! {
        @if !part.rows.is_empty() { (table(part.account, &part.rows, view)) }
        @if part.left_out > 0 {
            p.more {
                @if view.query.searches() {
                    (number_of(part.left_out, "more user")) ". Search for more letters to see them."
                } @else if view.query.account.is_some() {
                    (number_of(part.left_out, "more user")) ". Search for them."
                } @else {
                    a href=(account_link(&part.account.name)) {
                        "Show all " (number_of(part.account.users.len(), "user"))
                    }
                }
            }
        }
    }
}

fn table(account: &AccountStatus, users: &[&UserStatus], view: &PageContext<'_>) -> Markup {
    html! {
        table.people {
            thead {
                tr {
                    th.number.red scope="col" { "Red" }
                    th scope="col" { "User" }
                    th.since scope="col" { "Red since" noscript { " (UTC)" } }
                    th.number.grey scope="col" { "Grey" }
                    th.number.read scope="col" { "Read" }
                }
            }
            tbody { @for user in users { (row(account, user, view)) } }
        }
    }
}

fn row(account: &AccountStatus, user: &UserStatus, view: &PageContext<'_>) -> Markup {
    let class = match user.red {
        Some(0) if user.in_doubt => "doubted",
        Some(0) => "calm",
        Some(_) => "owes",
        None => "unknown",
    };
    let now = view.status.time;
    // Without a time, its column is left to the reasons.
    let span = user.red_since.is_none().then_some("2");
    html! {
        tr.(class) data-key=(user.id) {
            td.number.red {
                div {
                    @if let Some(red) = user.red.filter(|red| *red > 0) { (bar(red, view.most)) }
                    span { (figure(user.red)) }
                }
            }
            th scope="row" colspan=[span] { (name(account, user)) }
            @if let Some(at) = user.red_since {
                td.since { span { (clock(at, now, false)) " · " } (age_of(now - at)) }
            }
            td.number.grey { (figure(user.grey)) }
            td.number.read {
                @match user.age_seconds {
                    Some(age) => { (age_of(age)) " ago" }
                    None => { "never" }
                }
            }
        }
    }
}

/// A bar in proportion to the largest counter on the page.
fn bar(red: u64, most: u64) -> Markup {
    // Always visible, however small the share.
    let length = (u128::from(red) * u128::from(BAR) / u128::from(most.max(1))).max(3);
    let start = u128::from(BAR).saturating_sub(length);
    html! {
        svg.bar viewBox={ "0 0 " (BAR) " 6" } preserveAspectRatio="none" aria-hidden="true" {
            rect x=(start) width=(length) height="6" {}
        }
    }
}

fn name(account: &AccountStatus, user: &UserStatus) -> Markup {
    let (name, id) = match &user.name {
        Some(name) => (name, Some(&user.id)),
        None => (&user.id, None),
    };
    // Sales rep is the usual role, and a missing role is among the reasons.
    let role = user.role.filter(|role| !["sales_rep", "none"].contains(role));
    let role = role.map(|role| role.replace('_', " "));
    let beside: Vec<&String> = id.into_iter().chain(user.labels.values()).chain(&role).collect();
    html! {
        bdi.name { (name) }
        @if !beside.is_empty() { " " span.beside { (joined(beside)) } }
        @for reason in own_reasons(user, account) { p.reason { (reason.text) } }
    }
}
