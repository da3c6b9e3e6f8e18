//! The metric families of accounts and users: their names, their HELP and what writes them.
//!
//! Each family is one row of a table. The order of the tables is that of the families in the exposition.

mod accounts;
mod family;
mod users;

pub(super) use self::accounts::ACCOUNT_FAMILIES;
pub(super) use self::family::{Context, Family, account_labels, user_labels};
pub(super) use self::users::USER_FAMILIES;
