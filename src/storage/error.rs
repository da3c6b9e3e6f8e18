//! Why something could not be stored or read: the path, the cause and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::files::FileMode;

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
    /// A symbolic link, or something else that does not belong there.
    #[error(
        "{} is not a {expected}, or is one behind a symbolic link, which is not followed here; put a \
         {expected} in its place, or remove it",
        path.display()
    )]
    NotPlain {
        /// What is in the way.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// A folder in which others could replace files.
    #[error(
        "others may write to {0} (mode {mode}); if they have not, run chmod go-w {0}",
        path.display()
    )]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: FileMode,
    },
    /// A folder of another user, who may have put it there and may change it.
    #[error(
        "{} belongs to another user than this process runs as; run it as that user, move the folder away, or \
         choose another one with --storage.path",
        .0.display()
    )]
    Foreign(PathBuf),
    /// More than may be written or read.
    #[error("{} is larger than {} MiB; move it away", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
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
