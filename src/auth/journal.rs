//! What is stored of an account's refresh token, and how it gets to disk.
//!
//! A refresh token is valid once: the response to it holds the next one. So each step is on disk before
//! the following one begins: that the token is about to be sent, then the result. A process that ends
//! at any point leaves a file from which the next one continues; only a response that was not stored
//! yet is lost. A [`TokenJournal`] belongs to one account and lends its [`OpenJournal`] to one renewal
//! at a time.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::cached_token::ObtainedToken;
use super::endpoint::GrantedTokens;
use super::error::{LoginReason, TokenError};
use super::token::Token;
use crate::account::{Account, AccountId};
use crate::clock::Stamp;
use crate::storage::{AccountFiles, AccountFolder, StateError, Storage, parse_state, state_bytes};
use crate::text::opaque;

/// The file in the account's folder.
pub(super) const FILE: &str = "oauth.json";
/// Its format.
const VERSION: u32 = 1;
/// How long a refresh token lives unless upstream says otherwise; seen in recorded responses.
const REFRESH_LIFE: Duration = Duration::from_hours(7 * 24);

/// The content of the file.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTokens {
    /// A hash of the refresh token that a login gave and that this one descends from.
    seed: String,
    refresh_token: String,
    /// Unix time in milliseconds.
    refresh_end: Option<u64>,
    access: Option<StoredAccessToken>,
    /// When tokens were obtained last, as unix time in milliseconds.
    renewed: Option<u64>,
    /// Whether the refresh token may have been sent without the response having been stored.
    pub(super) started: bool,
    /// Why a person has to log in, if that is so.
    pub(super) login_needed: Option<LoginReason>,
    /// What was stored before a login that was not redeemed yet: it may turn out to be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<Box<StoredTokens>>,
}

/// Stored so that a command beside the daemon can read the account, and so that a restart costs no
/// renewal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredAccessToken {
    token: String,
    /// Unix time in milliseconds.
    from: u64,
    /// The same.
    until: Option<u64>,
}

/// The storage of an account's refresh token.
pub(super) struct TokenJournal {
    storage: Option<Storage>,
    folder: AccountFolder,
    journal: Arc<Mutex<OpenJournal>>,
}

/// What is stored and what could not be stored yet, for the use of one renewal.
#[derive(Default)]
pub(super) struct OpenJournal {
    files: Option<Arc<AccountFiles>>,
    pub(super) stored: Option<StoredTokens>,
    /// What could not be written.
    unsaved: Option<StoredTokens>,
}

impl StoredTokens {
    /// What a login gave.
    pub(super) fn from_login(token: &SecretString) -> Self {
        Self {
            seed: seed_of(token),
            refresh_token: token.expose_secret().to_owned(),
            ..Self::default()
        }
    }

    /// What a login gave in place of this, which is kept until the new refresh token was redeemed once.
    /// If the login is the one that this was stored for before another came, that is continued.
    pub(super) fn replaced_by(self, login: &SecretString) -> Self {
        let redeemed = self.renewed.is_some();
        let kept = match self.earlier {
            Some(earlier) if !redeemed => earlier,
            earlier => Box::new(Self { earlier, ..self }),
        };
        if kept.is_of(login) {
            return *kept;
        }
        Self { earlier: Some(kept), ..Self::from_login(login) }
    }

    pub(super) fn is_of(&self, login: &SecretString) -> bool {
        self.seed == seed_of(login)
    }

    pub(super) fn refresh_token(&self) -> SecretString {
        self.refresh_token.clone().into()
    }

    /// When tokens were obtained last, in unix time.
    pub(super) fn renewed(&self) -> Option<Duration> {
        self.renewed.map(Duration::from_millis)
    }

    /// When reading ends without another login, in unix time, where that is known.
    pub(super) fn end(&self) -> Option<Duration> {
        let end = match self.login_needed {
            None => self.refresh_end,
            Some(_) => self.access.as_ref().and_then(|access| access.until),
        };
        end.map(Duration::from_millis)
    }

