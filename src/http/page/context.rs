//! What all parts of the page need.

use std::fmt::{self, Display, Write as _};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::query::PageQuery;
use crate::http::format::Escaped;
use crate::http::status::Status;

/// The input of every part of the page.
pub(super) struct PageContext<'a> {
    pub(super) status: &'a Status,
    pub(super) query: &'a PageQuery,
    /// The path of the exposition.
    pub(super) metrics: &'a str,
    /// The largest red counter; its bar is the longest.
    pub(super) most: u64,
}

/// The address of the page of one account.
pub(super) struct AccountLink<'a>(pub(super) &'a str);

impl Display for AccountLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "./?account={}", utf8_percent_encode(self.0, NON_ALPHANUMERIC))
    }
}

/// Writes texts with a dot between each two.
pub(super) fn write_joined(html: &mut String, texts: &[&String]) -> fmt::Result {
    for (index, text) in texts.iter().enumerate() {
        let joint = if index > 0 { " · " } else { "" };
        write!(html, "{joint}<bdi>{}</bdi>", Escaped(text))?;
    }
    Ok(())
}
