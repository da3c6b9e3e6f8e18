//! Whether a request carries an account's reset token.
//!
//! The reply must not reveal which accounts exist: the files of all accounts are read together, an
//! account that is unknown or has no reset is compared with a random token, and the comparison takes
//! constant time. Only the digest of a token is kept.

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
use crate::files::{OpenFile, Privacy};

/// How long the content of the files is cached.
const CACHE_TIME: Duration = Duration::from_secs(1);
/// Longest time that the file system may take.
const FILES_TIMEOUT: Duration = Duration::from_secs(5);

type Digest = [u8; 32];

/// The reset tokens of all accounts.
pub(super) struct ResetTokens {
    /// The digest of a random token.
    dummy: Digest,
    cache: Arc<Mutex<FileCache>>,
}

/// The digests of the tokens in files; `None` where a file holds no valid one.
type FileTokens = HashMap<PathBuf, Option<Digest>>;

#[derive(Debug, Default)]
struct FileCache {
    tokens: FileTokens,
    read_at: Option<Instant>,
}

impl ResetTokens {
    pub(super) fn new() -> Self {
        let mut dummy = [0; 32];
        let filled = SystemRandom::new().fill(&mut dummy);
        filled.expect("the system gives random numbers, or TLS would not work either");
        Self { dummy, cache: Arc::default() }
    }

    /// Whether `token` is the content of `file`, which is one of `all`.
    pub(super) async fn admit(&self, file: Option<&Path>, all: Vec<PathBuf>, token: &[u8]) -> bool {
        let tokens = self.read_files(all).await.unwrap_or_default();
        let expected = file.and_then(|path| *tokens.get(path)?);
        let known = Choice::from(u8::from(expected.is_some()));
        let expected = expected.unwrap_or(self.dummy);
        bool::from(digest_of(token).ct_eq(&expected) & known)
    }

    /// The tokens in the files, read again unless that was done within [`CACHE_TIME`].
    async fn read_files(&self, all: Vec<PathBuf>) -> Option<FileTokens> {
        let reading = async {
            let mut cache = Arc::clone(&self.cache).lock_owned().await;
            let fresh = cache.read_at.is_some_and(|at| at.elapsed() < CACHE_TIME);
            if fresh && all.iter().all(|path| cache.tokens.contains_key(path)) {
                return Some(cache.tokens.clone());
            }
            // The lock moves into the task, so that a file system that hangs blocks one thread only.
            let read = spawn_blocking(move || {
                let earlier = std::mem::take(&mut cache.tokens);
                let tokens = all.into_iter().map(|path| {
                    let token = read_logged(&path, &earlier);
                    (path, token)
                });
                cache.tokens = tokens.collect();
                cache.read_at = Some(Instant::now());
                cache.tokens.clone()
            });
            read.await.ok()
        };
        let read = timeout(FILES_TIMEOUT, reading).await;
        if read.is_err() {
            error!("the files of the reset tokens cannot be read in time; no token is accepted");
        }
        read.ok().flatten()
    }
}

fn digest_of(token: &[u8]) -> Digest {
    digest(&SHA256, token).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// The token in a file. That it is not usable is logged once.
fn read_logged(path: &Path, earlier: &FileTokens) -> Option<Digest> {
    let token = read(path).map_err(|problem| {
        if earlier.get(path) != Some(&None) {
            let path = path.display();
            warn!(%path, "the reset token is not usable, so the account cannot be reset: {problem}");
        }
    });
    token.ok()
}

/// The digest of the token in a file, which may have been replaced by anything since the
/// configuration was checked.
fn read(path: &Path) -> io::Result<Digest> {
    let file = OpenFile::regular(path)?;
    if file.privacy()? == Privacy::Open {
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

    /// Whether a token is accepted, without a cache.
    async fn admits(path: &Path, token: &[u8]) -> bool {
        ResetTokens::new().admit(Some(path), vec![path.to_owned()], token).await
    }

    #[tokio::test]
    async fn only_the_whole_token_of_the_account_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, &[TOKEN, b"\n"].concat(), 0o600);
        assert!(admits(&path, TOKEN).await);
        for wrong in [&b""[..], &TOKEN[..31], &[TOKEN, b"\n"].concat(), &[TOKEN, b"x"].concat()] {
            assert!(!admits(&path, wrong).await, "{wrong:?}");
        }
        let tokens = ResetTokens::new();
        assert!(!tokens.admit(None, vec![path.clone()], TOKEN).await, "of an unknown account");
        assert!(!tokens.admit(Some(&folder.path().join("other")), vec![path], TOKEN).await);
    }

    #[tokio::test]
    async fn a_file_that_is_public_short_or_missing_has_no_valid_token() {
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
        let tokens = ResetTokens::new();
        let admit = |token| tokens.admit(Some(&path), vec![path.clone()], token);
        assert!(admit(TOKEN).await);
        let new = [b'n'; 40];
        write(&path, &new, 0o600);
        tokens.cache.lock().await.read_at = None;
        assert_eq!((admit(&new).await, admit(TOKEN).await), (true, false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        tokens.cache.lock().await.read_at = None;
        assert!(!admit(&new).await, "it can be read by others now");
    }
}
