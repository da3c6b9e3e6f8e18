//! The files of a configuration: a [`Source`] and the checks around reading one.
//!
//! A source keeps its bytes until all problems have their line; it has no `Debug`, for the bytes
//! may hold secrets.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// One file of the configuration.
pub(crate) struct Source {
    /// Where it is, as it shall be called in messages.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
    /// Its permission bits, where it is a file at all.
    pub(crate) mode: Option<u32>,
}

impl Source {
    /// Reads a file of up to `limit` bytes; what fails is told in words that follow the file's name.
    /// `remedy` is what to do about a larger one.
    pub(crate) fn read(path: &Path, limit: u64, remedy: &str) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("cannot be read: {error}");
        let mut file = File::open(path).map_err(cannot)?;
        let mode = file.metadata().map_err(cannot)?.permissions().mode();
        let bytes = read_at_most(&mut file, limit).map_err(cannot)?;
        let bytes = bytes.ok_or_else(|| format!("is larger than {} MiB; {remedy}", limit >> 20))?;
        Ok(Self { path: path.to_owned(), bytes, mode: Some(mode & 0o7777) })
    }

    /// The folder against which the file's relative paths count.
    pub(crate) fn folder(&self) -> PathBuf {
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        absolute.parent().map(Path::to_owned).unwrap_or_default()
    }
}

/// The whole content, or nothing if it is longer than `limit`.
pub(crate) fn read_at_most(file: &mut File, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let length = file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((length as u64 <= limit).then_some(bytes))
}

/// Refuses everything but a regular file, before opening it: a pipe would block for ever.
pub(crate) fn check_regular(path: &Path) -> Result<fs::Metadata, String> {
    let about = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if about.is_file() { Ok(about) } else { Err("is not a regular file".to_owned()) }
}
