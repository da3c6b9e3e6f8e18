//! Tokens of a customer who has logged in (Wazzup label): an access token and the refresh token that
//! gets the next one, once.
//!
//! A [`Renewer`] goes on from what its [`Journal`] keeps, or from what a login has put into the
//! account's `refresh_token_file` since. It never forgets a refresh token before the next one is on
//! disk, and never asks again with one that upstream has definitely refused: only another login
//! helps then. docs/tokens.md tells what is lost by which crash.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use super::Token;
use super::cell::{Cell, Fresh, Holder, Want};
use super::endpoint::{Asker, Grant, Granted};
use super::error::{LoginReason, TokenError};
use super::file::SecretFile;
use super::journal::{Book, Journal, Kept};
use super::jwt::Claims;
use super::partner::Desk;
use crate::account::{AccountId, AccountName};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::limit::Permit;
use crate::storage::StorageError;

/// What all renewals of a process have in common.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// Those under way, which the end of the process waits for.
    pub(super) tasks: TaskTracker,
    /// Ended when the process is to end: nothing more is sent then.
    pub(super) closing: CancellationToken,
    /// Those whose answer could not be stored.
    pub(super) unsaved: Mutex<Vec<Arc<Journal>>>,
    /// Whether somebody else may hold an account's refresh token, whose access token is used then.
    pub(super) aside: bool,
}

/// Renews the tokens of one account.
pub(super) struct Renewer {
    cell: Arc<Cell>,
    journal: Arc<Journal>,
    desk: Arc<Desk>,
    login: SecretFile,
    account_id: Option<AccountId>,
    renewals: Arc<Renewals>,
    facts: Mutex<Facts>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// When reading ends unless somebody logs in, in unix time.
    pub(super) end: Option<Duration>,
    /// When tokens came last, in unix time.
    pub(super) renewed: Option<Duration>,
}

impl Renewer {
    pub(super) fn new(
        journal: Arc<Journal>,
        desk: Arc<Desk>,
        login: SecretFile,
        account_id: Option<AccountId>,
        renewals: Arc<Renewals>,
    ) -> Self {
        let cell = Cell::new(Holder::Account(journal.account.clone()));
        Self { cell, journal, desk, login, account_id, renewals, facts: Mutex::default() }
    }

    /// The access token that is wanted.
    pub(super) async fn token(
        self: &Arc<Self>,
        asker: &Asker,
        want: Want<'_>,
    ) -> Result<Token, TokenError> {
        if self.login.has_changed().await {
            self.cell.renew_soon();
        }
        let attempt = |held| {
            let (renewer, asker) = (Arc::clone(self), asker.clone());
            async move {
                let result = renewer.renew(&asker, held).await;
                count(&asker, &result);
                result
            }
        };
        self.cell.token(want, Some(&self.renewals.tasks), attempt).await
    }

    pub(super) fn facts(&self) -> Facts {
        *self.own_facts()
    }

