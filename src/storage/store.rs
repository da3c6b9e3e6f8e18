//! The folders of accounts: who may write there, and how.
//!
//! Async code uses [`AccountFiles`]. A disk may hang for minutes: then at most one operation per account and
//! [`OPERATIONS_MAX`] in the process wait for it, each on a thread of its own; who needs another one gets
//! [`StorageError::Hung`] after [`DISK_TIMEOUT`]. An operation that was given up is still carried out when the
//! disk responds again, and before the next one of its account.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::StorageError;
use super::folder::{self, Folder, SIZE_MAX};
use super::folder_name::AccountFolder;
use crate::blocking::{self, lock};

/// The file that is locked by the owner of a folder.
const LOCK: &str = ".lock";
/// The file that is about to replace another one. One name is enough: there is one owner, who writes one
/// file at a time.
const NEW: &str = ".new";

/// Longest time that an operation may take, the wait for its turn included.
pub const DISK_TIMEOUT: Duration = Duration::from_secs(5);
/// How many operations are in progress in a process, out of the threads that it has for blocking work;
/// the others are for rendering and parsing.
const OPERATIONS_MAX: usize = 16;

/// The folder below which every account has one. Clones share what [`Storage::files`] opens.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
    shared: Arc<Mutex<HashMap<AccountFolder, Weak<AccountFiles>>>>,
    operations: Arc<Semaphore>,
}

/// One account's folder, locked until this is dropped.
pub struct AccountStore {
    folder: Folder,
    lock: File,
}

/// One account's files, for several parts of the process. The folder is locked by the first operation and
/// unlocked when the last clone of the [`Arc`] is dropped.
pub struct AccountFiles {
    storage: Storage,
    folder: AccountFolder,
    /// Held by the operation in progress until it ends, however long its caller waits.
    store: Arc<tokio::sync::Mutex<Option<AccountStore>>>,
}

impl Storage {
    /// Names the folder; nothing is created until an account is opened.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let operations = Arc::new(Semaphore::new(OPERATIONS_MAX));
        Self { root: root.into(), shared: Arc::default(), operations }
    }

    /// Whether something could be stored here, found out without changing anything: where the folder
    /// does not exist, the nearest one above it must be writable.
    ///
    /// # Errors
    /// What would be in the way, as far as that can be known in advance.
    pub fn check(&self) -> Result<(), StorageError> {
        if let Some(root) = Folder::open(&self.root)? {
            return root.check_writable();
        }
        let exists = |path: &&Path| folder::or_current(path).symlink_metadata().is_ok();
        let nearest = self.root.ancestors().find(exists).unwrap_or(&self.root);
        Folder::existing(nearest)?.check_writable()
    }

    /// Makes the account's folder where there is none, and locks it.
    ///
    /// # Errors
    /// [`StorageError::Locked`] if it has an owner already, in this process or in another one;
    /// otherwise what is in the way.
    pub fn account(&self, folder: impl Into<AccountFolder>) -> Result<AccountStore, StorageError> {
        let folder = folder.into();
        let root = Folder::open_or_make(&self.root)?;
        adopt_earlier(&root, &folder)?;
        let folder = root.check_private(root.make(OsStr::new(&folder.current))?)?;
        let lock = lock_file(&folder)?;
        folder.remove(NEW)?;
        // What the last owner renamed just before it was killed may not have reached the disk.
        folder.sync()?;
        Ok(AccountStore { folder, lock })
    }

    /// The account's files as several parts of this process use them at the same time; nothing is opened
    /// yet.
    pub fn files(&self, folder: impl Into<AccountFolder>) -> Arc<AccountFiles> {
        let folder = folder.into();
        let mut shared = lock(&self.shared);
        shared.retain(|_, files| files.strong_count() > 0);
        if let Some(files) = shared.get(&folder).and_then(Weak::upgrade) {
            return files;
        }
        let (storage, store) = (self.clone(), Arc::default());
        let files = Arc::new(AccountFiles { storage, folder: folder.clone(), store });
        shared.insert(folder, Arc::downgrade(&files));
        files
    }

    /// Reads an account's file without locking anything; the content is whole, but its owner may
    /// replace it at any time.
    ///
    /// # Errors
    /// As [`AccountStore::read`].
    pub fn read_unlocked(
        &self,
        folder: impl Into<AccountFolder>,
        file: &str,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(folder) = self.existing(&folder.into())? else { return Ok(None) };
        folder.read(file)
    }

    /// Opens an account's file to be read piece by piece, of any size and without locking anything; a
    /// line that is being added may be there in part.
    ///
    /// # Errors
    /// As [`AccountStore::read`], but of any size.
    pub fn open_unlocked(
        &self,
        folder: impl Into<AccountFolder>,
        file: &str,
    ) -> Result<Option<File>, StorageError> {
        let Some(folder) = self.existing(&folder.into())? else { return Ok(None) };
        folder.file(file, OFlags::RDONLY)
    }

    /// The error for a file that could be opened and not be read.
    pub fn unreadable(
        &self,
        folder: impl Into<AccountFolder>,
        file: &str,
        source: io::Error,
    ) -> StorageError {
        let path = self.path_of(&folder.into()).join(file);
        StorageError::Io { action: "read", path, source }
    }

    pub(super) fn path_of(&self, folder: &AccountFolder) -> PathBuf {
        self.root.join(&folder.current)
    }

    /// The account's folder, if there is one.
    fn existing(&self, folder: &AccountFolder) -> Result<Option<Folder>, StorageError> {
        let Some(root) = Folder::open(&self.root)? else { return Ok(None) };
        match (root.inside(OsStr::new(&folder.current))?, &folder.before_number) {
            (None, Some(earlier)) => root.inside(OsStr::new(earlier)),
            (found, _) => Ok(found),
        }
    }

    /// As another process would have it.
    #[cfg(test)]
    pub(super) fn same_place(&self) -> Self {
        Self::new(&self.root)
    }
}

