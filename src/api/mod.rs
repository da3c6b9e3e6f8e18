//! The client of the Wazzup24 API: version 2 (technical partners) and version 3 (public).
//!
//! A [`Client`] belongs to one account and is used by its poller. Every request waits at the account's
//! [`Limiter`](crate::limit::Limiter), follows no redirect, reads a bounded response and is counted by its
//! [`Outcome`](crate::metrics::Outcome). What upstream does is described in docs/upstream.md, with how
//! sure we are of it.

mod clear;
mod client;
mod freshness;
mod lists;
mod urls;
mod wire;

pub use self::clear::{ClearOutcome, SingleUseClient};
pub use self::client::{ATTEMPTS_MAX, Client, CounterResponse};
pub use self::urls::counter_url;
pub use self::wire::{
    ClearResponse, Listed, ListedUser, UnreadableRows, parse_channels, parse_counter, parse_reset,
    parse_roles, parse_users, parse_webhooks,
};
