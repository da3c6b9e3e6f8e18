//! Whether a request carries an account's reset token.
//!
//! The reply must not reveal which accounts exist: for one that is unknown or has no reset the file of another one is
//! read, always the same, and the token is compared with a random one; that takes constant time. Only digests are kept.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, warn};

use crate::account::RESET_TOKEN_MIN;
use crate::blocking::lock;
use crate::files::{OpenFile, Privacy};

/// Longest time that the file system may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many files are read at the same time.
const READS_MAX: usize = 16;

type Digest = [u8; 32];

/// The reset tokens of all accounts.
pub(super) struct ResetTokens {
    /// The digest of a random token.
    dummy: Digest,
    /// Lets each file be read once at a time. Whether that failed the last time, which was logged.
    files: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<bool>>>>,
    reads: Arc<Semaphore>,
}

impl ResetTokens {
    pub(super) fn new() -> Self {
        let mut dummy = [0; 32];
        let filled = SystemRandom::new().fill(&mut dummy);
        filled.expect("the system gives random numbers, or TLS would not work either");
        Self { dummy, files: Mutex::default(), reads: Arc::new(Semaphore::new(READS_MAX)) }
    }

    /// Whether `token` is the content of `file`, that of `account`, which is one of `all`.
    pub(super) async fn admit(
        &self,
        account: &str,
        file: Option<&Path>,
        all: &[PathBuf],
        token: &[u8],
    ) -> bool {
        let found = match file.or_else(|| substitute(&self.dummy, account, all)) {
            Some(path) => self.read(path).await,
            None => None,
        };
        let expected = found.filter(|_| file.is_some());
        let known = Choice::from(u8::from(expected.is_some()));
        let expected = expected.unwrap_or(self.dummy);
        bool::from(digest_of(token).ct_eq(&expected) & known)
    }

    /// The token in a file, if it is valid.
    async fn read(&self, path: &Path) -> Option<Digest> {
        let file = Arc::clone(lock(&self.files).entry(path.to_owned()).or_default());
        let reading = async {
            let mut failed = file.lock_owned().await;
            let one = Arc::clone(&self.reads).acquire_owned().await;
            let path = path.to_owned();
            // Kept until the read ends, so that a file system that hangs blocks few threads.
            let read = spawn_blocking(move || {
                let _kept = one;
                read_logged(&path, &mut failed)
            });
            read.await.ok().flatten()
        };
        let read = timeout(FILE_TIMEOUT, reading).await;
        if read.is_err() {
            let path = path.display();
            error!(%path, "the reset token cannot be read in time; it is not accepted");
        }
        read.ok().flatten()
    }
}

/// The file that is read in place of one that an account does not have; which one, no caller can compute.
fn substitute<'a>(secret: &Digest, account: &str, all: &'a [PathBuf]) -> Option<&'a Path> {
    let [first, second, ..] = digest_of(&[secret, account.as_bytes()].concat());
    let number = usize::from(u16::from_be_bytes([first, second]));
    all.get(number.checked_rem(all.len())?).map(PathBuf::as_path)
}

fn digest_of(token: &[u8]) -> Digest {
    digest(&SHA256, token).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// The token in a file. That it is not usable is logged once.
fn read_logged(path: &Path, failed: &mut bool) -> Option<Digest> {
    let token = read(path);
    if let (Err(problem), false) = (&token, *failed) {
        let path = path.display();
        warn!(%path, "the reset token is not usable, so the account cannot be reset: {problem}");
    }
    *failed = token.is_err();
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

    async fn admits(path: &Path, token: &[u8]) -> bool {
        ResetTokens::new().admit("acme", Some(path), &[], token).await
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
        assert!(!admits(&folder.path().join("other"), TOKEN).await);
        for all in [&[][..], &[path]] {
            let unknown = ResetTokens::new().admit("globex", None, all, TOKEN).await;
            assert!(!unknown, "of an unknown account");
        }
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
        let admit = |token| tokens.admit("acme", Some(&path), &[], token);
        assert!(admit(TOKEN).await);
        let new = [b'n'; 40];
        write(&path, &new, 0o600);
        assert_eq!((admit(&new).await, admit(TOKEN).await), (true, false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!admit(&new).await, "it can be read by others now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_refuses_its_own_account_only() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["hung", "good"].map(|name| folder.path().join(name));
        let tokens = ResetTokens::new();
        let admit = |path| tokens.admit("acme", Some(path), &paths, TOKEN);
        for path in &paths {
            write(path, TOKEN, 0o600);
            assert!(admit(path).await);
        }
        let reading = Arc::clone(&lock(&tokens.files)[&paths[0]]);
        let _reading = reading.lock_owned().await;
        assert_eq!((admit(&paths[0]).await, admit(&paths[1]).await), (false, true));
    }
}
