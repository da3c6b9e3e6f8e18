//! An open folder, and what is done in it by name without ever following a symbolic link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, Mode, OFlags, accessat, chmodat, fchmod, fstat, fsync, mkdirat, open, openat,
    renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::error::StorageError;
use crate::files::FileMode;

/// Largest file that is written or read, logs excepted, in bytes.
pub const SIZE_MAX: u64 = 64 << 20;

/// How folders are opened: enough to use and to sync them.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// How files are opened: a pipe in their place must not block.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open folder.
pub(super) struct Folder {
    fd: OwnedFd,
    /// As it was when opened; for messages only.
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at a path, which may lead through links; `None` if there is nothing.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, StorageError> {
        Self::opened(open(or_current(path), FOLDER, Mode::empty()), path.to_owned())
    }

    /// Opens the folder at a path at which there is something.
    pub(super) fn existing(path: &Path) -> Result<Self, StorageError> {
        Self::open(path)?.ok_or_else(|| failed("open", path.to_owned(), Errno::NOENT))
    }

    /// Opens the folder at a path and makes what is missing of it.
    pub(super) fn open_or_make(path: &Path) -> Result<Self, StorageError> {
        match (Self::open(path)?, path.parent(), path.file_name()) {
            (Some(folder), ..) => Ok(folder),
            (None, Some(parent), Some(name)) => Self::open_or_make(parent)?.make(name),
            (None, ..) => Self::existing(path),
        }
    }

    /// Opens a folder in this one; `None` if there is nothing.
    pub(super) fn inside(&self, name: &OsStr) -> Result<Option<Self>, StorageError> {
        let opened = openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        Self::opened(opened, self.path.join(name))
    }

    /// Opens a folder in this one, made where there is none; it survives a power loss.
    pub(super) fn make(&self, name: &OsStr) -> Result<Self, StorageError> {
        let path = self.path.join(name);
        let made = match mkdirat(&self.fd, name, FOLDER_MODE) {
            // The umask may have taken some of it.
            Ok(()) => chmodat(&self.fd, name, FOLDER_MODE, AtFlags::empty()),
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        };
        made.map_err(|source| failed("create", path.clone(), source))?;
        // Also if it exists: who made it may have been killed before this.
        self.sync()?;
        self.inside(name)?.ok_or_else(|| failed("open", path, Errno::NOENT))
    }

    fn opened(opened: Result<OwnedFd, Errno>, path: PathBuf) -> Result<Option<Self>, StorageError> {
        match opened {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(StorageError::not_plain(path, "folder")),
            Err(source) => Err(failed("open", path, source)),
        }
    }

    /// A folder of an account in this one, unless others may write to it. It must be our own where others
    /// may write to this one, as to the root of a volume, and for root, who may use everybody's. In the
    /// former case the write permission of its group, which `fsGroup` gives at each mount, is taken away.
    pub(super) fn check_private(&self, inner: Self) -> Result<Self, StorageError> {
        let ((outer, _), (mode, is_own)) = (self.access()?, inner.access()?);
        let is_shared = outer.is_writable_by_group_or_others();
        if (is_shared || geteuid().is_root()) && !is_own {
            let why = "belongs to another user than this process runs as; run it as that user, move the \
                folder away, or choose another one with --storage.path";
            return Err(StorageError::unusable(inner.path, why));
        }
        if !mode.is_writable_by_group_or_others() {
            return Ok(inner);
        }
        if !is_shared || mode.is_writable_by_others() {
            let why = format!(
                "may be written to by others (mode {mode}); if they have not, run chmod go-w {}",
                inner.path.display()
            );
            return Err(StorageError::unusable(inner.path, why));
        }
        let closed = fchmod(&inner.fd, FOLDER_MODE);
        closed.map_err(|error| failed("close", inner.path.clone(), error))?;
        Ok(inner)
    }

