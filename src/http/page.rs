//! The status page: accounts and users as tables, without scripts and without outside assets.

use std::cmp::Reverse;
use std::fmt::{self, Display, Write as _};

use super::status::{AccountStatus, Status, UserStatus};

/// Where the page finds its style sheet.
pub(super) const STYLE_PATH: &str = "/style.css";
/// The style sheet.
pub(super) const STYLE: &str = include_str!("style.css");
/// Rows of a table; beyond, the page says how many it leaves out.
const ROWS_MAX: usize = 1000;

/// Text that is escaped when written into the page.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Renders the whole page; `metrics` is the path of the exposition.
pub(super) fn render(status: &Status, metrics: &str) -> String {
    let mut html = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut html, status, metrics);
    html
}

fn write_page(html: &mut String, status: &Status, metrics: &str) -> fmt::Result {
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"10\">\
         <title>wazzup-exporter</title><link rel=\"stylesheet\" href=\"{STYLE_PATH}\"></head><body>\
         <header><h1>Unanswered messages</h1><nav><a href=\"{metrics}\">Metrics</a> \
         <a href=\"/api/v1/status\">Status as JSON</a> <a href=\"/-/ready\">Ready</a> \
         <a href=\"/-/healthy\">Healthy</a></nav></header><main>",
        metrics = Escaped(metrics),
    )?;
    for account in &status.accounts {
        write_account(html, account)?;
    }
    writeln!(
        html,
        "</main><footer>wazzup-exporter {}. Red: of customers the user is responsible for. Grey: the \
         user only looks on. A dash means that nothing is known, never zero.</footer></body></html>",
        Escaped(status.version)
    )
}

fn write_account(html: &mut String, account: &AccountStatus) -> fmt::Result {
    let (class, state) = match (account.up, account.failing) {
        (true, _) => ("up", "up".to_owned()),
        (false, Some(reason)) => ("down", format!("failing: {reason}")),
        (false, None) if account.last_sweep.is_none() => ("wait", "not read yet".to_owned()),
        (false, None) => ("down", "down".to_owned()),
    };
    write!(
        html,
        "<section><h2>{name} <span class=\"state {class}\">{state}</span></h2><p>\
         <span class=\"red\">{red}</span> red, <span class=\"grey\">{grey}</span> grey",
        name = Escaped(&account.name),
        state = Escaped(&state),
        red = Figure(account.red),
        grey = Figure(account.grey),
    )?;
    if account.users_without_reading > 0 {
        write!(
            html,
            "; {} of {} users without a reading",
            account.users_without_reading,
            account.users.len()
        )?;
    }
    if let Some(sweep) = &account.last_sweep {
        write!(html, "; last sweep {} ago", Age(sweep.age_seconds))?;
    }
    html.push_str(
        "</p><table><thead><tr><th>User</th><th>Id</th><th class=\"number\">Red</th>\
         <th class=\"number\">Grey</th><th class=\"number\">Read</th><th>Remark</th></tr></thead><tbody>",
    );
    let mut users: Vec<&UserStatus> = account.users.iter().collect();
    users.sort_by_key(|user| urgency(user));
    for user in users.iter().take(ROWS_MAX) {
        write_user(html, user)?;
    }
    html.push_str("</tbody></table>");
    if let Some(more) = users.len().checked_sub(ROWS_MAX).filter(|more| *more > 0) {
        write!(html, "<p>… and {more} more users; see the status as JSON.</p>")?;
    }
    html.push_str("</section>");
    Ok(())
}

/// Who owes replies comes first, then those of whom nothing is known, then those at zero.
fn urgency(user: &UserStatus) -> (u8, Reverse<u64>) {
    match user.red {
        Some(0) => (2, Reverse(0)),
        Some(red) => (0, Reverse(red)),
        None => (1, Reverse(0)),
    }
}

fn write_user(html: &mut String, user: &UserStatus) -> fmt::Result {
    let class = if user.red.is_some_and(|red| red > 0) { " red" } else { "" };
    write!(
        html,
        "<tr><td>{name}</td><td>{id}</td><td class=\"number{class}\">{red}</td>\
         <td class=\"number grey\">{grey}</td><td class=\"number\">",
        name = Escaped(user.name.as_deref().unwrap_or("–")),
        id = Escaped(&user.id),
        red = Figure(user.red),
        grey = Figure(user.grey),
    )?;
    match user.age_seconds {
        Some(age) => write!(html, "{} ago", Age(age))?,
        None => html.push('–'),
    }
    html.push_str("</td><td>");
    if let Some(other) = user.other {
        write!(html, "{other} of an unknown type. ")?;
    }
    match (user.untrusted.first().copied(), &user.problem) {
        (Some("unknown_user"), _) => html.push_str("Wazzup24 does not know this user."),
        (_, Some(problem)) => write!(html, "{}", Escaped(problem))?,
        _ => {}
    }
    html.push_str("</td></tr>");
    Ok(())
}

/// A figure, or a dash where nothing is known.
struct Figure(Option<u64>);

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(figure) => write!(f, "{figure}"),
            None => f.write_str("–"),
        }
    }
}

/// An age in seconds, rounded for reading.
struct Age(f64);

impl Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 as u64;
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            _ => write!(f, "{} h", seconds / 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_shows_as_text() {
        let text = Escaped("<img src=x onerror=\"alert('1')\">&").to_string();
        assert_eq!(text, "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;");
    }

    #[test]
    fn nothing_known_is_a_dash() {
        assert_eq!(Figure(None).to_string(), "–");
        assert_eq!(Figure(Some(0)).to_string(), "0");
    }
}
