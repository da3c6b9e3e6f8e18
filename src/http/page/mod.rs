//! The status page: which users owe replies, and which figures are not known.
//!
//! The server renders it completely and it works without a script: `page.js` only refreshes it, shows
//! times in the viewer's zone, searches while the user types, and reports when the exporter cannot be
//! reached. All addresses are relative, so that the page works below any prefix, and it loads nothing
//! from other hosts, which [`POLICY`] makes the browser enforce.
//!
//! [`render()`] makes the page: [`query`] selects accounts and users, [`summary`] and
//! [`exporter`] are the parts that concern all accounts, [`account`] is one account with its [`chart`]
//! and [`users_table`].

mod account;
mod assets;
mod chart;
mod exporter;
mod query;
mod render;
mod summary;
mod users_table;

pub(super) use self::assets::{ASSETS, POLICY};
pub(super) use self::query::PageQuery;
pub(super) use self::render::render;

#[cfg(test)]
mod tests;