    /// Who may write to the folder, and whether it is our own.
    fn access(&self) -> Result<(FileMode, bool), StorageError> {
        let stat = fstat(&self.fd).map_err(|error| failed("open", self.path.clone(), error))?;
        Ok((FileMode::of(stat.st_mode), stat.st_uid == geteuid().as_raw()))
    }

    /// Whether this process may create something here; a read-only file system is noticed, too.
    pub(super) fn check_writable(&self) -> Result<(), StorageError> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        accessat(&self.fd, ".", access, AtFlags::empty())
            .map_err(|source| failed("write to", self.path.clone(), source))
    }

    /// Opens a file; `None` if there is nothing, an error if it is something else.
    pub(super) fn file(&self, name: &str, flags: OFlags) -> Result<Option<File>, StorageError> {
        let other = || StorageError::not_plain(self.path(name), "file");
        let file = match openat(&self.fd, name, flags | FILE, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(other()),
            Err(source) => return Err(self.failed("open", name, source)),
        };
        let about = file.metadata().map_err(|source| self.failed("open", name, source))?;
        if about.is_file() { Ok(Some(file)) } else { Err(other()) }
    }

    /// Creates a file that does not exist.
    pub(super) fn create(&self, name: &str, flags: OFlags) -> Result<File, StorageError> {
        let flags = flags | FILE | OFlags::CREATE | OFlags::EXCL;
        let created = openat(&self.fd, name, flags, FILE_MODE).and_then(|fd| {
            // The umask may have taken some of it.
            fchmod(&fd, FILE_MODE)?;
            Ok(File::from(fd))
        });
        created.map_err(|source| self.failed("create", name, source))
    }

    /// Opens a file, created where there is none, even if another process creates it meanwhile.
    pub(super) fn open_or_create(&self, name: &str, flags: OFlags) -> Result<File, StorageError> {
        loop {
            if let Some(file) = self.file(name, flags)? {
                return Ok(file);
            }
            match self.create(name, flags) {
                Err(StorageError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
    }

    /// The content of a file, or `None` if there is nothing.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(file) = self.file(name, OFlags::RDONLY)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(SIZE_MAX + 1).read_to_end(&mut bytes);
        let length = read.map_err(|source| self.failed("read", name, source))?;
        if length as u64 > SIZE_MAX {
            return Err(StorageError::too_large(self.path(name), SIZE_MAX));
        }
        Ok(Some(bytes))
    }

    /// Puts `bytes` in the place of a file's content by way of the file `new`. Afterwards they survive
    /// a power loss; otherwise the old content is there, or the new.
    pub(super) fn replace(&self, name: &str, new: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.remove(new)?;
        let replaced = self.create(new, OFlags::WRONLY).and_then(|mut file| {
            let written = file.write_all(bytes).and_then(|()| file.sync_all());
            written.map_err(|source| self.failed("write", name, source))?;
            self.rename(new, name)?;
            self.sync()
        });
        if replaced.is_err() {
            // It fills a disk that may be full; if it cannot be removed now, the next write does.
            let _ = self.remove(new);
        }
        replaced
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        renameat(&self.fd, from, &self.fd, to).map_err(|source| self.failed("replace", to, source))
    }

    /// Removes a file if it exists.
    pub(super) fn remove(&self, name: &str) -> Result<(), StorageError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(self.failed("remove", name, source)),
        }
    }

    /// Makes what was created, renamed and removed here survive a power loss.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        fsync(&self.fd).map_err(|source| failed("write to", self.path.clone(), source))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn failed(
        &self,
        action: &'static str,
        name: &str,
        source: impl Into<io::Error>,
    ) -> StorageError {
        failed(action, self.path(name), source)
    }
}

/// The empty path, above every relative one, as the system knows it.
pub(super) fn or_current(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn failed(action: &'static str, path: PathBuf, source: impl Into<io::Error>) -> StorageError {
    StorageError::Io { action, path, source: source.into() }
}
