//! All sources of tokens of a process.
//!
//! [`Tokens`] is made once and outlives pollers: accounts of a partner share its desk, and an account
//! whose poller is started anew, or whose settings have changed, goes on with the token it has.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use url::Url;

use super::cell::{Cell, Holder};
use super::endpoint::{Asker, Grant};
use super::error::TokenError;
use super::file::SecretFile;
use super::journal::Journal;
use super::jwt::Claims;
use super::oauth::{Renewals, Renewer};
use super::partner::Desk;
use super::{TokenSource, Way};
use crate::account::{Account, AccountName, Auth, Credential, Partner, ProxyUrl, Tls};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::metrics::{Process, Tally};
use crate::storage::Storage;
use crate::transport::Error;

/// How long the disk may take at the end of the process.
const DISK: Duration = Duration::from_secs(5);

/// Makes the sources of tokens of all accounts, and holds what they share.
#[derive(Debug)]
pub struct Tokens {
    storage: Option<Storage>,
    renewals: Arc<Renewals>,
    desks: Mutex<HashMap<DeskKey, Arc<Desk>>>,
    cells: Mutex<HashMap<Credential, Arc<Cell>>>,
    journals: Mutex<HashMap<AccountName, Weak<Journal>>>,
    renewers: Mutex<HashMap<RenewerKey, Weak<Renewer>>>,
    /// Longest time limit of a request for a token, in milliseconds.
    longest: AtomicU64,
}

/// What two accounts must have in common to come to the same desk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DeskKey {
    partner: Arc<Partner>,
    api: Url,
    tls: Tls,
    proxy: Option<ProxyUrl>,
}

/// What must not change for a renewer to go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RenewerKey {
    account: AccountName,
    id: Option<String>,
    desk: DeskKey,
    login: PathBuf,
}

/// What a login gave.
#[derive(Debug)]
pub struct LoggedIn {
    /// The access token.
    pub access: SecretString,
    refresh: SecretString,
}

impl LoggedIn {
    /// Wazzup's number of the account that the tokens are good for, where they tell.
    pub fn account(&self) -> Option<String> {
        Claims::of(self.access.expose_secret()).account
    }

    /// The refresh token as it stands in a file.
    pub fn refresh_line(&self) -> Vec<u8> {
        format!("{}\n", self.refresh.expose_secret()).into_bytes()
    }
}

impl Tokens {
    /// Sources that keep refresh tokens in `storage`, and are the only ones to use them.
    pub fn new(storage: Option<Storage>) -> Self {
        Self::with(storage, false)
    }

    /// The same for commands that run beside a daemon: where it holds a refresh token, they use the
    /// access token that it keeps.
    pub fn aside(storage: Option<Storage>) -> Self {
        Self::with(storage, true)
    }

    fn with(storage: Option<Storage>, aside: bool) -> Self {
        Self {
            storage,
            renewals: Arc::new(Renewals { aside, ..Renewals::default() }),
            desks: Mutex::default(),
            cells: Mutex::default(),
            journals: Mutex::default(),
            renewers: Mutex::default(),
            longest: AtomicU64::default(),
        }
    }

    /// The source of an account's tokens, which are asked for through `http` and counted in `tally`.
    /// Must be called within a runtime.
    pub fn source(
        &self,
        account: &Arc<Account>,
        http: reqwest::Client,
        process: Arc<Process>,
        tally: Arc<Tally>,
    ) -> TokenSource {
        let base_url = account.base_url.clone();
        let asker = Asker::new(http, base_url, account.poll.timeout, process, tally);
        self.longest.fetch_max(asker.timeout().as_millis() as u64, Relaxed);
        let way = match &account.auth {
            Auth::Token(secret) => Way::Fixed(secret.clone()),
            Auth::TokenFile(path) => Way::File(SecretFile::new("token file", path.clone())),
            Auth::TokenCommand(words) => {
                Way::Command { words: Arc::clone(words), cell: self.cell(account) }
            }
            Auth::Partner(partner) => {
                Way::Partner { desk: self.desk(account, partner), cell: self.cell(account) }
            }
            Auth::OAuth { partner, refresh_token_file } => {
                Way::OAuth(self.renewer(account, partner, refresh_token_file.clone()))
            }
        };
        TokenSource::new(Arc::clone(account), asker, way)
    }

