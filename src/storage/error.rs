//! Why something could not be stored or read: the path, the cause and what to do about it.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The account's folder has an owner already.
    #[error(
        "{} is locked by {}; only one may use an account's storage: stop the other one, or choose \
         another folder with --storage.path",
        path.display(),
        owner(*pid)
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The owner's process id as it sees it itself, where the file holds it.
        pid: Option<u32>,
    },
    /// The disk does not respond.
    #[error(
        "{} does not respond; the disk or the network file system below it hangs. It is tried again",
        .0.display()
    )]
    Hung(PathBuf),
    /// It is not what belongs there, or not safe.
    #[error("{} {why}", path.display())]
    Unusable {
        /// What is in the way.
        path: PathBuf,
        /// Why, and what to do.
        why: Cow<'static, str>,
    },
    /// What the operating system says.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
}

impl StorageError {
    pub(super) fn unusable(path: PathBuf, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Unusable { path, why: why.into() }
    }

    /// A symbolic link, or something else than what is `expected`.
    pub(super) fn not_plain(path: PathBuf, expected: &str) -> Self {
        let why = format!(
            "is not a {expected}, or is one behind a symbolic link, which is not followed here; put a \
             {expected} in its place, or remove it"
        );
        Self::unusable(path, why)
    }

    /// More than may be written or read.
    pub(super) fn too_large(path: PathBuf, limit: u64) -> Self {
        Self::unusable(path, format!("is larger than {} MiB; move it away", limit >> 20))
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; the disk is full, make room on it",
        io::ErrorKind::QuotaExceeded => "; the quota is used up, make room or raise it",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is mounted read-only, choose another folder with --storage.path"
        }
        io::ErrorKind::PermissionDenied => {
            "; give the exporter's user access, or choose another folder with --storage.path"
        }
        _ => "",
    }
}