    /// The access token, if it has not expired.
    pub(super) fn access(&self, now: Stamp) -> Option<ObtainedToken> {
        let access = self.access.as_ref()?;
        let from = Duration::from_millis(access.from);
        let life = access.until.map(|until| Duration::from_millis(until).saturating_sub(from));
        let spent = now.unix.saturating_sub(from);
        let token = Token::new(&access.token, String::new).ok()?;
        let over = life.is_some_and(|life| spent >= life);
        (!over).then_some(ObtainedToken { token, asked: now, life, spent, new: false })
    }

    /// The same, about to be sent.
    pub(super) fn started(&self) -> Self {
        Self { started: true, ..self.clone() }
    }

    /// The same, no longer valid.
    pub(super) fn dead(&self, reason: LoginReason) -> Self {
        Self { started: false, login_needed: Some(reason), ..self.clone() }
    }

    /// What to store after a response.
    pub(super) fn followed_by(&self, granted: &GrantedTokens) -> Self {
        let asked = granted.access.asked.unix;
        let after = |life: Duration| millis(asked.saturating_add(life));
        let (refresh_token, refresh_end) = match (&granted.refresh, granted.refresh_life) {
            (Some(token), life) => {
                (token.expose_secret().to_owned(), Some(after(life.unwrap_or(REFRESH_LIFE))))
            }
            // Without a new one the old one stays good.
            (None, Some(life)) => (self.refresh_token.clone(), Some(after(life))),
            (None, None) => (self.refresh_token.clone(), self.refresh_end),
        };
        let access = StoredAccessToken {
            token: granted.access.token.expose().to_owned(),
            from: millis(asked),
            until: granted.access.life.map(after),
        };
        Self {
            seed: self.seed.clone(),
            refresh_token,
            refresh_end,
            access: Some(access),
            renewed: Some(millis(asked)),
            ..Self::default()
        }
    }

    /// The same for another account than the configured one: nothing of it is used.
    pub(super) fn of_other_account(self, found: String) -> Self {
        Self { access: None, ..self.dead(LoginReason::OtherAccount { found }) }
    }
}

/// Uses stored tokens as a start and a login do. Whether these bytes hold any.
#[cfg(fuzzing)]
pub fn uses_stored_tokens(bytes: &[u8]) -> bool {
    let Ok(stored) = parse_state::<StoredTokens>(bytes, VERSION) else { return false };
    let written = state_bytes(&stored, VERSION);
    assert!(parse_state(&written, VERSION).is_ok_and(|again: StoredTokens| again == stored));
    let _ = (stored.access(Stamp::now()), stored.end(), stored.renewed());
    let login = SecretString::from("a login");
    assert!(stored.replaced_by(&login).is_of(&login));
    true
}

/// A hash of the refresh token that a login gave. It identifies the login in a file that must not
/// hold more secrets than it needs.
fn seed_of(token: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.expose_secret().as_bytes()))
}

