//! The JSON of the API, and nothing that is not in it.
//!
//! Shapes: docs/upstream.md. Parsers are functions over bytes, because a network can send anything.

mod counter;
#[cfg(test)]
mod fixtures;
mod lists;
mod reset;
mod rows;

pub use self::counter::parse_counter;
pub use self::lists::{ListedUser, parse_channels, parse_roles, parse_users, parse_webhooks};
pub(super) use self::lists::{USERS_MAX, shortened};
pub use self::reset::{ClearResponse, parse_reset};
pub use self::rows::{Listed, UnreadableRows};
