//! The status page: who owes replies, and what is not known.
//!
//! It is rendered whole by the server and complete without a script: `page.js` only fetches it again
//! and swaps what has changed, puts times into the viewer's zone, searches while one types, and says
//! when the exporter cannot be reached any more. All addresses are relative, so that the page works
//! below any prefix, and nothing comes from elsewhere, which [`POLICY`] makes the browser enforce.
//!
//! [`ask`] chooses what is shown, [`overview`] writes what concerns all accounts, [`account`] one of
//! them, with [`chart`], [`channels`] and [`people`].

mod account;
mod assets;
mod channels;
mod chart;
mod context;
mod overview;
mod query;
mod render;
mod users_table;

pub(super) use self::assets::{ASSETS, Asset, POLICY};
pub(super) use self::query::PageQuery;
pub(super) use self::render::render;

#[cfg(test)]
mod tests;
