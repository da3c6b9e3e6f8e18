//! Reading files that other programs write: tokens, passwords, certificates and configurations.
//!
//! What a path names may be replaced by anything at any time, so an [`OpenFile`] is opened without
//! waiting, checked after it was opened, and read up to a limit. A [`FileFingerprint`] notices a
//! replacement without reading. Errors follow the name of the file or key and hold nothing that was
//! read.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::zeroize::Zeroizing;

/// Largest file with a secret, in bytes; a JWT has about a thousand.
const SECRET_MAX: u64 = 64 << 10;

/// Time that the writer of a pipe has.
const WRITER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe, a socket or a device.
    #[error("is not a regular file")]
    NotRegular,
    /// It is larger than what it is for.
    #[error("is too large to hold {0} and nothing else")]
    TooLarge(&'static str),
    /// It is not UTF-8.
    #[error("is not text; put {0} alone into it")]
    NotText(&'static str),
}

/// For where a message is all that is kept.
impl From<FileError> for String {
    fn from(error: FileError) -> Self {
        error.to_string()
    }
}

/// A message of its own, without the name of the file before it.
impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Unreadable(error) => error,
            error => Self::other(format!("it {error}")),
        }
    }
}

/// Whether the system could not read any file at the moment, or this one not now: nothing is known of its content.
pub fn is_of_system(error: &io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::STALE];
    passing.map(Errno::raw_os_error).map(Some).contains(&error.raw_os_error())
}

/// A file that was opened for reading and whose permissions are known.
pub struct OpenFile {
    file: File,
    mode: FileMode,
    size: u64,
}

impl OpenFile {
    /// Opens a regular file.
    ///
    /// # Errors
    /// When it is missing, may not be read or is something else.
    pub fn regular(path: &Path) -> Result<Self, FileError> {
        // Checked before opening, because opening a device may have effects; checked again after,
        // because the file may be replaced in between. Opening a pipe would wait for a writer.
        if !path.metadata()?.is_file() {
            return Err(FileError::NotRegular);
        }
        let file = open(path)?;
        if file.metadata()?.is_file() { Ok(Self::new(file)?) } else { Err(FileError::NotRegular) }
    }

    /// Opens whatever a person names on the command line, pipes included. One without a writer is
    /// empty; what a writer has not sent is waited for up to ten seconds.
    ///
    /// # Errors
    /// When it is missing or may not be read.
    pub fn any(path: &Path) -> Result<Self, FileError> {
        Ok(Self::new(open(path)?)?)
    }

    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { mode: FileMode::of(metadata.mode()), size: metadata.len(), file })
    }

    /// Its permissions.
    pub fn mode(&self) -> FileMode {
        self.mode
    }

    /// Whether others may do anything with it, and whether that can be changed where it is.
    ///
    /// # Errors
    /// When the file system cannot be asked.
    pub fn privacy(&self) -> io::Result<Privacy> {
        let open = self.mode.0 & 0o007 != 0;
        if !open {
            return Ok(Privacy::Private);
        }
        let read_only = fstatvfs(&self.file)?.f_flag.contains(StatVfsMountFlags::RDONLY);
        Ok(if read_only { Privacy::SetByMount } else { Privacy::Open })
    }

    /// The whole content, or nothing if it is longer than `limit`.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read(self, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        self.read_within(limit, WRITER_TIMEOUT)
    }

    fn read_within(self, limit: u64, time: Duration) -> Result<Option<Vec<u8>>, FileError> {
        // Enough from the start, so that no piece of a secret is left behind where a buffer grew.
        let capacity = self.size.min(limit).saturating_add(1);
        let mut bytes = Vec::with_capacity(usize::try_from(capacity).unwrap_or_default());
        let patient = PatientFile { file: self.file, until: Instant::now() + time };
        let length = patient.take(limit + 1).read_to_end(&mut bytes)?;
        Ok((length as u64 <= limit).then_some(bytes))
    }

    /// The text of a file that holds one secret, called `what` in errors.
    ///
    /// # Errors
    /// When reading fails, or when it is too large or no text.
    pub fn read_secret(self, what: &'static str) -> Result<Zeroizing<String>, FileError> {
        let bytes = self.read(SECRET_MAX)?.ok_or(FileError::TooLarge(what))?;
        let bytes = Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText(what))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// Whether others may do anything with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// They may not.
    Private,
    /// They may, and that cannot be changed: it is on a read-only mount, as secrets in containers are.
    SetByMount,
    /// They may.
    Open,
}

