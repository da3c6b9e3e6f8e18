//! Finding and reading the files of a configuration.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use crate::files::{FileMode, OpenFile};
use crate::problems::report::Scope;
use crate::text;

/// Largest file that is read; some 200,000 users, and the end of `/dev/zero`.
const SIZE_MAX: u64 = 16 << 20;
/// Most files that a pattern may name.
const FILES_MAX: usize = 10_000;
/// Folders on the way to them, and files, at most.
const PATHS_MAX: usize = 10 * FILES_MAX;

/// One file of the configuration. It has no `Debug`, for the bytes may hold secrets.
pub(super) struct SourceFile {
    /// Where it is, as it shall be called in messages.
    pub(super) path: Arc<Path>,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
    /// Its permissions, where it is a file at all.
    pub(super) mode: Option<FileMode>,
}

impl SourceFile {
    /// Reads the main file, which may be a pipe. The error follows the file's name.
    pub(super) fn main(path: &Path) -> Result<Self, String> {
        Self::read(path, OpenFile::any(path)?)
    }

    /// Reads an open file. The error follows the file's name.
    pub(super) fn read(path: &Path, file: OpenFile) -> Result<Self, String> {
        let mode = Some(file.mode());
        let bytes = file.read(SIZE_MAX)?.ok_or_else(|| {
            format!("is larger than {} MiB; split it with account_files", SIZE_MAX >> 20)
        })?;
        Ok(Self { path: path.into(), bytes, mode })
    }

    /// Says who else may touch a file with accounts; more so if it holds a secret itself.
    pub(super) fn judge_mode(&self, secret: bool, scope: &mut Scope<'_>) {
        let (mode, path) = (self.mode.unwrap_or_default(), text::path(&self.path));
        if !secret {
            if mode.is_writable_by_others() {
                let what = "can be changed by every user of the host, who could have the tokens \
                            sent elsewhere";
                scope.warn(None, "", format!("{what} (mode {mode}); chmod o-w {path}"));
            }
        } else if mode.is_writable_by_group_or_others() {
            let what = "holds a secret and can be changed by others than its owner";
            scope.problem(None, "", format!("{what} (mode {mode}); chmod go-w {path}"));
        } else if mode.is_readable_by_others() {
            let what = "holds a secret and can be read by every user of the host";
            scope.warn(None, "", format!("{what} (mode {mode}); chmod o-r {path}"));
        }
    }

    /// One that cannot be read.
    pub(super) fn unread(path: &Path) -> Self {
        Self { path: path.into(), bytes: Vec::new(), mode: None }
    }
}

/// What a name or pattern in `account_files` stands for.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files, in sorted order.
    pub(super) files: Vec<PathBuf>,
    /// Folders that cannot be searched, so that it is not known what is in them, and why.
    pub(super) faults: Vec<(PathBuf, String)>,
}

/// Looks for what a name or pattern in `account_files` stands for.
///
/// Without `*`, `?` and `[` it is the name of one file, which then must exist; a pattern may match
/// nothing. Hidden files must be named as such, so that the droppings of editors are not loaded.
pub(super) fn expand(folder: &Path, name: &str) -> Result<Found, String> {
    if !is_pattern(name) {
        return Ok(Found { files: vec![folder.join(name)], faults: Vec::new() });
    }
    let mut found = Found::default();
    let mut paths = vec![folder.to_owned()];
    let mut base = None;
    for component in Path::new(name).components() {
        let part = component.as_os_str().to_string_lossy();
        if is_pattern(&part) {
            let pattern = pattern(&part)?;
            base = base.or_else(|| paths.first().cloned());
            paths = paths.iter().flat_map(|path| found.matches(path, &pattern)).collect();
            if let Some(base) = base.as_ref().filter(|_| paths.len() > PATHS_MAX) {
                let fault = format!("has more than {PATHS_MAX} folders for the pattern; narrow it");
                return Ok(Found { files: Vec::new(), faults: vec![(base.clone(), fault)] });
            }
        } else {
            for path in &mut paths {
                path.push(&*part);
            }
            if base.is_some() {
                paths.retain(|path| found.exists(path));
            }
        }
    }
    if let Some(base) = base.filter(|_| paths.len() > FILES_MAX) {
        let fault = format!("has more than {FILES_MAX} files of the pattern; narrow it");
        return Ok(Found { files: Vec::new(), faults: vec![(base, fault)] });
    }
    paths.sort();
    found.files = paths;
    Ok(found)
}

fn pattern(part: &str) -> Result<Pattern, String> {
    if part == "**" {
        return Err("is not a pattern: ** is not known; write a * for each folder".to_owned());
    }
    Pattern::new(part).map_err(|error| format!("is not a pattern: {}", error.msg))
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

impl Found {
    /// What is in a folder and fits to a pattern.
    fn matches(&mut self, folder: &Path, pattern: &Pattern) -> Vec<PathBuf> {
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let fits =
            |name: &OsStr| name.to_str().is_some_and(|name| pattern.matches_with(name, options));
        let names = list(folder).unwrap_or_else(|error| {
            self.note(folder, &error);
            Vec::new()
        });
        let names = names.into_iter().filter(|name| fits(name));
        names.map(|name| folder.join(name)).collect()
    }

    fn exists(&mut self, path: &Path) -> bool {
        path.symlink_metadata().map_err(|error| self.note(path, &error)).is_ok()
    }

    /// Notes what cannot be searched. Where something stands in the way there is certainly no such file.
    fn note(&mut self, path: &Path, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            let fault = format!("cannot be searched for account files: {error}");
            self.faults.push((path.to_owned(), fault));
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<OsString>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.read_dir()?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}
