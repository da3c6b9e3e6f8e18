//! The table of an account's users.

use std::fmt::{self, Write as _};

use super::context::{AccountLink, PageContext, write_joined};
use super::query::{AccountSelection, own_reasons};
use crate::http::format::{Age, Clock, Count, Escaped, Figure, Grouped};
use crate::http::status::{AccountStatus, UserStatus};

/// Length of the longest bar in its own units.
const BAR: u64 = 100;

/// Writes the users that are shown, and how many are not.
pub(super) fn write_users(
    html: &mut String,
    part: &AccountSelection<'_>,
    view: &PageContext<'_>,
) -> fmt::Result {
    if !part.rows.is_empty() {
        write_table(html, part.account, &part.rows, view)?;
    }
    if !part.folded.is_empty() {
        let summary = HiddenUsers { users: &part.folded, more: !part.rows.is_empty() };
        write!(html, "<details><summary>{summary}</summary>")?;
        write_table(html, part.account, &part.folded, view)?;
        html.push_str("</details>");
    }
    if part.left_out.is_empty() {
        return Ok(());
    }
    let summary = HiddenUsers { users: &part.left_out, more: !part.rows.is_empty() };
    write!(html, "<p class=\"more\">{summary}. ")?;
    if view.query.searches() {
        html.push_str("Search for more letters to see them.</p>");
    } else if view.query.account.is_some() {
        html.push_str("Search for them.</p>");
    } else {
        let all = Count(part.account.users.len(), "user");
        write!(html, "<a href=\"{}\">Show all {all}</a></p>", AccountLink(&part.account.name))?;
    }
    Ok(())
}

/// A summary of the users that are not shown.
struct HiddenUsers<'a> {
    users: &'a [&'a UserStatus],
    /// Whether others are shown.
    more: bool,
}

impl fmt::Display for HiddenUsers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |wanted: fn(&UserStatus) -> bool| self.users.iter().filter(|user| wanted(user)).count();
        let more = if self.more { " more" } else { "" };
        let users = self.users.len();
        write!(f, "{}{more} user{}", Grouped(users as u64), if users == 1 { "" } else { "s" })?;
        let kinds = [
            (count(|user| user.red.is_some_and(|red| red > 0)), "red"),
            (count(|user| user.red == Some(0)), "without red"),
            (count(|user| user.red.is_none()), "without a figure"),
        ];
        let kinds: Vec<_> = kinds.into_iter().filter(|(count, _)| *count > 0).collect();
        match kinds.as_slice() {
            [(_, kind)] => write!(f, ", {}{kind}", if users == 1 { "" } else { "all " }),
            kinds => {
                for (index, (count, kind)) in kinds.iter().enumerate() {
                    let joint = if index == 0 { ": " } else { ", " };
                    write!(f, "{joint}{} {kind}", Grouped(*count as u64))?;
                }
                Ok(())
            }
        }
    }
}

fn write_table(
    html: &mut String,
    account: &AccountStatus,
    users: &[&UserStatus],
    view: &PageContext<'_>,
) -> fmt::Result {
    html.push_str(
        "<table class=\"people\"><thead><tr><th scope=\"col\" class=\"number red\">Red</th>\
         <th scope=\"col\">User</th>\
         <th scope=\"col\" class=\"since\">Red since<noscript> (UTC)</noscript></th>\
         <th scope=\"col\" class=\"number grey\">Grey</th>\
         <th scope=\"col\" class=\"number read\">Read</th></tr></thead><tbody>",
    );
    for user in users {
        write_user(html, account, user, view)?;
    }
    html.push_str("</tbody></table>");
    Ok(())
}

fn write_user(
    html: &mut String,
    account: &AccountStatus,
    user: &UserStatus,
    view: &PageContext<'_>,
) -> fmt::Result {
    let class = match user.red {
        Some(0) if user.in_doubt => "doubted",
        Some(0) => "calm",
        Some(_) => "owes",
        None => "unknown",
    };
    write!(
        html,
        "<tr class=\"{class}\" data-key=\"{}\"><td class=\"number red\"><div>",
        Escaped(&user.id)
    )?;
    if let Some(red) = user.red.filter(|red| *red > 0) {
        write_bar(html, red, view.most)?;
    }
    // Without a time, its column is left to the reasons.
    let span = if user.red_since.is_none() { " colspan=\"2\"" } else { "" };
    write!(html, "<span>{}</span></div></td><th scope=\"row\"{span}>", Figure(user.red))?;
    write_name(html, account, user)?;
    html.push_str("</th>");
    if let Some(at) = user.red_since {
        let now = view.status.time;
        let (clock, age) = (Clock { at, now, seconds: false }, Age::seconds(now - at));
        write!(html, "<td class=\"since\"><span>{clock} · </span>{age}</td>")?;
    }
    write!(html, "<td class=\"number grey\">{}</td>", Figure(user.grey))?;
    html.push_str("<td class=\"number read\">");
    match user.age_seconds {
        Some(age) => write!(html, "{} ago", Age::seconds(age))?,
        None => html.push_str("never"),
    }
    html.push_str("</td></tr>");
    Ok(())
}

/// A bar in proportion to the largest counter on the page.
fn write_bar(html: &mut String, red: u64, most: u64) -> fmt::Result {
    // Always visible, however small the share.
    let length = (u128::from(red) * u128::from(BAR) / u128::from(most.max(1))).max(3);
    let start = u128::from(BAR).saturating_sub(length);
    write!(
        html,
        "<svg class=\"bar\" viewBox=\"0 0 {BAR} 6\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect x=\"{start}\" width=\"{length}\" height=\"6\"/></svg>"
    )
}

fn write_name(html: &mut String, account: &AccountStatus, user: &UserStatus) -> fmt::Result {
    let (name, id) = match &user.name {
        Some(name) => (name, Some(&user.id)),
        None => (&user.id, None),
    };
    write!(html, "<bdi class=\"name\">{}</bdi>", Escaped(name))?;
    // Sales rep is the usual role, and a missing role is among the reasons.
    let role = user.role.filter(|role| !["sales_rep", "none"].contains(role));
    let role = role.map(|role| role.replace('_', " "));
    let beside: Vec<&String> = id.into_iter().chain(user.labels.values()).chain(&role).collect();
    if !beside.is_empty() {
        html.push_str(" <span class=\"beside\">");
        write_joined(html, &beside)?;
        html.push_str("</span>");
    }
    for reason in own_reasons(user, account) {
        write!(html, "<p class=\"reason\">{}</p>", Escaped(&reason.text))?;
    }
    Ok(())
}
