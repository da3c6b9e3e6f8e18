//! Why there is no token to send, and how soon another attempt makes sense.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::AccountName;
use crate::files::is_of_system;
use crate::metrics::Outcome;
use crate::schedule::{refused_pause, unreached_pause};
use crate::storage::StorageError;
use crate::transport::Error;

/// Pause after a 429 without `Retry-After`: a window of upstream's limit.
const WINDOW: Duration = Duration::from_secs(5);

/// Why there is no token to send. The texts are for logs and the status page and hold no secrets.
/// Clones are cheap, because every caller that waits for the same attempt gets one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A file cannot be read.
    #[error("cannot read the {what} {path}: {source}", path = path.display())]
    Unreadable {
        /// What it is for.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The file system does not respond in time.
    #[error("the {what} {path} cannot be read in time", path = path.display())]
    Slow {
        /// What it is for.
        what: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// It is empty, or holds what no HTTP header can carry.
    #[error("the token {place} is empty or contains white space or control characters")]
    Unusable {
        /// Where it came from.
        place: String,
    },
    /// The command gave none.
    #[error("token_command {program} {problem}")]
    Command {
        /// The first word.
        program: String,
        /// What went wrong with it.
        problem: String,
    },
    /// Upstream gave none that could be kept.
    #[error("upstream gave no refresh token; ask Wazzup24 what the application may do")]
    NoRefreshToken,
    /// Upstream gave none.
    #[error("{what}: {source}")]
    Refused {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: Arc<Error>,
    },
    /// Upstream does not take the code of a customer's login.
    #[error("upstream does not take the code: {0}")]
    CodeRefused(#[source] Arc<Error>),
    /// The login of a partner fails, for all of its accounts.
    #[error("the login of partner {partner} fails: {source}")]
    Partner {
        /// The partner's name in the configuration.
        partner: String,
        /// Why.
        source: Box<TokenError>,
    },
    /// Upstream has asked to be left alone.
    #[error("upstream has asked for a pause in requests for tokens")]
    Paused,
    /// It is still being asked for.
    #[error("no token within {0:?}; it is still being asked for")]
    Pending(Duration),
    /// The token is good for something else.
    #[error(
        "the token is one of account {found}, but account_id is {expected}; \
         give the token of {expected}, or correct account_id"
    )]
    OtherAccount {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// It has ended, by our clock and by upstream's.
    #[error("the token has expired; replace it")]
    Expired,
    /// Only a person can help.
    #[error("{why}; run `wazzup-exporter login {account}`")]
    LoginNeeded {
        /// The account's name in the configuration.
        account: AccountName,
        /// Why.
        why: LoginReason,
    },
    /// The refresh token cannot be kept.
    #[error("a refresh token is used only where it can be kept: {0}")]
    Storage(#[from] Arc<StorageError>),
    /// There is no place where it could be kept.
    #[error("a refresh token is used only where it can be kept: name a folder with --storage.path")]
    NoStorage,
    /// What was kept is not what this version writes.
    #[error("{0} in the account's storage cannot be used: {1}")]
    UnusableFile(&'static str, String),
    /// Another process has the refresh token, and keeps no access token that is good.
    #[error(
        "the exporter that runs{} holds the account's refresh token, and the access token that it \
         keeps has ended; its log says why",
        pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    HeldElsewhere {
        /// Its process id as it sees it itself, where the lock file holds it.
        pid: Option<u32>,
    },
}

/// Why a person has to log in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginReason {
    /// There is no refresh token yet.
    #[error("no login was made yet")]
    Never,
    /// Upstream does not take the refresh token.
    #[error("the refresh token is unknown upstream or was revoked")]
    Revoked,
    /// It was spent for a response that was never stored.
    #[error(
        "the refresh token is no longer good: \
         the answer to an earlier renewal was lost, in a crash or on the way"
    )]
    AnswerLost,
    /// It is good for something else.
    #[error("the login was to account {found}, which is not the account_id configured")]
    OtherAccount {
        /// Whose it is.
        found: String,
    },
}

