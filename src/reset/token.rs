//! Whether somebody holds an account's reset token.
//!
//! Nothing about the answer may tell which accounts there are: the files of all of them are looked at
//! together and not when one is asked for, an account that is unknown or has no reset is compared
//! with a token that nobody has, and comparing takes the same time wherever two differ. Of a token
//! only its digest is kept.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

use crate::account::RESET_TOKEN_MIN;
use crate::files::{FileFingerprint, OpenFile};

/// How long what was seen of the files is believed.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time that is waited for the file system.
const PATIENCE: Duration = Duration::from_secs(5);

type Digest = [u8; 32];

/// The tokens of all accounts.
#[derive(Debug)]
pub(super) struct Keys {
    /// Of a token that nobody has.
    dummy: Digest,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    files: HashMap<PathBuf, Key>,
    at: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    fingerprint: Option<FileFingerprint>,
    /// Nothing where the file holds no token that may be used.
    token: Option<Digest>,
}

impl Keys {
    pub(super) fn new() -> Self {
        let mut dummy = [0; 32];
        let filled = SystemRandom::new().fill(&mut dummy);
        filled.expect("the system gives random numbers, or TLS would not work either");
        Self { dummy, seen: Arc::default() }
    }

    /// Whether `token` stands in the file `wanted`, one of `all`.
    pub(super) async fn admit(
        &self,
        wanted: Option<&Path>,
        all: Vec<PathBuf>,
        token: &[u8],
    ) -> bool {
        let files = self.look(all).await.unwrap_or_default();
        let held = wanted.and_then(|path| files.get(path)).and_then(|key| key.token);
        let known = Choice::from(u8::from(held.is_some()));
        let held = held.unwrap_or(self.dummy);
        bool::from(digest_of(token).ct_eq(&held) & known)
    }

    /// What is in the files, looked at anew unless that was done a moment ago.
    async fn look(&self, all: Vec<PathBuf>) -> Option<HashMap<PathBuf, Key>> {
        let looking = async {
            let mut seen = Arc::clone(&self.seen).lock_owned().await;
            let fresh = seen.at.is_some_and(|at| at.elapsed() < LOOK);
            if fresh && all.iter().all(|path| seen.files.contains_key(path)) {
                return Some(seen.files.clone());
            }
            // The lock goes along, so that a file system that hangs takes one thread and no more.
            let looked = spawn_blocking(move || {
                let earlier = std::mem::take(&mut seen.files);
                seen.files = all.into_iter().map(|path| look_at(path, &earlier)).collect();
                seen.at = Some(Instant::now());
                seen.files.clone()
            });
            looked.await.ok()
        };
        let looked = timeout(PATIENCE, looking).await;
        if looked.is_err() {
            error!("the files of the reset tokens cannot be read in time; no token is taken");
        }
        looked.ok().flatten()
    }
}

fn digest_of(token: &[u8]) -> Digest {
    digest(&SHA256, token).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

fn look_at(path: PathBuf, earlier: &HashMap<PathBuf, Key>) -> (PathBuf, Key) {
    // Looked at first, so that what replaces it meanwhile looks different.
    let fingerprint = FileFingerprint::of(&path);
    let same = |key: &&Key| fingerprint.is_some() && key.fingerprint == fingerprint;
    if let Some(key) = earlier.get(&path).filter(same) {
        return (path.clone(), key.clone());
    }
    let token = match read(&path) {
        Ok(token) => Some(token),
        Err(problem) => {
            let news = earlier.get(&path).is_none_or(|key| key.token.is_some());
            if news {
                let path = path.display();
                warn!(%path, "the reset token is not usable, so nobody can reset the account: {problem}");
            }
            None
        }
    };
    (path, Key { fingerprint, token })
}

/// The digest of the token in a file, which may have been replaced by anything since the
/// configuration was checked.
fn read(path: &Path) -> io::Result<Digest> {
    let file = OpenFile::regular(path)?;
    if file.mode().is_open_to_others() {
        return Err(io::Error::other("it is open to every user of the host; chmod 600 it"));
    }
    let text = file.read_secret("a token")?;
    let token = text.trim();
    if token.len() < RESET_TOKEN_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let least = RESET_TOKEN_MIN;
        return Err(io::Error::other(format!("it holds no token of {least} characters or more")));
    }
    Ok(digest_of(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TOKEN: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn write(path: &Path, content: &[u8], mode: u32) {
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Whether a token is taken by somebody who has just come.
    async fn admits(path: &Path, token: &[u8]) -> bool {
        Keys::new().admit(Some(path), vec![path.to_owned()], token).await
    }

    #[tokio::test]
    async fn only_the_whole_token_of_the_account_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, &[TOKEN, b"\n"].concat(), 0o600);
        assert!(admits(&path, TOKEN).await);
        for wrong in [&b""[..], &TOKEN[..31], &[TOKEN, b"\n"].concat(), &[TOKEN, b"x"].concat()] {
            assert!(!admits(&path, wrong).await, "{wrong:?}");
        }
        let keys = Keys::new();
        assert!(!keys.admit(None, vec![path.clone()], TOKEN).await, "of an unknown account");
        assert!(!keys.admit(Some(&folder.path().join("other")), vec![path], TOKEN).await);
    }

    #[tokio::test]
    async fn what_is_open_to_others_short_or_no_file_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(!admits(&path, b"").await);
        for (content, mode) in [(TOKEN, 0o604), (&TOKEN[..31], 0o600), (b"", 0o600)] {
            write(&path, content, mode);
            assert!(!admits(&path, content).await, "{content:?} {mode:o}");
        }
        assert!(!admits(folder.path(), b"").await);
    }

    #[tokio::test]
    async fn a_replaced_token_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, TOKEN, 0o600);
        let keys = Keys::new();
        let admit = |token| keys.admit(Some(&path), vec![path.clone()], token);
        assert!(admit(TOKEN).await);
        let new = [b'n'; 40];
        write(&path, &new, 0o600);
        keys.seen.lock().await.at = None;
        assert_eq!((admit(&new).await, admit(TOKEN).await), (true, false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        keys.seen.lock().await.at = None;
        assert!(!admit(&new).await, "it can be read by others now");
    }
}
