//! The bearer token of an account, from where the configuration says.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use reqwest::header::HeaderValue;
use rustix::fs::OFlags;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::account::Auth;
use crate::metrics::Outcome;

/// Longest token file that is read; a JWT has about a thousand bytes.
const FILE_MAX: u64 = 64 * 1024;
/// Longest time that is waited for the file system.
const PATIENCE: Duration = Duration::from_secs(5);

/// A token that is fit to be sent.
#[derive(Debug, Clone)]
pub struct Token {
    secret: SecretString,
    header: HeaderValue,
}

/// Reads an account's token, from a file each time anew, so that a replaced one is picked up.
#[derive(Debug, Default)]
pub(super) struct TokenReader {
    /// Whether a file is being read: one that hangs must not take one thread after the other.
    busy: Arc<AtomicBool>,
}

/// Why there is no token to send.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {path}: {source}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file system does not answer.
    #[error("the token file {path} cannot be read in time", path = path.display())]
    Slow {
        /// Which file.
        path: PathBuf,
    },
    /// It is empty, or holds what no HTTP header can carry.
    #[error("the token {place} is empty or contains white space or control characters")]
    Unusable {
        /// Where it came from.
        place: String,
    },
}

impl TokenError {
    /// What the failure counts as where requests are counted.
    pub fn outcome(&self) -> Outcome {
        Outcome::Unauthorized
    }

    /// Whether only the customer's login can help.
    pub fn login_needed(&self) -> bool {
        false
    }

    /// Whether it is the failure of a login that accounts share, which is told once for all of them.
    pub fn is_shared(&self) -> bool {
        false
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

impl Token {
    fn new(secret: &str, place: impl Fn() -> String) -> Result<Self, TokenError> {
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unusable { place: place() });
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| TokenError::Unusable { place: place() })?;
        header.set_sensitive(true);
        Ok(Self { secret: secret.into(), header })
    }

    /// Whether it has the form of the tokens of v2: three parts, separated by dots (docs/upstream.md,
    /// "Tokens"). The keys of v3 have none.
    pub fn is_jwt(&self) -> bool {
        let token = self.secret.expose_secret();
        token.split('.').count() == 3 && token.split('.').all(|part| !part.is_empty())
    }

    /// The value of the `Authorization` header; marked as sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Replaces the token in `text`, in case upstream repeats it to us.
    pub(super) fn mask(&self, text: &str) -> String {
        text.replace(self.secret.expose_secret(), "<secret>")
    }
}

/// What is known of an account's token, apart from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenFacts {
    /// When reading ends unless a person acts; unix time.
    pub expiry: Option<Duration>,
    /// When the token was last renewed; unix time.
    pub last_refresh: Option<Duration>,
}

impl TokenReader {
    /// Reads the token that `auth` tells of.
    pub(super) async fn read(&self, auth: &Auth) -> Result<Token, TokenError> {
        let path = match auth {
            Auth::Token(secret) => {
                return Token::new(secret.expose_secret(), || "of the configuration".into());
            }
            Auth::TokenFile(path) => path,
            Auth::TokenCommand(_) | Auth::Partner(_) | Auth::OAuth { .. } => {
                return Err(TokenError::Unusable { place: "of this source".into() });
            }
        };
        if self.busy.swap(true, Relaxed) {
            return Err(TokenError::Slow { path: path.clone() });
        }
        let (file, busy) = (path.clone(), Arc::clone(&self.busy));
        let reading = spawn_blocking(move || {
            let text = read_file(file);
            busy.store(false, Relaxed);
            text
        });
        let Ok(done) = timeout(PATIENCE, reading).await else {
            return Err(TokenError::Slow { path: path.clone() });
        };
        let text = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let text = text.map_err(|source| TokenError::Unreadable { path: path.clone(), source })?;
        Token::new(text.expose_secret().trim(), || format!("in {}", path.display()))
    }
}

/// Reads a token file that may have been replaced by anything since the configuration was checked.
fn read_file(path: PathBuf) -> io::Result<SecretString> {
    // Opening a pipe would wait for somebody to write into it.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    if file.take(FILE_MAX + 1).read_to_string(&mut text)? as u64 > FILE_MAX {
        return Err(io::Error::other("it is too large to hold a token and nothing else"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn from_file(content: &[u8]) -> Result<Token, TokenError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        TokenReader::default().read(&Auth::TokenFile(file.path().to_owned())).await
    }

    #[tokio::test]
    async fn a_line_break_at_the_end_of_a_file_is_not_part_of_the_token() {
        let token = from_file(b"s3cret\n").await.unwrap();
        assert_eq!(token.header(), "Bearer s3cret");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_refused_without_showing_it() {
        for content in ["", "  \n", "two words", "line\nbreak", "nul\0byte", "ünicode"] {
            let error = from_file(content.as_bytes()).await.unwrap_err();
            assert!(matches!(error, TokenError::Unusable { .. }), "{content:?}");
            assert!(!error.to_string().contains("words"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_token_file_any_more_is_told_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let large = folder.path().join("large");
        std::fs::write(&large, "x".repeat(70_000)).unwrap();
        for (path, words) in [(&*pipe, "not a regular"), (folder.path(), ""), (&large, "too large")]
        {
            let error =
                TokenReader::default().read(&Auth::TokenFile(path.to_owned())).await.unwrap_err();
            assert!(matches!(error, TokenError::Unreadable { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let auth = Auth::TokenFile("/nonexistent/token".into());
        let text = TokenReader::default().read(&auth).await.unwrap_err().to_string();
        assert!(text.contains("/nonexistent/token"), "{text}");
    }

    #[tokio::test]
    async fn neither_debug_nor_masked_text_shows_the_token() {
        let token = from_file(b"s3cret").await.unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
        assert_eq!(token.mask("bad token s3cret!"), "bad token <secret>!");
    }
}
