//! Small secret files that other programs replace: tokens, passwords, refresh tokens of a login.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use super::error::TokenError;
use crate::blocking;
use crate::blocking::lock;
use crate::files::{FileFingerprint, OpenFile};

/// Time limit of one access to the file system.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A file with a secret, read every time, so that a replaced one is used at once.
#[derive(Debug)]
pub(super) struct SecretFile {
    what: &'static str,
    path: PathBuf,
    /// Allows one access at a time: a file system that hangs must not block one thread after another.
    access: Arc<tokio::sync::Mutex<()>>,
    /// Its fingerprint when it was read last.
    seen: Mutex<Option<SeenFile>>,
}

/// The fingerprint of a file; `None` where there is none.
type SeenFile = Option<FileFingerprint>;

impl SecretFile {
    /// The file at `path`, which is called `what` in errors.
    pub(super) fn new(what: &'static str, path: PathBuf) -> Self {
        Self { what, path, access: Arc::default(), seen: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its content, without line breaks at the end.
    pub(super) async fn read(&self) -> Result<SecretString, TokenError> {
        // Taken first, so that a replacement during the read is noticed.
        let (fingerprint, text) =
            self.run(|path| (FileFingerprint::of(&path), read(&path))).await?;
        *lock(&self.seen) = Some(fingerprint);
        text.map_err(|source| TokenError::unreadable(self.what, self.path.clone(), source))
    }

    /// Whether it was changed or replaced since it was read last.
    pub(super) async fn has_changed(&self) -> bool {
        // Where nothing can be found out, no change is assumed.
        let Ok(fingerprint) = self.run(|path| FileFingerprint::of(&path)).await else {
            return false;
        };
        let seen = *lock(&self.seen);
        seen.is_some_and(|seen| seen != fingerprint)
    }

    async fn run<T: Send + 'static>(
        &self,
        run: impl FnOnce(PathBuf) -> T + Send + 'static,
    ) -> Result<T, TokenError> {
        let path = self.path.clone();
        let running = async {
            let access = Arc::clone(&self.access).lock_owned().await;
            blocking::run(move || {
                let seen = run(path);
                drop(access);
                seen
            })
            .await
        };
        let slow = |_| TokenError::Slow { what: self.what, path: self.path.clone() };
        timeout(WAIT_MAX, running).await.map_err(slow)
    }
}

/// Reads a file that may have been replaced by anything since the configuration was checked.
fn read(path: &Path) -> io::Result<SecretString> {
    let text = OpenFile::regular(path)?.read_secret("a secret")?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[tokio::test]
    async fn line_breaks_at_the_end_are_not_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, " pass word \r\n\n").unwrap();
        let file = SecretFile::new("password file", path);
        assert_eq!(file.read().await.unwrap().expose_secret(), " pass word ");
    }

    #[tokio::test]
    async fn what_is_no_longer_a_regular_file_is_an_error_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let large = folder.path().join("large");
        fs::write(&large, "x".repeat(70_000)).unwrap();
        let missing = folder.path().join("missing");
        for (path, words) in [
            (&*pipe, "not a regular"),
            (folder.path(), ""),
            (&large, "too large"),
            (&missing, "No such file"),
        ] {
            let file = SecretFile::new("token file", path.to_owned());
            let error = file.read().await.unwrap_err().to_string();
            let start = format!("cannot read the token file {}: ", path.display());
            assert!(error.starts_with(&start) && error.contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_was_replaced_has_changed_until_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = SecretFile::new("token file", path.clone());
        assert!(!file.has_changed().await, "it was not read yet");
        file.read().await.unwrap_err();
        assert!(!file.has_changed().await, "it is still missing");
        fs::write(&path, "one").unwrap();
        assert!(file.has_changed().await && file.has_changed().await, "it came");
        file.read().await.unwrap();
        assert!(!file.has_changed().await, "it stayed");
        let new = folder.path().join("new");
        fs::write(&new, "two").unwrap();
        fs::rename(&new, &path).unwrap();
        assert!(file.has_changed().await, "it was replaced by one of the same size");
        fs::remove_file(&path).unwrap();
        assert!(file.has_changed().await, "it went");
    }
}
