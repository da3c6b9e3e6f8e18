//! Which file is being checked, and what may be named in it: see [`auth`](super::auth).

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use super::key::{Key, missing};
use super::token::{FileWarning, confine};
use super::value::PathText;
use crate::problems::place::{At, name_of};
use crate::problems::report::Scope;

/// What a configuration may ask for only if the command line allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Whether programs may be run for tokens (`--config.allow-token-command`).
    pub token_command: bool,
}

/// Looks up an environment variable; a parameter so that tests need not change their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The file an account stands in, as far as its secrets matter.
pub(super) struct FileContext<'a> {
    /// The folder against which relative paths count.
    pub(super) folder: PathBuf,
    /// The environment.
    pub(super) environment: Environment<'a>,
    /// What the command line allows.
    pub(super) permissions: Permissions,
    /// What the file may name.
    pub(super) trust: FileTrust<'a>,
    /// Whether the file holds a secret itself.
    pub(super) literal: Cell<bool>,
}

/// A part of the file that is being checked.
pub(super) struct FileScope<'r> {
    pub(super) scope: Scope<'r>,
    pub(super) file: &'r FileContext<'r>,
}

impl<'r> Deref for FileScope<'r> {
    type Target = Scope<'r>;

    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl DerefMut for FileScope<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.scope
    }
}

impl FileScope<'_> {
    /// What stands under a key of it.
    pub(super) fn within(&mut self, key: &str) -> FileScope<'_> {
        FileScope { scope: self.scope.within(key), file: self.file }
    }

    /// Whether it is an account file.
    pub(super) fn is_account_file(&self) -> bool {
        matches!(self.file.trust, FileTrust::AccountFile { .. })
    }

    /// Where the file under a key is and what `check` finds in it, if it may be named here. `check` says what
    /// is wrong in words that follow the file's name.
    pub(super) fn optional_file<T>(
        &mut self,
        key: &Key<PathText>,
        name: &str,
        check: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Option<T> {
        let written = key.get(name, self)?;
        let checked = self.file.reach(&written).and_then(|path| {
            check(&path).map_err(|fault| format!("{} {fault}", name_of(&written, &path)))
        });
        checked.map_or_else(|fault| self.refuse(key.at, name, fault), Some)
    }

    /// The path of the file with a secret that a key of the section at `section` has to name, after `check` has
    /// looked into it; warns of what it warns of.
    pub(super) fn secret_file(
        &mut self,
        (key, name): (&Key<PathText>, &str),
        section: At,
        remedy: &str,
        check: impl FnOnce(&Path) -> Result<FileWarning, String>,
    ) -> Option<PathBuf> {
        if !key.is_given() {
            missing(name, section, remedy, self);
        }
        let (path, warning) =
            self.optional_file(key, name, |path| Ok((path.to_owned(), check(path)?)))?;
        if let Some(warning) = warning {
            let written = key.good().map_or("", String::as_str);
            self.warn(key.at, name, format_args!("{} {warning}", name_of(written, &path)));
        }
        Some(path)
    }
}

impl FileContext<'_> {
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
