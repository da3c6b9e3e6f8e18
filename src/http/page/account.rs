//! One account: its sum, history, problems, channels and users.

use maud::{Markup, html};

use super::chart::chart;
use super::query::{AccountSelection, PageContext};
use super::users_table::users;

use crate::http::format::{account_link, age_of, clock, figure, grouped, joined, number_of};
use crate::http::status::{AccountProblem, AccountStatus, ChannelStatus, Completeness};
use crate::metrics::ResetResult;
use crate::snapshot::RedOf;

pub(super) fn account(part: &AccountSelection<'_>, view: &PageContext<'_>) -> Markup {
    let account = part.account;
    let name = &account.name;
    html! {
        section.account.failing[account.trouble.is_some()] data-key=(name) aria-label=(name) {
            div.about {
                h2 { a href=(account_link(name)) { bdi { (name) } } }
                @if !account.labels.is_empty() {
                    p.beside.labels { (joined(account.labels.values())) }
                }
                (sum(account, view))
                @if part.full { (chart(account.history.as_ref())) }
                (count(&account.channels))
                (reset(account, view))
            }
            div.body {
                @if let Some(trouble) = &account.trouble { (problem(account, trouble)) }
                @if part.full { (channels(account, view)) }
                (users(part, view))
            }
        }
    }
}

/// The sums, and how complete they are.
fn sum(account: &AccountStatus, view: &PageContext<'_>) -> Markup {
    let all = if view.query.searches() { "all its " } else { "" };
    html! {
        @if let Some(red) = account.totals.red {
            p.sum.owes[red > 0] {
                @match Completeness::of(&account.totals) {
                    Completeness::Complete => {}
                    Completeness::AtLeast => { small { "at least" } " " }
                    Completeness::InDoubt => { small { "in doubt" } " " }
                }
                strong { (grouped(red)) }
            }
            p.beside {
                @match account.totals.red_of {
                    RedOf::SalesReps => {
                        "red of " (all) (number_of(account.totals.red_users, "sales rep"))
                    }
                    RedOf::Counters => { "sum of " (all) "red counters" }
                }
                @if let Some(grey) = account.totals.grey.filter(|grey| *grey > 0) {
                    " · " (grouped(grey)) " grey"
                }
            }
        }
        @for text in doubts(account) { p.reason { (text) } }
        @for note in &account.notes { p.reason { (note.text) } }
    }
}

/// How many figures are missing or in doubt.
fn doubts(account: &AccountStatus) -> Vec<String> {
    let totals = &account.totals;
    let who = match totals.red_of {
        RedOf::SalesReps => "sales rep",
        RedOf::Counters => "user",
    };
    let counted = number_of(totals.red_users, who);
    let mut doubts = Vec::new();
    match totals.red_users_missing {
        _ if account.users.is_empty() => doubts.push("There is no user to read.".to_owned()),
        0 => {}
        _ if account.last_sweep.is_none() => {
            doubts.push("Being read for the first time.".to_owned());
        }
        _ if totals.users_missing == account.users.len() => {
            doubts.push("No user has a figure.".to_owned());
        }
        missing => doubts.push(format!("{missing} of {counted} without a figure.")),
    }
    if totals.red_users_in_doubt > 0 {
        doubts.push(format!("{} of {counted} in doubt.", totals.red_users_in_doubt));
    }
    doubts
}

/// The last reset, and the counters before and after it.
fn reset(account: &AccountStatus, view: &PageContext<'_>) -> Markup {
    html! {
        @if let Some(last) = &account.last_reset {
            @let (class, result) = match last.result {
                ResetResult::Cleared => ("beside", "cleared"),
                ResetResult::Unknown => ("reason", "not known whether it was carried out"),
                ResetResult::Failed | ResetResult::DryRun => ("reason", "failed"),
            };
            p.(class) {
                "last reset " (clock(last.at.as_secs_f64(), view.status.time, false)) ": " (result) ", "
                (grouped(last.before)) " → " (figure(last.after))
            }
        }
    }
}

fn problem(account: &AccountStatus, problem: &AccountProblem) -> Markup {
    html! {
        div.trouble {
            p { strong { (problem.text) } " " (problem.remedy) }
            p.beside {
                @if let Some(detail) = &problem.detail { q { (detail) } " · " }
                @match account.age_seconds {
                    Some(age) => { "last good reading " (age_of(age)) " ago" }
                    None => { "no good reading yet" }
                }
            }
        }
    }
}

/// Channels that are listed; beyond, only how many they are.
const CHANNELS_MAX: usize = 20;
/// Characters of a channel's id that are shown; enough to be unique within an account.
const ID_SHOWN: usize = 8;

/// The number of channels, if there are any.
pub(super) fn count(channels: &[ChannelStatus]) -> Markup {
    let (all, active) = (channels.len(), channels.iter().filter(|channel| channel.active).count());
    let text = match (all, active) {
        (0, _) => return html! {},
        (1, 1) => "1 channel, active".to_owned(),
        _ if all == active => format!("{}, all active", number_of(all, "channel")),
        (1, _) => "1 channel, not active".to_owned(),
        _ => format!("{} of {} active", grouped(active as u64), number_of(all, "channel")),
    };
    html! { p.(if all == active { "beside" } else { "reason" }).count { (text) } }
}

/// The channels that are not active; on the page of one account all channels.
pub(super) fn channels(account: &AccountStatus, view: &PageContext<'_>) -> Markup {
    let all = view.query.account.is_some();
    let mut shown: Vec<&ChannelStatus> = account.channels.iter().collect();
    shown.retain(|channel| all || !channel.active);
    shown.sort_by_key(|channel| channel.active);
    let more = shown.len().saturating_sub(CHANNELS_MAX);
    html! {
        @if !shown.is_empty() {
            ul.channels aria-label="Channels" {
                @for channel in shown.iter().take(CHANNELS_MAX) { (line(channel)) }
                @if more > 0 { li { (number_of(more, "more channel")) } }
            }
            @if account.is_cut_off() {
                p.reason.cut-off { "No message arrives, so the counters do not change." }
            }
        }
    }
}

fn line(channel: &ChannelStatus) -> Markup {
    let (class, key) = (if channel.active { "active" } else { "inactive" }, &channel.channel);
    let id: String = key.chars().take(ID_SHOWN).collect();
    html! {
        li.(class) data-key=(key) title=(key) {
            (channel.transport) " " bdi { (channel.name.as_deref().unwrap_or(&id)) } " "
            (channel.text)
            @if !channel.remedy.is_empty() { ": " (channel.remedy) }
        }
    }
}
