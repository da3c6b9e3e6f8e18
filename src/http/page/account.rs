//! One account: its sum, its last hours, what is wrong with it, its channels and its users.

use std::fmt::{self, Write as _};

use super::ask::Part;
use super::channels::{write_channels, write_count};
use super::chart::write_chart;
use super::people::write_people;
use super::{AccountLink, View, write_joined};
use crate::http::status::{AccountStatus, RedOf, Soundness, Trouble};
use crate::http::text::{Age, Clock, Count, Escaped, Figure, Grouped};

pub(super) fn write_account(html: &mut String, part: &Part<'_>, view: &View<'_>) -> fmt::Result {
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
        write_trouble(html, account, trouble)?;
    }
    write_channels(html, account, view)?;
    write_people(html, part, view)?;
    html.push_str("</div></section>");
    Ok(())
}

/// The sums, and whether they are sound.
fn write_sum(html: &mut String, account: &AccountStatus, view: &View<'_>) -> fmt::Result {
    if let Some(red) = account.red {
        let class = if red > 0 { " owes" } else { "" };
        let doubt = match Soundness::of(account) {
            Soundness::Sound => "",
            Soundness::AtLeast => "<small>at least</small> ",
            Soundness::InDoubt => "<small>in doubt</small> ",
        };
        let all = if view.ask.searches() { "all its " } else { "" };
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

/// The last reset, and what it took away.
fn write_reset(html: &mut String, account: &AccountStatus, view: &View<'_>) -> fmt::Result {
    let Some(last) = &account.last_reset else { return Ok(()) };
    let class = if last.text() == "cleared" { "beside" } else { "reason" };
    let at = Clock { at: last.time, now: view.status.time, seconds: false };
    let (before, after) = (Grouped(last.before), Figure(last.after));
    write!(html, "<p class=\"{class}\">last reset {at}: {}, {before} → {after}</p>", last.text())
}

/// Of whom the figures are missing or may not count.
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

fn write_trouble(html: &mut String, account: &AccountStatus, trouble: &Trouble) -> fmt::Result {
    write!(
        html,
        "<div class=\"trouble\"><p><strong>{}</strong> {}</p>",
        Escaped(&trouble.text),
        Escaped(trouble.remedy)
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
