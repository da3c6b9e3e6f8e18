//! Small secret files that other programs replace: tokens, passwords, refresh tokens of a login.
//!
//! A file system may hang for minutes. Nothing that was read before waits for it then: what a file held last is used,
//! and one access per file and [`ACCESSES_MAX`] in the process wait for it, each on a thread of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use super::error::TokenError;
use crate::blocking;
use crate::blocking::lock;
use crate::files::{FileFingerprint, OpenFile, is_of_system};

/// Time limit of one access to a file that was not read yet.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The same where something was read before; once this has passed, none waits until the file responds.
const WAIT_MAX_AGAIN: Duration = Duration::from_secs(1);
/// How many accesses are in progress in a process, out of the threads that it has for blocking work.
const ACCESSES_MAX: usize = 64;

static ACCESSES: Semaphore = Semaphore::const_new(ACCESSES_MAX);

/// A file with a secret, read every time, so that a replaced one is used at once.
pub(super) struct SecretFile {
    what: &'static str,
    pub(super) path: PathBuf,
    /// Allows one access at a time.
    access: Arc<tokio::sync::Mutex<()>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Its fingerprint when it was read last.
    seen: Option<SeenFile>,
    /// What it held then, if it could be read.
    held: Option<SecretString>,
    /// Whether it did not respond in time the last time, which was logged.
    hangs: bool,
    /// Whether the system could not read it the last time, which was logged.
    unread: bool,
}

/// The fingerprint of a file; `None` where there is none.
type SeenFile = Option<FileFingerprint>;

impl State {
    /// Notes what was read. Where the system could not read it, it is what was held before.
    fn note(
        &mut self,
        what: &str,
        path: &Path,
        fingerprint: SeenFile,
        text: io::Result<SecretString>,
    ) -> io::Result<SecretString> {
        match text {
            Err(error) if is_of_system(&error) => {
                // What it holds is still to be found out.
                self.seen.get_or_insert(None);
                if self.held.is_some() && !std::mem::replace(&mut self.unread, true) {
                    let file = path.display();
                    warn!(%file, "the {what} cannot be read, what it held last is used: {error}");
                }
                self.held.clone().ok_or(error)
            }
            text => {
                self.unread = false;
                self.seen = Some(fingerprint);
                self.held = text.as_ref().ok().cloned();
                text
            }
        }
    }
}

impl SecretFile {
    /// The file at `path`, which is called `what` in errors.
    pub(super) fn new(what: &'static str, path: PathBuf) -> Self {
        Self { what, path, access: Arc::default(), state: Arc::default() }
    }

    /// Its content, without line breaks at the end; what it held last while it does not respond, or the system
    /// fails to read any file.
    pub(super) async fn read(&self) -> Result<SecretString, TokenError> {
        let (state, what) = (Arc::clone(&self.state), self.what);
        // Noted even if the caller has stopped waiting. The fingerprint is taken first, so that a replacement
        // during the read is noticed.
        let read = move |path: &Path| {
            let (fingerprint, text) = (FileFingerprint::of(path), read(path));
            lock(&state).note(what, path, fingerprint, text)
        };
        match self.run(read).await {
            Some(text) => {
                text.map_err(|source| TokenError::unreadable(self.what, self.path.clone(), source))
            }
            None => lock(&self.state)
                .held
                .clone()
                .ok_or_else(|| TokenError::Slow { what: self.what, path: self.path.clone() }),
        }
    }

    /// Whether it was changed or replaced since it was read last.
    pub(super) async fn has_changed(&self) -> bool {
        // Where nothing can be found out, no change is assumed.
        let Some(fingerprint) = self.run(FileFingerprint::of).await else { return false };
        let seen = lock(&self.state).seen;
        seen.is_some_and(|seen| seen != fingerprint)
    }