    fn own_facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }

    /// Gets another access token than the one in use, `held`: the one that is kept, or a new one.
    async fn renew(&self, asker: &Asker, held: Option<Token>) -> Result<Fresh, TokenError> {
        let mut book = match self.journal.open().await {
            Ok(book) => book,
            Err(TokenError::Storage(error)) if self.renewals.aside => {
                return self.look_on(error).await;
            }
            Err(error) => return Err(error),
        };
        book.rescue().await?;
        self.unsaved().retain(|journal| !Arc::ptr_eq(journal, &self.journal));
        self.take_login(&mut book).await?;
        let result = self.go_on(asker, held, &mut book).await;
        if let Some(kept) = book.kept() {
            *self.own_facts() = Facts { end: kept.end(), renewed: kept.renewed() };
        }
        result
    }

    async fn go_on(
        &self,
        asker: &Asker,
        held: Option<Token>,
        book: &mut Book,
    ) -> Result<Fresh, TokenError> {
        let kept = book.kept().cloned().ok_or_else(|| self.login_needed(LoginReason::Never))?;
        let access = kept.access(Stamp::now());
        if let Some(fresh) = access.filter(|fresh| Some(&fresh.token) != held.as_ref()) {
            return Ok(fresh);
        }
        if let Some(reason) = kept.login_needed() {
            return Err(self.login_needed(reason.clone()));
        }
        let login = self.desk.read_login().await?;
        let permit = self.permit().await?;
        if !kept.is_started() {
            book.write(kept.started()).await?;
        }
        let client = self.desk.partner.client_id.as_deref().unwrap_or_default();
        let token = kept.refresh_token();
        let grant = Grant::Refresh { token: &token, client };
        let sent = Instant::now();
        match self.desk.ask(asker, permit, &login, &grant).await {
            Ok(granted) => self.store(book, &kept, granted, sent).await,
            Err(refused) if refused.is_of_the_grant() => {
                let lost = kept.is_started();
                let reason = if lost { LoginReason::AnswerLost } else { LoginReason::Revoked };
                book.try_write(kept.dead(reason.clone())).await;
                Err(self.login_needed(reason))
            }
            Err(refused) => {
                if refused.is_without_effect() && !kept.is_started() {
                    book.try_write(kept.not_sent()).await;
                }
                Err(refused.into_error("cannot renew the token"))
            }
        }
    }

    /// Stores what upstream has answered, and only then gives it out.
    async fn store(
        &self,
        book: &mut Book,
        kept: &Kept,
        granted: Granted,
        sent: Instant,
    ) -> Result<Fresh, TokenError> {
        let answered = sent.elapsed();
        let mut next = kept.followed_by(&granted);
        if let Some(found) = self.stranger(&granted.access) {
            next = next.of_other_account(found);
        }
        let refused = next.login_needed().cloned();
        if let Err(problem) = book.write_answer(next).await {
            let account = &self.journal.account;
            error!(
                %account, %problem,
                "the next refresh token cannot be stored; it is tried again, and lost if the exporter ends before"
            );
            self.unsaved().push(Arc::clone(&self.journal));
            return Err(problem);
        }
        let account = &self.journal.account;
        let [answered, stored] = [answered, sent.elapsed()].map(|took| took.as_micros() as u64);
        debug!(%account, answered_micros = answered, stored_micros = stored, "renewed the token");
        refused.map_or(Ok(granted.into()), |reason| Err(self.login_needed(reason)))
    }

    /// The account that the token is of, if it is not the one it should be of.
    fn stranger(&self, token: &Token) -> Option<String> {
        let wanted = self.account_id.as_ref()?;
        Claims::of(token.expose()).account.filter(|found| found != wanted.as_str())
    }

    /// Takes up what a login has given since.
    async fn take_login(&self, book: &mut Book) -> Result<(), TokenError> {
        match self.read_login().await {
            Ok(Some(token)) if !book.kept().is_some_and(|kept| kept.is_of(&token)) => {
                book.begin(Kept::from_login(&token));
            }
            // What is kept is as good without it.
            Err(error) if book.kept().is_none() => return Err(error),
            _ => {}
        }
        Ok(())
    }

    /// The refresh token that the last login gave; `None` before the first.
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
        let place = || format!("in {}", self.login.path().display());
        Token::new(text, place).map(|token| Some(token.expose().into()))
    }

    /// The access token of the process that owns the account's storage.
    async fn look_on(&self, owner: Arc<StorageError>) -> Result<Fresh, TokenError> {
        let StorageError::Locked { pid, .. } = *owner else { return Err(owner.into()) };
        let kept = self.journal.peek().await?;
        let access = kept.and_then(|kept| kept.access(Stamp::now()));
        access.ok_or(TokenError::HeldElsewhere { pid })
    }

    async fn permit(&self) -> Result<Permit, TokenError> {
        tokio::select! {
            permit = self.desk.permit() => permit,
            () = self.renewals.closing.cancelled() => Err(TokenError::Pending(Duration::ZERO)),
        }
    }

    fn unsaved(&self) -> MutexGuard<'_, Vec<Arc<Journal>>> {
        lock(&self.renewals.unsaved)
    }

    fn login_needed(&self, why: LoginReason) -> TokenError {
        let account: AccountName = self.journal.account.clone();
        TokenError::LoginNeeded { account, why }
    }
}

/// Counts an attempt that was one.
pub(super) fn count(asker: &Asker, result: &Result<Fresh, TokenError>) {
    let counts = match result {
        Ok(fresh) => fresh.new,
        Err(error) => error.is_of_an_attempt(),
    };
    if counts {
        asker.tally.token_refresh(result.is_ok());
    }
}

impl fmt::Debug for Renewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewer").field("account", &self.journal.account).finish_non_exhaustive()
    }
}
