//! Tokens of a customer who has logged in (Wazzup label): an access token and the refresh token that
//! gets the next one, once.
//!
//! An [`OAuthRenewer`] continues from what its [`TokenJournal`] stores, or from the token that a later
//! login has put into the account's `refresh_token_file`. It never drops a refresh token before the
//! next one is on disk, and never again sends one that upstream has definitely refused: another login
//! is needed then. docs/tokens.md says what is lost by which crash.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use super::cached_token::{CachedToken, ObtainedToken};
use super::endpoint::{Grant, GrantedTokens, TokenClient, refuses_grant};
use super::error::{LoginReason, TokenError};
use super::journal::{OpenJournal, StoredTokens, TokenJournal};
use super::partner::PartnerLogin;
use super::secret_file::SecretFile;
use super::token::{Token, TokenTimes};
use crate::account::{Account, AccountId, AccountName};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::limit::Permit;
use crate::storage::StorageError;

/// What all renewals of a process have in common.
#[derive(Default)]
pub(super) struct RenewalTasks {
    /// Renewals in progress, which the end of the process waits for.
    pub(super) tasks: TaskTracker,
    /// Cancelled when the process is to end: nothing more is sent then.
    pub(super) closing: CancellationToken,
    /// Journals whose last response could not be stored.
    pub(super) unsaved: Mutex<Vec<Arc<TokenJournal>>>,
    /// Whether another process may own an account's refresh token; its access token is used then.
    pub(super) read_only: bool,
}

/// Renews the tokens of one account.
pub(super) struct OAuthRenewer {
    account: AccountName,
    /// The access token.
    pub(super) cached: Arc<CachedToken>,
    journal: Arc<TokenJournal>,
    pub(super) partner_login: Arc<PartnerLogin>,
    /// The refresh token of the last login.
    pub(super) login: SecretFile,
    account_id: Option<AccountId>,
    renewals: Arc<RenewalTasks>,
    times: Mutex<TokenTimes>,
}

impl OAuthRenewer {
    pub(super) fn new(
        account: &Account,
        journal: Arc<TokenJournal>,
        partner_login: Arc<PartnerLogin>,
        login: SecretFile,
        renewals: Arc<RenewalTasks>,
    ) -> Self {
        let (account, account_id) = (account.name.clone(), account.account_id.clone());
        let (cached, times) = (CachedToken::new(renewals.tasks.clone()), Mutex::default());
        Self { account, cached, journal, partner_login, login, account_id, renewals, times }
    }

    pub(super) fn times(&self) -> TokenTimes {
        *lock(&self.times)
    }

    /// Gets another access token than the one in use, `current`: the one that is stored, or a new one.
    pub(super) async fn renew(
        &self,
        token_client: &TokenClient,
        current: Option<Token>,
    ) -> Result<ObtainedToken, TokenError> {
        let mut journal = match self.journal.open().await {
            Ok(journal) => journal,
            Err(TokenError::Storage(error)) if self.renewals.read_only => {
                return self.owners_token(error).await;
            }
            Err(error) => return Err(error),
        };
        journal.write_pending().await?;
        lock(&self.renewals.unsaved).retain(|journal| !Arc::ptr_eq(journal, &self.journal));
        self.adopt_login(&mut journal).await?;
        let result = self.renew_stored(token_client, current, &mut journal).await;
        if let Some(stored) = &journal.stored {
            *lock(&self.times) =
                TokenTimes { expiry: stored.end(), last_refresh: stored.renewed() };
        }
        result
    }