    /// Runs an access, but does not wait for long; nothing if it does not end in time.
    async fn run<T: Send + 'static>(
        &self,
        access: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<T> {
        let path = self.path.clone();
        let running = async {
            let own = Arc::clone(&self.access).lock_owned().await;
            let one = ACCESSES.acquire().await;
            blocking::run(move || {
                // Kept until the access ends, however long its caller waits.
                let _kept = (own, one);
                access(&path)
            })
            .await
        };
        let done = timeout(self.wait_max(), running).await.ok();
        self.report(done.is_none());
        done
    }

    fn wait_max(&self) -> Duration {
        let State { held, hangs, .. } = &*lock(&self.state);
        let no_room = || self.access.try_lock().is_err() || ACCESSES.available_permits() == 0;
        match held {
            None => WAIT_MAX,
            Some(_) if *hangs && no_room() => Duration::ZERO,
            Some(_) => WAIT_MAX_AGAIN,
        }
    }

    /// Logs one line when it does not respond and one when it does again.
    fn report(&self, hangs: bool) {
        let (what, file) = (self.what, self.path.display());
        let mut state = lock(&self.state);
        match (std::mem::replace(&mut state.hangs, hangs), hangs) {
            (false, true) if state.held.is_some() => {
                warn!(%file, "the {what} does not respond; what it held last is used");
            }
            (false, true) => warn!(%file, "the {what} does not respond"),
            (true, false) => info!(%file, "the {what} responds again"),
            _ => {}
        }
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

    use rustix::io::Errno;
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

    #[test]
    fn where_the_system_cannot_read_what_was_held_last_stays() {
        let path = Path::new("token");
        let mut state = State::default();
        let note = |state: &mut State, text: Result<&str, Errno>| {
            let text = text.map(SecretString::from).map_err(io::Error::from);
            let read = state.note("token file", path, None, text);
            read.ok().map(|text| text.expose_secret().to_owned())
        };
        assert_eq!(note(&mut state, Err(Errno::MFILE)), None, "nothing was read yet");
        assert_eq!(state.seen, Some(None), "a file that is there counts as changed");
        assert_eq!(note(&mut state, Ok("one")).as_deref(), Some("one"));
        assert_eq!(note(&mut state, Err(Errno::IO)).as_deref(), Some("one"));
        assert!(state.unread);
        assert_eq!(note(&mut state, Ok("two")).as_deref(), Some("two"));
        assert!(!state.unread);
        assert_eq!(note(&mut state, Err(Errno::NOENT)), None);
        assert_eq!(note(&mut state, Err(Errno::IO)), None, "it was removed");
    }

    #[test]
    fn errors_of_the_system_say_nothing_of_a_file() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::STALE] {
            assert!(is_of_system(&errno.into()), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ISDIR] {
            assert!(!is_of_system(&errno.into()), "{errno}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_does_not_respond_keeps_what_it_held_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "one").unwrap();
        let file = SecretFile::new("token file", path.clone());
        let hung = Arc::clone(&file.access).lock_owned().await;
        assert!(matches!(file.read().await, Err(TokenError::Slow { .. })), "nothing was read yet");
        drop(hung);
        let read = async || file.read().await.unwrap().expose_secret().to_owned();
        assert_eq!(read().await, "one");
        fs::write(&path, "two").unwrap();
        let hung = Arc::clone(&file.access).lock_owned().await;
        let started = tokio::time::Instant::now();
        for _ in 0..50 {
            assert_eq!(read().await, "one");
            assert!(!file.has_changed().await);
        }
        assert!(started.elapsed() <= WAIT_MAX_AGAIN, "only the first caller waits");
        drop(hung);
        assert!(file.has_changed().await);
        assert_eq!(read().await, "two");
        fs::remove_file(&path).unwrap();
        file.read().await.unwrap_err();
        let _hung = Arc::clone(&file.access).lock_owned().await;
        assert!(matches!(file.read().await, Err(TokenError::Slow { .. })), "it was removed");
    }
}