impl TokenError {
    /// The label value that the failure has in common with those of requests.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Partner { source, .. } => source.outcome(),
            Self::Refused { source, .. } => match (source.outcome(), &**source) {
                // Whatever upstream dislikes, there is no token.
                (Outcome::NotFound, error) if !error.is_of_the_api() => Outcome::Malformed,
                (Outcome::NotFound, _) => Outcome::Unauthorized,
                (Outcome::ClientError, Error::Status { status: 400..=499, .. }) => {
                    Outcome::Unauthorized
                }
                (outcome, _) => outcome,
            },
            Self::Paused => Outcome::RateLimited,
            Self::Pending(_) => Outcome::Timeout,
            _ => Outcome::Unauthorized,
        }
    }

    /// Whether reading continues only after a login (`wazzup-exporter login`).
    pub fn login_needed(&self) -> bool {
        matches!(self, Self::LoginNeeded { .. })
    }

    /// Whether the token cannot be stored, or what was stored cannot be read.
    pub fn is_of_storage(&self) -> bool {
        match self {
            Self::Partner { source, .. } => source.is_of_storage(),
            Self::Storage(_)
            | Self::NoStorage
            | Self::UnusableFile(..)
            | Self::HeldElsewhere { .. }
            | Self::Slow { .. } => true,
            Self::Unreadable { source, .. } => is_of_system(source),
            _ => false,
        }
    }

    /// Whether the failure is one of a partner's login, which is logged once for all its accounts.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Partner { .. })
    }

    /// How long to wait after it has happened `times` in a row; a file that changes ends the pause.
    pub(super) fn pause(&self, times: u32) -> Duration {
        match self {
            // The partner's login waits for all.
            Self::Partner { .. } => Duration::ZERO,
            Self::LoginNeeded { .. } => Duration::MAX,
            Self::Refused { source, .. } => match &**source {
                Error::Status { status: 429, retry_after, .. } => {
                    unreached_pause(times).max(retry_after.unwrap_or(WINDOW))
                }
                Error::Status { status: 300..=499, .. } => refused_pause(times),
                _ => unreached_pause(times),
            },
            _ => unreached_pause(times),
        }
    }

    /// Upstream's refusal to do `what`.
    pub(super) fn refused(what: &'static str, error: Error) -> Self {
        Self::Refused { what, source: Arc::new(error) }
    }

    /// A file that could not be read.
    pub(super) fn unreadable(what: &'static str, path: PathBuf, source: io::Error) -> Self {
        Self::Unreadable { what, path, source: Arc::new(source) }
    }
}

/// A request that is not sent without a token.
impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        Self::NotSent(error.to_string(), error.outcome())
    }
}

impl From<StorageError> for TokenError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, detail: &str, retry_after: Option<u64>) -> TokenError {
        let retry_after = retry_after.map(Duration::from_secs);
        let source =
            Arc::new(Error::Status { status, code: None, detail: detail.to_owned(), retry_after });
        TokenError::Refused { what: "cannot log in", source }
    }

    #[test]
    fn a_token_that_is_refused_in_whatever_way_is_missing() {
        for (status, detail, outcome) in [
            (400, "", Outcome::Unauthorized),
            (401, "", Outcome::Unauthorized),
            (403, "", Outcome::Forbidden),
            (404, "NOT_FOUND", Outcome::Unauthorized),
            (404, "", Outcome::Malformed),
            (302, "", Outcome::ClientError),
            (429, "", Outcome::RateLimited),
            (503, "", Outcome::ServerError),
        ] {
            let partner = "main".to_owned();
            let own = refused(status, detail, None);
            let shared = TokenError::Partner { partner, source: Box::new(own.clone()) };
            assert_eq!([own.outcome(), shared.outcome()], [outcome; 2], "{status}");
            assert!(!own.is_shared() && shared.is_shared());
        }
    }

    #[test]
    fn refusals_are_repeated_rarely_and_failures_on_the_way_soon() {
        let seconds = |error: TokenError| [error.pause(1).as_secs(), error.pause(99).as_secs()];
        assert_eq!(seconds(refused(401, "", None)), [30, 300]);
        assert_eq!(seconds(refused(503, "", None)), [1, 30]);
        assert_eq!(seconds(refused(429, "", None)), [5, 30]);
        assert_eq!(seconds(refused(429, "", Some(120))), [120, 120]);
        assert_eq!(seconds(TokenError::NoStorage), [1, 30]);
    }

    #[test]
    fn what_cannot_be_stored_is_not_blamed_on_the_token() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let full = StorageError::Io { action: "write", path: "data/acme".into(), source };
        let locked = StorageError::Locked { path: "data/acme/.lock".into(), pid: None };
        for error in [full.into(), locked.into(), TokenError::NoStorage] {
            assert!(error.is_of_storage(), "{error}");
        }
        assert!(!refused(401, "", None).is_of_storage());
    }

    #[test]
    fn the_messages_say_what_to_do() {
        let account = AccountName::parse("acme").unwrap();
        let error = TokenError::LoginNeeded { account, why: LoginReason::Revoked };
        assert!(error.to_string().ends_with("run `wazzup-exporter login acme`"), "{error}");
        assert!(error.login_needed() && !error.is_of_storage());
        let error = refused(401, "BAD", None).to_string();
        assert_eq!(error, "cannot log in: upstream answered 401: BAD");
    }
}