    async fn renew_stored(
        &self,
        token_client: &TokenClient,
        current: Option<Token>,
        journal: &mut OpenJournal,
    ) -> Result<ObtainedToken, TokenError> {
        let stored = journal.stored.clone().ok_or_else(|| self.login_needed(LoginReason::Never))?;
        let access = stored.access(Stamp::now());
        if let Some(fresh) = access.filter(|fresh| Some(&fresh.token) != current.as_ref()) {
            return Ok(fresh);
        }
        if let Some(reason) = &stored.login_needed {
            return Err(self.login_needed(reason.clone()));
        }
        let login = self.partner_login.read_login().await?;
        let permit = self.permit().await?;
        if !stored.started {
            journal.write(stored.started()).await?;
        }
        let client = self.partner_login.partner.client_id.as_deref().unwrap_or_default();
        let token = stored.refresh_token();
        let grant = Grant::Refresh { token: &token, client };
        let sent = Instant::now();
        match self.partner_login.request(token_client, permit, &login, &grant).await {
            Ok(granted) => self.store(journal, &stored, granted, sent).await,
            Err(refused) if refuses_grant(&refused) => {
                let lost = stored.started;
                let reason = if lost { LoginReason::AnswerLost } else { LoginReason::Revoked };
                journal.try_write(stored.dead(reason.clone())).await;
                Err(self.login_needed(reason))
            }
            Err(refused) => {
                // Otherwise the refresh token may be spent.
                let harmless = refused.was_not_sent() || refused.was_turned_away();
                if harmless && !stored.started {
                    journal.try_write(stored).await;
                }
                Err(TokenError::refused("cannot renew the token", refused))
            }
        }
    }

    /// Stores the tokens of a response, and only then returns the access token.
    async fn store(
        &self,
        journal: &mut OpenJournal,
        stored: &StoredTokens,
        granted: GrantedTokens,
        sent: Instant,
    ) -> Result<ObtainedToken, TokenError> {
        let answered = sent.elapsed();
        let mut next = stored.followed_by(&granted);
        if let Some(found) = self.other_account(&granted.access.token) {
            next = next.of_other_account(found);
        }
        let refused = next.login_needed.clone();
        if let Err(problem) = journal.write_response(next).await {
            let account = &self.account;
            error!(
                %account, %problem,
                "the next refresh token cannot be stored; it is tried again, and lost if the exporter ends before"
            );
            lock(&self.renewals.unsaved).push(Arc::clone(&self.journal));
            return Err(problem);
        }
        let account = &self.account;
        let [answered, stored] = [answered, sent.elapsed()].map(|took| took.as_micros() as u64);
        debug!(%account, answered_micros = answered, stored_micros = stored, "renewed the token");
        refused.map_or(Ok(granted.access), |reason| Err(self.login_needed(reason)))
    }

    /// The account that the token is of, if it is not the one it should be of.
    fn other_account(&self, token: &Token) -> Option<String> {
        let expected = self.account_id.as_ref()?;
        token.account().filter(|found| *found != expected.as_str()).map(str::to_owned)
    }

    /// Takes over the refresh token of a later login.
    async fn adopt_login(&self, journal: &mut OpenJournal) -> Result<(), TokenError> {
        match self.read_login().await {
            Ok(Some(token)) if !journal.stored.as_ref().is_some_and(|own| own.is_of(&token)) => {
                journal.begin(&token);
            }
            // The stored token can be used without it.
            Err(error) if journal.stored.is_none() => return Err(error),
            _ => {}
        }
        Ok(())
    }

    /// The refresh token of the last login; `None` before the first.
    async fn read_login(&self) -> Result<Option<SecretString>, TokenError> {
        let text = match self.login.read().await {
            Err(TokenError::Unreadable { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            text => text?,
        };
        let text = text.expose_secret().trim();
        // Also checks that it is fit to be sent.
        let place = || format!("in {}", self.login.path.display());
        Token::new(text, place).map(|token| Some(token.expose().into()))
    }

    /// The access token of the process that owns the account's storage.
    async fn owners_token(&self, owner: Arc<StorageError>) -> Result<ObtainedToken, TokenError> {
        let StorageError::Locked { pid, .. } = *owner else { return Err(owner.into()) };
        let stored = self.journal.read_unlocked().await?;
        let access = stored.and_then(|stored| stored.access(Stamp::now()));
        access.ok_or(TokenError::HeldElsewhere { pid })
    }

    async fn permit(&self) -> Result<Permit, TokenError> {
        tokio::select! {
            permit = self.partner_login.permit() => permit,
            () = self.renewals.closing.cancelled() => Err(TokenError::Pending(Duration::ZERO)),
        }
    }

    fn login_needed(&self, why: LoginReason) -> TokenError {
        TokenError::LoginNeeded { account: self.account.clone(), why }
    }
}
