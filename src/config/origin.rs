//! Which file an account stands in, and what may be named there: see [`auth`](super::auth).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::key::Key;
use super::token::confine;
use super::value::PathText;
use crate::problems::place::name_of;
use crate::problems::report::Noted;
use crate::problems::scope::Scope;

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
    pub(super) folder: PathBuf,
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
    /// Whether it is an account file.
    pub(super) fn is_account_file(&self) -> bool {
        matches!(self.trust, FileTrust::AccountFile { .. })
    }

    /// Where the file under a key is and what `check` finds in it, if it may be named here. `check` says what
    /// is wrong in words that follow the file's name.
    pub(super) fn optional_file<T>(
        &self,
        key: &Key<PathText>,
        name: &str,
        scope: &mut Scope<'_>,
        check: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Result<Option<T>, Noted> {
        let Some(written) = key.check(name, scope)? else { return Ok(None) };
        let checked = self.reach(&written.0).and_then(|path| {
            check(&path).map_err(|fault| format!("{} {fault}", name_of(&written.0, &path)))
        });
        checked.map(Some).map_err(|fault| {
            scope.problem(key.at(), name, fault);
            Noted
        })
    }

    /// The path of a file with a secret, after `check` has looked into it; warns of what it warns of.
    pub(super) fn secret_file(
        &self,
        key: &Key<PathText>,
        name: &str,
        scope: &mut Scope<'_>,
        check: impl FnOnce(&Path) -> Result<Option<String>, String>,
    ) -> Result<Option<PathBuf>, Noted> {
        let checked = self.optional_file(key, name, scope, |path| {
            check(path).map(|warning| (path.to_owned(), warning))
        })?;
        let Some((path, warning)) = checked else { return Ok(None) };
        if let (Some(warning), Some(written)) = (warning, key.good()) {
            scope.warn(key.at(), name, format_args!("{} {warning}", name_of(&written.0, &path)));
        }
        Ok(Some(path))
    }

    fn reach(&self, written: &str) -> Result<PathBuf, String> {
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