impl AccountFiles {
    /// Reads a file, whichever process owns the folder; the content is whole, but its owner may replace it at any time.
    ///
    /// # Errors
    /// As [`AccountStore::read`].
    pub async fn read_unlocked(
        self: &Arc<Self>,
        file: &'static str,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let files = Arc::clone(self);
        let read = blocking::run(move || files.storage.read_unlocked(files.folder.clone(), file));
        let hung = |_| Err(StorageError::Hung(self.storage.path_of(&self.folder)));
        timeout(DISK_TIMEOUT, read).await.unwrap_or_else(hung)
    }

    /// Runs `work` on the folder, which is made and locked if it is not yet.
    ///
    /// # Errors
    /// [`StorageError::Hung`] if the disk does not respond in time; what is in the way of opening the
    /// folder; and the errors of `work`.
    pub async fn run<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut AccountStore) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let files = Arc::clone(self);
        let operation = async {
            let mut store = Arc::clone(&files.store).lock_owned().await;
            let permit = Arc::clone(&files.storage.operations).acquire_owned().await;
            blocking::run(move || {
                // Both are kept until the work ends, and with them the lock on the folder.
                let _kept = permit;
                let opened = match store.take() {
                    Some(opened) => opened,
                    None => files.storage.account(files.folder.clone())?,
                };
                work(store.insert(opened))
            })
            .await
        };
        let done = timeout(DISK_TIMEOUT, operation).await;
        done.unwrap_or_else(|_| Err(StorageError::Hung(self.storage.path_of(&self.folder)).into()))
    }
}

