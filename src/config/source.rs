//! The files of a configuration: reading them, and finding those that a pattern names.
//!
//! A [`Source`] keeps its bytes until all problems have their line; it has no `Debug`, for the bytes
//! may hold tokens.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::problem::shown_path;

/// Largest file that is read; some 200,000 users, and the end of `/dev/zero`.
const SIZE_MAX: u64 = 16 << 20;
/// Most files that patterns may name together.
const FILES_MAX: usize = 10_000;

/// One file of the configuration.
pub(super) struct Source {
    /// Where it is, as it shall be called in messages.
    pub(super) path: PathBuf,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
    /// Its permission bits, where it is a file at all.
    pub(super) mode: Option<u32>,
}

impl Source {
    /// Reads a file; what fails is told in words that follow the file's name.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("cannot be read: {error}");
        let mut file = File::open(path).map_err(cannot)?;
        let mode = file.metadata().map_err(cannot)?.permissions().mode();
        let bytes = read_at_most(&mut file, SIZE_MAX).map_err(cannot)?;
        let bytes = bytes.ok_or_else(|| {
            format!("is larger than {} MiB; split it with account_files", SIZE_MAX >> 20)
        })?;
        Ok(Self { path: path.to_owned(), bytes, mode: Some(mode & 0o7777) })
    }

    /// The folder against which the file's relative paths count.
    pub(super) fn folder(&self) -> PathBuf {
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        absolute.parent().map(Path::to_owned).unwrap_or_default()
    }
}

/// The whole content, or nothing if it is longer than `limit`.
pub(super) fn read_at_most(file: &mut File, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let length = file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((length as u64 <= limit).then_some(bytes))
}

/// The files that a name or pattern in `account_files` stands for, in sorted order.
///
/// Without `*`, `?` and `[` it is the name of one file, which then must exist; a pattern may match
/// nothing. Hidden files must be named as such, so that the droppings of editors are not loaded.
pub(super) fn expand(folder: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    if !name.contains(['*', '?', '[']) {
        return Ok(vec![folder.join(name)]);
    }
    let folder = folder.to_str().ok_or("cannot be searched for: the folder is not UTF-8")?;
    let whole = Path::new(&Pattern::escape(folder)).join(name);
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob::glob_with(&whole.to_string_lossy(), options)
        .map_err(|error| format!("is not a pattern: {}", error.msg))?;
    let mut files = Vec::new();
    for path in found {
        if files.len() == FILES_MAX {
            return Err(format!("matches more than {FILES_MAX} files; narrow it"));
        }
        files.push(path.map_err(|error| {
            let path = shown_path(error.path());
            format!("cannot be searched for: {path}: {}", error.error())
        })?);
    }
    Ok(files)
}

/// Refuses everything but a regular file, before opening it: a pipe would block for ever.
pub(super) fn check_regular(path: &Path) -> Result<fs::Metadata, String> {
    let about = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if about.is_file() { Ok(about) } else { Err("is not a regular file".to_owned()) }
}
