//! Reads the configuration: YAML in, valid [`Account`](crate::account::Account)s or every problem at once out.
//!
//! [`load`] reads the main file and the account files that it names; [`parse`] does the same for
//! bytes, and [`reload`] keeps the accounts of a file that broke while the exporter runs, as
//! `admission` decides. The binary calls them at the start and for `check-config`. The way of a file:
//! `source` reads it, [`yaml`](crate::yaml) parses it, walks it and finds the line of what is wrong,
//! `accounts`, `auth`, `partners`, `lists`, `users`, `network`, `reset`, `settings` and `value` say what
//! each key means, and `budget` whether upstream has room for all of it. `reading` holds them together,
//! and [`render()`] goes the way back, for `/config`.
//!
//! Nothing here prints a value that may be a secret, wherever a person put it by mistake.

mod accounts;
mod admission;
mod auth;
mod budget;
mod ca;
mod claims;
mod lists;
mod load;
mod network;
mod origin;
mod partners;
mod render;
mod reset;
mod settings;
mod source;
mod token;
mod users;
mod value;

pub use self::admission::AccountFile;
pub use self::load::{AccountCheck, Config, Running, load, parse, reload};
pub use self::origin::Permissions;
pub use self::render::render;
pub use self::settings::GlobalSettings;
pub use crate::yaml::{ConfigError, ConfigProblem};

#[cfg(test)]
mod tests;
