//! Finding and reading the files of a configuration.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use crate::files::{FileMode, OpenFile};
use crate::problems::scope::Scope;
use crate::text;

/// Largest file that is read; some 200,000 users, and the end of `/dev/zero`.
const SIZE_MAX: u64 = 16 << 20;
/// Most files that patterns may name together.
const FILES_MAX: usize = 10_000;

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
    /// Folders that cannot be searched, so that nobody knows what is in them, and why.
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
    let mut parts = Vec::new();
    for component in Path::new(name).components() {
        let part = component.as_os_str().to_string_lossy().into_owned();
        parts.push(match (is_pattern(&part), part.as_str()) {
            (true, "**") => {
                return Err("is not a pattern: ** is not known; write a * for each folder".into());
            }
            (true, text) => {
                let pattern = Pattern::new(text);
                Part::Pattern(pattern.map_err(|error| format!("is not a pattern: {}", error.msg))?)
            }
            (false, _) => Part::Name(part),
        });
    }
    let mut found = Found::default();
    let known = parts.iter().take_while(|part| matches!(part, Part::Name(_))).count();
    let (names, parts) = parts.split_at(known);
    let base = names.iter().fold(folder.to_owned(), |path, part| match part {
        Part::Name(name) => path.join(name),
        Part::Pattern(_) => path,
    });
    found.search(base.clone(), parts);
    if found.files.len() > FILES_MAX {
        let fault = format!("has more than {FILES_MAX} files of the pattern; narrow it");
        found = Found { files: Vec::new(), faults: vec![(base, fault)] };
    }
    found.files.sort();
    Ok(found)
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// A piece of a pattern, between two slashes.
enum Part {
    Name(String),
    Pattern(Pattern),
}

impl Found {
    /// Follows `parts` from `path` on.
    fn search(&mut self, path: PathBuf, parts: &[Part]) {
        match parts.split_first() {
            None => self.files.push(path),
            Some((Part::Name(name), rest)) => {
                let path = path.join(name);
                // Where something stands in the way there is certainly no such file.
                match path.symlink_metadata() {
                    Err(error) if is_absent(&error) => {}
                    Err(error) => self.fault(path, &error),
                    Ok(_) => self.search(path, rest),
                }
            }
            Some((Part::Pattern(pattern), rest)) => match list(&path) {
                Err(error) if is_absent(&error) => {}
                Err(error) => self.fault(path, &error),
                Ok(names) => {
                    for name in names.iter().filter(|name| matches(pattern, name)) {
                        if self.files.len() > FILES_MAX {
                            return;
                        }
                        self.search(path.join(name), rest);
                    }
                }
            },
        }
    }

    fn fault(&mut self, path: PathBuf, error: &io::Error) {
        self.faults.push((path, format!("cannot be searched for account files: {error}")));
    }
}

fn list(folder: &Path) -> io::Result<Vec<OsString>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.read_dir()?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

fn matches(pattern: &Pattern, name: &OsStr) -> bool {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    name.to_str().is_some_and(|name| pattern.matches_with(name, options))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
