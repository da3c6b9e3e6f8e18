//! Reads the configuration: YAML in, valid [`Account`]s or every problem at once out.
//!
//! [`load`] reads the main file and the account files that it names; [`parse`] does the same for
//! bytes. The binary calls them at the start and for `check-config`. The way of a file:
//! `source` reads it, [`yaml`](crate::yaml) parses it, walks it and finds the line of what is wrong,
//! `accounts`, `auth`, `partners`, `lists`, `users`, `network`, `reset`, `settings` and `value` say what
//! each key means, and `budget` whether upstream has room for all of it. `reading` holds them together,
//! and [`render()`] goes the way back, for `/config`.
//!
//! Nothing here prints a value that may be a secret, wherever a person put it by mistake.

mod accounts;
mod auth;
mod budget;
mod ca;
mod lists;
mod network;
mod partners;
mod reading;
mod render;
mod reset;
mod settings;
mod source;
mod token;
mod users;
mod value;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Account, Export, Partner, Poll};
use crate::yaml::{hint, node, problem, report, tree};

pub use self::render::render;
pub use crate::yaml::{ConfigError, Problem};
use source::Source;

/// A complete, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The accounts in the order of the files and within them; at least one, no name twice.
    pub accounts: Vec<Account>,
    /// What is said beside the accounts.
    pub settings: Settings,
    /// FNV-1a over the contents of all files in the order of reading, and over the certificates of
    /// authorities that they name.
    pub hash: u64,
    /// What is legal but unwise.
    pub warnings: Vec<Problem>,
}

/// What a configuration says beside its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The rhythm of accounts that set none of their own.
    pub poll: Poll,
    /// Requests in flight at the same time over all accounts.
    pub max_in_flight: usize,
    /// What of the accounts is shown.
    pub export: Export,
    /// Below which directory files lie that account files name.
    pub secrets_dir: Option<PathBuf>,
    /// The logins that accounts may name, in the order of their names.
    pub partners: Vec<Arc<Partner>>,
}

/// What a configuration may ask for only if the command line allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Whether programs may be run for tokens (`--config.allow-token-command`).
    pub token_command: bool,
}

/// Reads a configuration from a file and from the account files that it names.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn load(path: &Path, permissions: Permissions) -> Result<Config, ConfigError> {
    match source::read_main(path) {
        Ok(main) => reading::read(main, permissions, &|name| std::env::var_os(name)),
        Err(message) => {
            let file = path.to_owned();
            let problem = Problem { file, line: None, column: None, message };
            Err(ConfigError { problems: vec![problem], more: 0, warnings: Vec::new() })
        }
    }
}

/// Reads a configuration from bytes, with no permissions. `file` gives it a name, and a folder against which the relative
/// paths in it count.
///
/// # Errors
/// Everything that is wrong, with its place and what to do.
pub fn parse(text: &[u8], file: &Path) -> Result<Config, ConfigError> {
    let main = Source { path: file.to_owned(), bytes: text.to_owned(), mode: None };
    reading::read(main, Permissions::default(), &|name| std::env::var_os(name))
}
