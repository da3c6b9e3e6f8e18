//! Finding and reading the files of a configuration.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::files::OpenFile;
use crate::text;

pub(super) use crate::yaml::source::SourceFile;

/// Largest file that is read; some 200,000 users, and the end of `/dev/zero`.
const SIZE_MAX: u64 = 16 << 20;
/// Most files that patterns may name together.
const FILES_MAX: usize = 10_000;

/// Reads the main file, which may be a pipe. The error follows the file's name.
pub(super) fn read_main(path: &Path) -> Result<SourceFile, String> {
    read(path, OpenFile::any(path)?)
}

/// Reads an open file. The error follows the file's name.
pub(super) fn read(path: &Path, file: OpenFile) -> Result<SourceFile, String> {
    SourceFile::read(path, file, SIZE_MAX, "split it with account_files")
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
            let path = text::path(error.path());
            format!("cannot be searched for: {path}: {}", error.error())
        })?);
    }
    Ok(files)
}
