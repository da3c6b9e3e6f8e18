//! What all parts of the page need.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::query::PageQuery;
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
pub(super) fn account_link(name: &str) -> String {
    format!("./?account={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// Texts with a dot between each two.
pub(super) fn joined<'a>(texts: impl IntoIterator<Item = &'a String>) -> Markup {
    html! {
        @for (index, text) in texts.into_iter().enumerate() {
            @if index > 0 { " · " }
            bdi { (text) }
        }
    }
}
