//! One account: its sum, its last hours, what is wrong with it, its channels and its users.

use std::fmt::{self, Write as _};

use super::ask::Part;
use super::chart::write_chart;
use super::people::write_people;
use super::{AccountLink, View, write_joined};
use crate::http::status::{AccountStatus, ChannelStatus, Trouble};
use crate::http::text::{Age, Count, Escaped, Grouped};

/// Channels that are listed; beyond, only how many they are.
const CHANNELS_MAX: usize = 20;

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
    html.push_str("</div><div class=\"body\">");
    if let Some(trouble) = &account.trouble {
        write_trouble(html, account, trouble)?;
    }
    write_channels(html, &account.channels)?;
    write_people(html, part, view)?;
    html.push_str("</div></section>");
    Ok(())
}

/// The sums, and whether they are of everybody.
fn write_sum(html: &mut String, account: &AccountStatus, view: &View<'_>) -> fmt::Result {
    let (missing, users) = (account.users_missing, account.users.len());
    if let Some(red) = account.red {
        let class = if red > 0 { " owes" } else { "" };
        let least = if missing > 0 { "<small>at least</small> " } else { "" };
        write!(
            html,
            "<p class=\"sum{class}\">{least}<strong>{}</strong></p>\
             <p class=\"beside\">sum of {}red counters",
            Grouped(red),
            if view.ask.searches() { "all its " } else { "" }
        )?;
        if let Some(grey) = account.grey.filter(|grey| *grey > 0) {
            write!(html, " · {} grey", Grouped(grey))?;
        }
        html.push_str("</p>");
    }
    match missing {
        0 => Ok(()),
        _ if account.last_sweep.is_none() => {
            html.push_str("<p class=\"reason\">Being read for the first time.</p>");
            Ok(())
        }
        _ if missing == users => {
            html.push_str("<p class=\"reason\">No user has a figure.</p>");
            Ok(())
        }
        _ => write!(
            html,
            "<p class=\"reason\">{missing} of {} without a figure.</p>",
            Count(users, "user")
        ),
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

/// The channels, those that receive nothing first.
fn write_channels(html: &mut String, channels: &[ChannelStatus]) -> fmt::Result {
    if channels.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&ChannelStatus> = channels.iter().collect();
    sorted.sort_by_key(|channel| channel.active);
    html.push_str("<ul class=\"channels\" aria-label=\"Channels\">");
    for channel in sorted.iter().take(CHANNELS_MAX) {
        let class = if channel.active { "active" } else { "inactive" };
        write!(
            html,
            "<li class=\"{class}\" data-key=\"{}\">{} <bdi>{}</bdi> <span>{}</span></li>",
            Escaped(&channel.channel),
            Escaped(&channel.transport),
            Escaped(channel.name.as_ref().unwrap_or(&channel.channel)),
            Escaped(&channel.state),
        )?;
    }
    if let Some(more) = sorted.len().checked_sub(CHANNELS_MAX).filter(|more| *more > 0) {
        write!(html, "<li>{}</li>", Count(more, "more channel"))?;
    }
    html.push_str("</ul>");
    Ok(())
}
