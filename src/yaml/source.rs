//! The files of a configuration: a [`SourceFile`] and the checks around reading one.
//!
//! A source keeps its bytes until all problems have their line; it has no `Debug`, for the bytes
//! may hold secrets.

use std::path::{Path, PathBuf};

use crate::files::{FileMode, OpenFile};

/// One file of the configuration.
pub(crate) struct SourceFile {
    /// Where it is, as it shall be called in messages.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
    /// Its permissions, where it is a file at all.
    pub(crate) mode: Option<FileMode>,
}

impl SourceFile {
    /// Reads an open file of up to `limit` bytes. The error follows the file's name; `remedy` is
    /// what to do about a larger one.
    pub(crate) fn read(
        path: &Path,
        file: OpenFile,
        limit: u64,
        remedy: &str,
    ) -> Result<Self, String> {
        let mode = Some(file.mode());
        let bytes = file.read(limit)?;
        let bytes = bytes.ok_or_else(|| format!("is larger than {} MiB; {remedy}", limit >> 20))?;
        Ok(Self { path: path.to_owned(), bytes, mode })
    }

    /// The folder against which the file's relative paths count.
    pub(crate) fn folder(&self) -> PathBuf {
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        absolute.parent().map(Path::to_owned).unwrap_or_default()
    }
}