/// Where the account's tokens are, which they are also after it was renamed.
pub(super) fn folder_of(account: &Account) -> AccountFolder {
    AccountFolder::new(account.name.as_str(), account.account_id.as_ref().map(AccountId::as_str))
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

opaque!(StoredTokens);

impl TokenJournal {
    /// The journal of an account in `storage`; nothing is opened yet.
    pub(super) fn new(storage: Option<Storage>, folder: AccountFolder) -> Self {
        Self { storage, folder, journal: Arc::default() }
    }

    /// The journal, once no other renewal has it. Makes and locks the account's folder the first time.
    pub(super) async fn open(&self) -> Result<OwnedMutexGuard<OpenJournal>, TokenError> {
        let mut journal = Arc::clone(&self.journal).lock_owned().await;
        if journal.files.is_none() {
            let storage = self.storage.as_ref().ok_or(TokenError::NoStorage)?;
            let files = storage.files(self.folder.clone());
            let content = files.run(|store| store.read(FILE)).await?;
            journal.stored = content.map(|content| parse(&content)).transpose()?;
            journal.files = Some(files);
        }
        Ok(journal)
    }

    /// What the process that holds the lock has written, if anything, without the lock.
    pub(super) async fn read_unlocked(&self) -> Result<Option<StoredTokens>, TokenError> {
        let storage = self.storage.as_ref().ok_or(TokenError::NoStorage)?;
        let content = storage.files(self.folder.clone()).read_unlocked(FILE).await?;
        content.map(|content| parse(&content)).transpose()
    }
}

fn parse(content: &[u8]) -> Result<StoredTokens, TokenError> {
    parse_state(content, VERSION).map_err(|error| {
        let why = match error {
            StateError::Newer { .. } => error.to_string(),
            StateError::Invalid(_) => {
                "remove it and run `wazzup-exporter login` for the account".to_owned()
            }
        };
        TokenError::UnusableFile(FILE, why)
    })
}

impl OpenJournal {
    /// Continues with the token of a login; the next write stores it.
    pub(super) fn begin(&mut self, login: &SecretString) {
        self.stored = Some(match self.stored.take() {
            Some(stored) => stored.replaced_by(login),
            None => StoredTokens::from_login(login),
        });
    }

    /// Writes what could not be written before.
    pub(super) async fn write_pending(&mut self) -> Result<(), TokenError> {
        let Some(unsaved) = self.unsaved.clone() else { return Ok(()) };
        self.write(unsaved).await?;
        self.unsaved = None;
        Ok(())
    }

    /// Writes `stored`. After `Ok` it survives a power loss.
    pub(super) async fn write(&mut self, stored: StoredTokens) -> Result<(), TokenError> {
        let files = self.files.clone().expect("the journal is opened before it is lent");
        let content = state_bytes(&stored, VERSION);
        files.run(move |store| store.write(FILE, &content)).await?;
        self.stored = Some(stored);
        Ok(())
    }

    /// Writes the content of a response. If that fails it is not lost: it is written before anything
    /// else is done, and the old refresh token is not sent again.
    pub(super) async fn write_response(&mut self, stored: StoredTokens) -> Result<(), TokenError> {
        let written = self.write(stored.clone()).await;
        self.unsaved = written.is_err().then_some(stored);
        written
    }

    /// Notes what need not be on disk because it can be found out again.
    pub(super) async fn try_write(&mut self, stored: StoredTokens) {
        // The next write fails as well and is reported.
        if self.write(stored.clone()).await.is_err() {
            self.stored = Some(stored);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::fixture;

    const NOW: Stamp = Stamp { uptime: Duration::from_secs(9), unix: Duration::from_secs(1000) };
    const HOUR: Duration = Duration::from_hours(1);

    fn granted(refresh: Option<&str>, refresh_life: Option<Duration>) -> GrantedTokens {
        let access = Token::new("access", String::new).unwrap();
        let refresh = refresh.map(SecretString::from);
        GrantedTokens { access: ObtainedToken::new(access, NOW, Some(HOUR)), refresh, refresh_life }
    }

    #[test]
    fn a_new_refresh_token_takes_the_place_of_the_old_one_and_no_answer_leaves_it() {
        let login = StoredTokens::from_login(&"first".into());
        let end = |hours: u64| Some(NOW.unix + Duration::from_hours(hours));
        let second = login.followed_by(&granted(Some("second"), None));
        assert_eq!(second.refresh_token().expose_secret(), "second");
        assert_eq!(second.end(), end(7 * 24));
        let given = login.followed_by(&granted(Some("second"), Some(HOUR)));
        assert_eq!(given.end(), end(1));
        let same = second.followed_by(&granted(None, None));
        assert_eq!(same.refresh_token().expose_secret(), "second");
        assert_eq!((same.end(), same.renewed()), (end(7 * 24), Some(NOW.unix)));
        assert!(same.is_of(&"first".into()) && !same.is_of(&"second".into()));
    }

    #[test]
    fn what_is_stored_stays_until_a_later_login_is_redeemed() {
        let stored =
            StoredTokens::from_login(&"first".into()).followed_by(&granted(Some("live"), None));
        let rubbish = stored.clone().replaced_by(&"rubbish".into());
        assert_eq!(rubbish.refresh_token().expose_secret(), "rubbish");
        let refused = rubbish.started().dead(LoginReason::Revoked);
        let text = serde_json::to_vec(&refused).unwrap();
        let refused: StoredTokens = serde_json::from_slice(&text).unwrap();
        let more = refused.clone().replaced_by(&"more rubbish".into());
        for replaced in [rubbish, refused, more.clone()] {
            assert_eq!(replaced.replaced_by(&"first".into()), stored, "the old content is back");
        }
        let redeemed = more.followed_by(&granted(Some("next"), None));
        assert_eq!(redeemed.earlier, None);
        let back = redeemed.replaced_by(&"first".into());
        assert_eq!(back.refresh_token().expose_secret(), "first", "a login like any other");
    }

    #[test]
    fn an_access_token_is_taken_up_with_the_age_that_it_has() {
        let stored = StoredTokens::from_login(&"first".into()).followed_by(&granted(None, None));
        let fresh = stored.access(NOW.plus(HOUR / 4)).unwrap();
        assert_eq!((fresh.life, fresh.spent, fresh.new), (Some(HOUR), HOUR / 4, false));
        assert!(stored.access(NOW.plus(HOUR)).is_none());
    }

    #[test]
    fn what_is_dead_ends_with_its_access_token() {
        let stored =
            StoredTokens::from_login(&"first".into()).followed_by(&granted(Some("second"), None));
        let dead = stored.dead(LoginReason::Revoked);
        assert_eq!(dead.end(), Some(NOW.unix + HOUR));
        let other = stored.of_other_account("1".to_owned());
        assert!(other.access(NOW).is_none() && other.end().is_none());
    }

    #[tokio::test]
    async fn what_was_written_is_read_by_the_next_owner_and_without_the_lock() {
        let temporary = tempfile::tempdir().unwrap();
        let account = fixture("acme", &[]);
        let open = |storage| TokenJournal::new(Some(storage), folder_of(&account));
        let first = open(Storage::new(temporary.path().join("data")));
        let mut journal = first.open().await.unwrap();
        assert!(journal.stored.is_none());
        let stored = StoredTokens::from_login(&"first".into()).started();
        journal.write(stored.clone()).await.unwrap();
        let second = open(Storage::new(temporary.path().join("data")));
        assert_eq!(second.read_unlocked().await.unwrap(), Some(stored.clone()));
        let refused = second.open().await.map(drop).unwrap_err().to_string();
        let process = format!("is locked by process {}", std::process::id());
        assert!(refused.contains(&process), "{refused}");
        drop((journal, first));
        assert_eq!(second.open().await.unwrap().stored, Some(stored));
    }

    #[tokio::test]
    async fn an_answer_that_could_not_be_written_is_written_later() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("data/acme/oauth.json");
        let storage = Storage::new(temporary.path().join("data"));
        let journal = TokenJournal::new(Some(storage), folder_of(&fixture("acme", &[])));
        let mut open = journal.open().await.unwrap();
        // A folder in its place is refused.
        std::fs::create_dir(&file).unwrap();
        let answer = StoredTokens::from_login(&"first".into());
        assert!(open.write_response(answer.clone()).await.is_err());
        assert!(open.write_pending().await.is_err());
        std::fs::remove_dir(&file).unwrap();
        open.write_pending().await.unwrap();
        assert_eq!(journal.read_unlocked().await.unwrap(), Some(answer));
    }

    #[tokio::test]
    async fn a_file_that_is_not_ours_is_not_taken_for_no_file() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::new(temporary.path());
        storage.account("acme").unwrap().write(FILE, b"{}").unwrap();
        let journal = TokenJournal::new(Some(storage), folder_of(&fixture("acme", &[])));
        let error = journal.open().await.map(drop).unwrap_err().to_string();
        assert!(error.contains("oauth.json") && error.contains("wazzup-exporter login"), "{error}");
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_refused_with_words_and_left_untouched() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::new(temporary.path());
        let newer = br#"{"version":2,"seed":"s","refresh_token":"r3fresh","started":false}"#;
        storage.account("acme").unwrap().write(FILE, newer).unwrap();
        let journal = TokenJournal::new(Some(storage), folder_of(&fixture("acme", &[])));
        for error in [
            journal.open().await.map(drop).unwrap_err(),
            journal.read_unlocked().await.map(drop).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.starts_with("oauth.json ") && text.contains("newer version"), "{text}");
            assert!(error.is_of_storage() && !text.contains("r3fresh"), "{text}");
        }
        assert_eq!(std::fs::read(temporary.path().join("acme/oauth.json")).unwrap(), newer);
    }

    #[test]
    fn no_secret_is_in_debug_output() {
        let stored = StoredTokens::from_login(&"s3cret".into());
        assert!(!format!("{stored:?}").contains("s3cret"));
    }
}