impl AccountStore {
    /// The whole content of a file, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`StorageError::Unusable`] above [`SIZE_MAX`], and if a symbolic link or anything else but a file is
    /// in its place; otherwise what the system says.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.folder.read(file)
    }

    /// A file opened to be read piece by piece, of any size; `None` if there is none.
    ///
    /// # Errors
    /// As for [`read`](Self::read), but of any size.
    pub fn open(&self, file: &str) -> Result<Option<File>, StorageError> {
        self.folder.file(file, OFlags::RDONLY)
    }

    /// Puts `bytes` in the place of the file's content. After `Ok` they survive a power loss. After
    /// an error, and whenever the process is killed, either the old content is there or the new one.
    ///
    /// # Errors
    /// As for [`read`](Self::read); the old content remains, except that the new one may already be
    /// there, not yet safe from a power loss, if the very last step fails.
    pub fn write(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        if bytes.len() as u64 > SIZE_MAX {
            return Err(StorageError::too_large(self.folder.path(file), SIZE_MAX));
        }
        // Only to refuse what is no plain file: renaming would replace it silently.
        self.folder.file(file, OFlags::RDONLY)?;
        self.folder.replace(file, NEW, bytes)
    }

    /// Adds `line` and a line break to the end of a file, for logs. After `Ok` it survives a power
    /// loss; after an error or a kill a part of it may be there, and the next line starts on a line
    /// of its own all the same.
    ///
    /// # Errors
    /// As for [`read`](Self::read), but of any size, and if `line` holds a line break itself.
    pub fn append(&mut self, file: &str, line: &[u8]) -> Result<(), StorageError> {
        let log = self.folder.open_or_create(file, OFlags::RDWR | OFlags::APPEND)?;
        let failed = |source| self.folder.failed("write", file, source);
        let length = log.metadata().map_err(failed)?.len();
        if length == 0 {
            // Before the first line, so that no line is ever in a file that may yet vanish.
            self.folder.sync()?;
        }
        append_line(log, length, line).map_err(failed)
    }
}

/// Puts a file of 0600 with `bytes` in the place of whatever file is at `path`, which may be a link to
/// one. After `Ok` it survives a power loss; otherwise the old one is there, or the new one.
///
/// # Errors
/// What is in the way; the folder is not made.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let (folder, name, new) = place_of(path)?;
    folder.replace(&name, &new, bytes)
}

/// Whether [`replace_file`] could work, found out without changing anything.
///
/// # Errors
/// What would be in the way, as far as that can be known in advance.
pub fn check_replace_file(path: &Path) -> Result<(), StorageError> {
    place_of(path)?.0.check_writable()
}

/// The folder of a file, its name, and the name of what is about to replace it.
fn place_of(path: &Path) -> Result<(Folder, String, String), StorageError> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = Folder::existing(folder::or_current(path.parent().unwrap_or(&path)))?;
    let Some(name) = path.file_name().and_then(OsStr::to_str).map(str::to_owned) else {
        let why = io::Error::new(io::ErrorKind::InvalidInput, "the file's name is not text");
        return Err(folder.failed("use", "", why));
    };
    // Refuses a folder or a pipe, which renaming would not replace or replace silently.
    folder.file(&name, OFlags::RDONLY)?;
    let new = format!(".{name}.new");
    Ok((folder, name, new))
}

impl Drop for AccountStore {
    fn drop(&mut self) {
        // Closing is not enough while a child process, not yet at its exec, has the file open, too.
        let _ = self.lock.unlock();
    }
}

/// Renames the folder that the account had before its number was configured.
fn adopt_earlier(root: &Folder, folder: &AccountFolder) -> Result<(), StorageError> {
    let (current, Some(earlier)) = (&folder.current, &folder.before_number) else { return Ok(()) };
    if root.inside(OsStr::new(current))?.is_some() {
        return Ok(());
    }
    let Some(found) = root.inside(OsStr::new(earlier))? else { return Ok(()) };
    // Its owner, if any, would not notice.
    let owned = lock_file(&root.check_private(found)?)?;
    root.rename(earlier, current)?;
    // Closing is not enough while a child process, not yet at its exec, has the file open, too.
    let _ = owned.unlock();
    root.sync()
}

fn lock_file(folder: &Folder) -> Result<File, StorageError> {
    let mut lock = folder.open_or_create(LOCK, OFlags::RDWR)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Who it is only helps; an owner that has just come has not written it yet.
            let _ = lock.take(20).read_to_string(&mut owner);
            let pid = owner.trim().parse().ok();
            return Err(StorageError::Locked { path: folder.path(LOCK), pid });
        }
        Err(TryLockError::Error(source)) => return Err(folder.failed("lock", LOCK, source)),
    }
    // On a full disk the lock holds all the same.
    let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    Ok(lock)
}

fn append_line(mut log: File, length: u64, line: &[u8]) -> io::Result<()> {
    let mut last = [b'\n'];
    if let Some(end) = length.checked_sub(1) {
        log.read_exact_at(&mut last, end)?;
    }
    let torn: &[u8] = if last == [b'\n'] { b"" } else { b"\n" };
    log.write_all(&[torn, line, b"\n"].concat())?;
    log.sync_all()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod hung_tests;
