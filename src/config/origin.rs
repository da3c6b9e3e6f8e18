//! Which file an account stands in, and what may be named there: see [`auth`](super::auth).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::token::confine;

/// What a configuration may ask for only if the command line allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Whether programs may be run for tokens (`--config.allow-token-command`).
    pub token_command: bool,
}

/// Looks up an environment variable; a parameter so that tests need not change their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The file an account stands in, as far as its secrets matter.
pub(super) struct Origin<'a> {
    /// The folder against which relative paths count.
    pub(super) folder: &'a Path,
    /// The environment.
    pub(super) environment: Environment<'a>,
    /// What the command line allows.
    pub(super) permissions: Permissions,
    /// What the file may name.
    pub(super) trust: FileTrust<'a>,
    /// Whether the file holds a secret itself.
    pub(super) literal: bool,
}

impl Origin<'_> {
    /// Where the file at `written` is, if it may be named here.
    pub(super) fn reach(&self, written: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(written);
        match self.trust {
            FileTrust::Main => Ok(path),
            FileTrust::AccountFile { secrets_dir: None, .. } => {
                Err("needs secrets_dir in the main file, a directory that holds the file"
                    .to_owned())
            }
            FileTrust::AccountFile { secrets_dir: Some(dir), stem } => confine(&path, dir, stem),
        }
    }
}

/// How far a file is trusted.
#[derive(Clone, Copy)]
pub(super) enum FileTrust<'a> {
    /// The main file: its author runs the exporter.
    Main,
    /// An account file: files only in its own folder below `secrets_dir`, no environment.
    AccountFile {
        /// The directory, if the main file names one.
        secrets_dir: Option<&'a Path>,
        /// The name of its folder in there: its own without the ending.
        stem: &'a OsStr,
    },
}