/// Opens a file without waiting for the writer of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// A file that is read until a moment, if its writer has not ended before.
struct PatientFile {
    file: File,
    until: Instant,
}

impl PatientFile {
    fn wait(&self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&left)) {
            Ok(0) => {
                let what = "its writer has not ended in time";
                Err(io::Error::new(io::ErrorKind::TimedOut, what))
            }
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl io::Read for PatientFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                read => return read,
            }
        }
    }
}

/// The permission bits of a file, shown in octal. "Others" are the users of the host who are neither
/// the owner nor in the group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// The mode in what the system says of a file.
    pub fn of(mode: u32) -> Self {
        Self(mode & 0o7777)
    }

    /// Whether others may read it.
    pub fn is_readable_by_others(self) -> bool {
        self.0 & 0o004 != 0
    }

    /// Whether others may change it.
    pub fn is_writable_by_others(self) -> bool {
        self.0 & 0o002 != 0
    }

    /// Whether others or the group may change it.
    pub fn is_writable_by_group_or_others(self) -> bool {
        self.0 & 0o022 != 0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// What a file looks like without reading it. A replaced or changed file has another one; a change
/// of mode or owner counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFingerprint([i64; 7]);

impl FileFingerprint {
    /// The fingerprint of what is at `path` now, if anything is. Taken before the file is read, so
    /// that a replacement during the read is noticed by the next comparison.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let [inode, device] = [metadata.ino(), metadata.dev()].map(u64::cast_signed);
        let size = metadata.size().cast_signed();
        let modified = [metadata.mtime(), metadata.mtime_nsec()];
        let changed = [metadata.ctime(), metadata.ctime_nsec()];
        Some(Self([inode, device, size, modified[0], modified[1], changed[0], changed[1]]))
    }
}

/// The certificates of a bundle in PEM, at least one. Keys and comments between them are skipped.
///
/// # Errors
/// When one is damaged or there is none.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let number = certificates.len() + 1;
        // The parser's message is left out: it may repeat what was read.
        let damaged = |_| format!("is not PEM at certificate {number}; copy it again");
        certificates.push(certificate.map_err(damaged)?);
    }
    if certificates.is_empty() {
        return Err("holds no certificate in PEM, -----BEGIN CERTIFICATE-----".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn only_regular_files_are_opened_and_a_pipe_does_not_hang() {
        let folder = folder();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&*pipe, &socket, folder.path(), Path::new("/dev/null")] {
            let error = OpenFile::regular(path).map(drop).unwrap_err();
            assert!(matches!(error, FileError::NotRegular), "{}: {error}", path.display());
        }
        let missing = OpenFile::regular(&folder.path().join("missing")).map(drop).unwrap_err();
        assert!(matches!(missing, FileError::Unreadable(_)), "{missing}");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = folder();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        let read = |limit| OpenFile::regular(&path).unwrap().read(limit).unwrap();
        assert_eq!((read(5).as_deref(), read(4)), (Some(&b"12345"[..]), None));
        assert_eq!(OpenFile::any(Path::new("/dev/zero")).unwrap().read(1000).unwrap(), None);
    }

    #[test]
    fn a_pipe_is_read_while_its_writer_is_there_but_not_for_ever() {
        let folder = folder();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let read = || OpenFile::any(&path).unwrap().read_within(100, Duration::from_millis(50));
        assert_eq!(read().unwrap().as_deref(), Some(&b""[..]), "no writer");
        // Opened for both, so that it opens without a reader.
        let mut writer = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let error = read().unwrap_err().to_string();
        assert_eq!(error, "cannot be read: its writer has not ended in time");
        io::Write::write_all(&mut writer, b"text").unwrap();
        let file = OpenFile::any(&path).unwrap();
        drop(writer);
        assert_eq!(file.read(100).unwrap().as_deref(), Some(&b"text"[..]));
    }

    #[test]
    fn a_secret_is_a_short_text() {
        let folder = folder();
        let path = folder.path().join("secret");
        let read = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            let secret = OpenFile::regular(&path).unwrap().read_secret("a token");
            secret.map(|text| text.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(read(b" text\n"), Ok(" text\n".to_owned()));
        let large = vec![b'x'; 65_537];
        assert_eq!(read(&large[1..]).unwrap().len(), 65_536);
        let too_large = "is too large to hold a token and nothing else";
        assert_eq!(read(&large), Err(too_large.to_owned()));
        assert_eq!(read(b"\xff"), Err("is not text; put a token alone into it".to_owned()));
    }
}
