//! Reads the configuration: YAML in, valid [`Account`](crate::account::Account)s or every problem at once out.
//!
//! [`load`] reads the main file and the account files that it names; [`parse`] does the same for
//! bytes, and [`reload`] keeps the accounts of a file that broke while the exporter runs, as
//! `admission` decides. The binary calls them at the start and for `check-config`.
//!
//! The files are serde types, one file for each part of them: `file` has the whole, `settings`, `partners`,
//! `accounts`, `auth`, `network`, `lists`, `users` and `reset` what stands in it. Their comments
//! are the documentation of the keys: `make generated` writes docs/config.schema.json and the tables of
//! docs/configuration.md from them. They are made of what `key` has and of the values of
//! `value`, which know their place; beside each type stands the check that makes a part of an
//! [`Account`](crate::account::Account) of it. `budget` says whether upstream has room for all of it, and
//! [`render()`] writes what runs for `/config`.
//!
//! Nothing here prints a value that may be a secret, wherever a person put it by mistake.

mod accounts;
mod admission;
mod auth;
mod budget;
mod claims;
mod file;
mod file_scope;
mod key;
mod lists;
mod load;
mod network;
mod partners;
mod reset;
mod settings;
mod source;
mod token;
mod users;
mod value;

pub use self::admission::AccountFile;
pub use self::budget::over_budget;
pub use self::file::render;
pub use self::file_scope::Permissions;
pub use self::load::{AccountCheck, Config, NoSuchAccount, Running, load, parse, reload};
pub use self::settings::GlobalSettings;
pub use crate::problems::{ConfigError, ConfigProblem};

#[cfg(test)]
mod tests;