    /// Exchanges what a customer's login ended with for the first tokens of the account, whose
    /// partner must be known.
    ///
    /// # Errors
    /// When upstream refuses, or gives no refresh token.
    pub async fn redeem(
        &self,
        account: &Account,
        partner: &Arc<Partner>,
        asked_by: (reqwest::Client, Arc<Process>, Arc<Tally>),
        (code, verifier): (&SecretString, &SecretString),
    ) -> Result<LoggedIn, TokenError> {
        let (http, process, tally) = asked_by;
        let base_url = account.base_url.clone();
        let asker = Asker::new(http, base_url, account.poll.timeout, process, tally);
        let desk = self.desk(account, partner);
        let login = desk.read_login().await?;
        let client = partner.client_id.as_deref().unwrap_or_default();
        let redirect = partner.redirect_uri.as_ref().ok_or(TokenError::NoRedirect)?;
        let grant = Grant::Code { code, redirect, client, verifier };
        let permit = desk.permit().await?;
        let granted = desk.ask(&asker, permit, &login, &grant).await;
        let granted = granted.map_err(|refused| match &refused.error {
            Error::Status { status: 400, .. } => TokenError::CodeRefused(Arc::new(refused.error)),
            _ if refused.is_of_the_grant() => TokenError::CodeRefused(Arc::new(refused.error)),
            _ => refused.into_error("cannot redeem the code"),
        })?;
        let refresh = granted.refresh.ok_or(TokenError::NoRefreshToken)?;
        Ok(LoggedIn { access: granted.access.expose().into(), refresh })
    }

    /// Waits until every renewal of a refresh token that was sent is stored, or given up.
    pub async fn settle(&self) {
        self.renewals.closing.cancel();
        self.renewals.tasks.close();
        let longest = Duration::from_millis(self.longest.load(Relaxed));
        let _ = timeout(longest + DISK, self.renewals.tasks.wait()).await;
        let unsaved = std::mem::take(&mut *lock(&self.renewals.unsaved));
        for journal in unsaved {
            let _ = timeout(DISK, async {
                if let Ok(mut book) = journal.open().await {
                    // Why it fails was told when it first did.
                    let _ = book.rescue().await;
                }
            })
            .await;
        }
    }

    fn desk(&self, account: &Account, partner: &Arc<Partner>) -> Arc<Desk> {
        let mut desks = lock(&self.desks);
        desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        let new = || Arc::new(Desk::new(Arc::clone(partner)));
        Arc::clone(desks.entry(DeskKey::new(account, partner)).or_insert_with(new))
    }

    fn cell(&self, account: &Account) -> Arc<Cell> {
        let now = Stamp::now();
        let mut cells = lock(&self.cells);
        // An account that is on its way from one poller to the next keeps its token.
        cells.retain(|_, cell| Arc::strong_count(cell) > 1 || cell.is_good(now));
        let new = || Cell::new(Holder::Account(account.name.clone()));
        Arc::clone(cells.entry(account.credential()).or_insert_with(new))
    }

    fn renewer(&self, account: &Account, partner: &Arc<Partner>, login: PathBuf) -> Arc<Renewer> {
        let desk = self.desk(account, partner);
        let key = RenewerKey {
            account: account.name.clone(),
            id: account.account_id.as_ref().map(|id| id.as_str().to_owned()),
            desk: DeskKey::new(account, partner),
            login: login.clone(),
        };
        // What they know is on disk; without an account its folder must not stay locked.
        let journal = shared(&self.journals, account.name.clone(), || {
            Journal::new(self.storage.clone(), account.name.clone())
        });
        shared(&self.renewers, key, || {
            let login = SecretFile::new("refresh token file", login);
            let id = account.account_id.clone();
            Renewer::new(journal, desk, login, id, Arc::clone(&self.renewals))
        })
    }
}

impl DeskKey {
    fn new(account: &Account, partner: &Arc<Partner>) -> Self {
        Self {
            partner: Arc::clone(partner),
            api: account.base_url.clone(),
            tls: account.tls.clone(),
            proxy: account.proxy.clone(),
        }
    }
}

/// The value that somebody uses, or a new one.
fn shared<K: Eq + Hash, V>(
    values: &Mutex<HashMap<K, Weak<V>>>,
    key: K,
    new: impl FnOnce() -> V,
) -> Arc<V> {
    let mut values = lock(values);
    values.retain(|_, value| value.strong_count() > 0);
    if let Some(value) = values.get(&key).and_then(Weak::upgrade) {
        return value;
    }
    let value = Arc::new(new());
    values.insert(key, Arc::downgrade(&value));
    value
}
