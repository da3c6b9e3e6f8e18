//! One account: its sum, history, problems, channels and users.

use std::fmt::{self, Write as _};

use super::channels::{write_channels, write_count};
use super::chart::write_chart;
use super::context::{AccountLink, PageContext, write_joined};
use super::query::AccountSelection;
use super::users_table::write_users;
use crate::http::format::{Age, Clock, Count, Escaped, Figure, Grouped};
use crate::http::status::{AccountProblem, AccountStatus, Completeness, RedOf};

pub(super) fn write_account(
    html: &mut String,
    part: &AccountSelection<'_>,
    view: &PageContext<'_>,
) -> fmt::Result {
    let account = part.account;
    let class = if account.trouble.is_some() { "account failing" } else { "account" };
    let name = Escaped(&account.name);
    write!(html, "<section class=\"{class}\" data-key=\"{name}\" aria-label=\"{name}\">")?;
    html.push_str("<div class=\"about\">");
    let link = AccountLink(&account.name);
    write!(html, "<h2><a href=\"{link}\"><bdi>{name}</bdi></a></h2>")?;
    if !account.labels.is_empty() {
        html.push_str("<p class=\"beside labels\">");
        write_joined(html, &account.labels.values().collect::<Vec<_>>())?;
        html.push_str("</p>");
    }
    write_sum(html, account, view)?;
    write_chart(html, account.history.as_ref())?;
    write_count(html, &account.channels)?;
    write_reset(html, account, view)?;
    html.push_str("</div><div class=\"body\">");
    if let Some(trouble) = &account.trouble {
        write_problem(html, account, trouble)?;
    }
    write_channels(html, account, view)?;
    write_users(html, part, view)?;
    html.push_str("</div></section>");
    Ok(())
}

/// The sums, and how complete they are.
fn write_sum(html: &mut String, account: &AccountStatus, view: &PageContext<'_>) -> fmt::Result {
    if let Some(red) = account.red {
        let class = if red > 0 { " owes" } else { "" };
        let doubt = match Completeness::of(account) {
            Completeness::Complete => "",
            Completeness::AtLeast => "<small>at least</small> ",
            Completeness::InDoubt => "<small>in doubt</small> ",
        };
        let all = if view.query.searches() { "all its " } else { "" };
        write!(html, "<p class=\"sum{class}\">{doubt}<strong>{}</strong></p>", Grouped(red))?;
        html.push_str("<p class=\"beside\">");
        match account.red_of {
            RedOf::SalesReps => {
                write!(html, "red of {all}{}", Count(account.red_users, "sales rep"))?;
            }
            RedOf::Counters => write!(html, "sum of {all}red counters")?,
        }
        if let Some(grey) = account.grey.filter(|grey| *grey > 0) {
            write!(html, " · {} grey", Grouped(grey))?;
        }
        html.push_str("</p>");
    }
    write_doubts(html, account)?;
    for note in &account.notes {
        write!(html, "<p class=\"reason\">{}</p>", Escaped(&note.text))?;
    }
    Ok(())
}

/// The last reset, and the counters before and after it.
fn write_reset(html: &mut String, account: &AccountStatus, view: &PageContext<'_>) -> fmt::Result {
    let Some(last) = &account.last_reset else { return Ok(()) };
    let class = if last.text() == "cleared" { "beside" } else { "reason" };
    let at = Clock { at: last.time, now: view.status.time, seconds: false };
    let (before, after) = (Grouped(last.before), Figure(last.after));
    write!(html, "<p class=\"{class}\">last reset {at}: {}, {before} → {after}</p>", last.text())
}

/// How many figures are missing or in doubt.
fn write_doubts(html: &mut String, account: &AccountStatus) -> fmt::Result {
    let who = match account.red_of {
        RedOf::SalesReps => "sales rep",
        RedOf::Counters => "user",
    };
    let counted = Count(account.red_users, who);
    let text = match account.red_users_missing {
        _ if account.users.is_empty() => "There is no user to read.".to_owned(),
        0 => String::new(),
        _ if account.last_sweep.is_none() => "Being read for the first time.".to_owned(),
        _ if account.users_missing == account.users.len() => "No user has a figure.".to_owned(),
        missing => format!("{missing} of {counted} without a figure."),
    };
    if !text.is_empty() {
        write!(html, "<p class=\"reason\">{text}</p>")?;
    }
    match account.red_users_in_doubt {
        0 => Ok(()),
        doubted => {
            write!(html, "<p class=\"reason\">{doubted} of {counted} in doubt.</p>")
        }
    }
}

fn write_problem(
    html: &mut String,
    account: &AccountStatus,
    trouble: &AccountProblem,
) -> fmt::Result {
    write!(
        html,
        "<div class=\"trouble\"><p><strong>{}</strong> {}</p>",
        Escaped(&trouble.text),
        Escaped(&trouble.remedy)
    )?;
    html.push_str("<p class=\"beside\">");
    if let Some(detail) = &trouble.detail {
        write!(html, "<q>{}</q> · ", Escaped(detail))?;
    }
    match account.age_seconds {
        Some(age) => write!(html, "last good reading {} ago", Age::seconds(age))?,
        None => html.push_str("no good reading yet"),
    }
    html.push_str("</p></div>");
    Ok(())
}
