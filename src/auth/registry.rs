//! All sources of tokens of a process.
//!
//! [`Tokens`] is made once and outlives pollers: accounts of a partner share its login, and an account
//! whose poller is restarted, or whose settings have changed, keeps its token.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

use super::cached_token::CachedToken;
use super::endpoint::{Grant, TokenClient, refuses_grant};
use super::error::TokenError;
use super::journal::{TokenJournal, folder_of};
use super::oauth::{OAuthRenewer, RenewalTasks};
use super::partner::PartnerLogin;
use super::secret_file::SecretFile;
use super::source::{Renewer, TokenKind, TokenSource};
use super::token::Token;
use crate::account::{
    Account, AccountId, AccountName, Auth, Credential, Partner, ProxyUrl, RateLimit, Tls,
};
use crate::blocking::lock;
use crate::clock::Stamp;
use crate::metrics::{ProcessMetrics, Tally};
use crate::storage::{AccountFolder, Storage};
use crate::transport::{Error, HttpClient};

/// How long the end of the process waits for the disk.
const STORAGE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Makes the sources of tokens of all accounts, and holds what they share.
#[derive(Default)]
pub struct Tokens {
    storage: Option<Storage>,
    renewals: Arc<RenewalTasks>,
    /// Of the requests for tokens of each partner.
    partner_limit: RateLimit,
    partner_logins: Mutex<HashMap<PartnerLoginKey, Weak<PartnerLogin>>>,
    cached: Mutex<HashMap<Credential, Arc<CachedToken>>>,
    journals: Mutex<HashMap<AccountFolder, Weak<TokenJournal>>>,
    renewers: Mutex<HashMap<OAuthRenewerKey, Weak<OAuthRenewer>>>,
    /// Longest time limit of a request for a token, in milliseconds.
    longest: AtomicU64,
}

/// What two accounts must have in common to share a partner's login: the partner, the API, and how that is
/// reached.
type PartnerLoginKey = (Arc<Partner>, Url, Tls, Option<ProxyUrl>);

/// What must stay the same for a renewer to be kept: the account, its number, and where its tokens come from.
type OAuthRenewerKey = (AccountName, Option<AccountId>, PartnerLoginKey, PathBuf);

impl Tokens {
    /// Sources that keep refresh tokens in `storage`, and are the only ones to use them.
    pub fn new(storage: Option<Storage>) -> Self {
        Self { storage, ..Self::default() }
    }

    /// The same for commands that run beside a daemon: where it holds a refresh token, they use the
    /// access token that it keeps.
    pub fn read_only(storage: Option<Storage>) -> Self {
        let renewals = RenewalTasks { read_only: true, ..RenewalTasks::default() };
        Self { storage, renewals: Arc::new(renewals), ..Self::default() }
    }

    /// The same where so many processes log in as the same partners; each has an equal part of their limits.
    #[must_use]
    pub fn for_one_of(self, processes: usize) -> Self {
        Self { partner_limit: RateLimit::default().divided(processes), ..self }
    }

    /// The source of an account's tokens, which are requested through `http` and counted in `tally`.
    /// Must be called within a runtime.
    pub fn source(
        &self,
        account: &Arc<Account>,
        http: HttpClient,
        process: Arc<ProcessMetrics>,
        tally: Arc<Tally>,
    ) -> TokenSource {
        let base_url = account.base_url.clone();
        let token_client = TokenClient::new(http, base_url, account.poll.timeout, process, tally);
        self.longest.fetch_max(token_client.timeout.as_millis() as u64, Relaxed);
        let kind = match &account.auth {
            Auth::Token(secret) | Auth::TokenEnv { token: secret, .. } => {
                TokenKind::Fixed(secret.clone())
            }
            Auth::TokenFile(path) => TokenKind::File(SecretFile::new("token file", path.clone())),
            Auth::TokenCommand(words) => {
                TokenKind::Renewed(self.cached(account), Renewer::Command(Arc::clone(words)))
            }
            Auth::Partner(partner) => {
                let renewer = Renewer::Partner(self.partner_login(account, partner));
                TokenKind::Renewed(self.cached(account), renewer)
            }
            Auth::OAuth { partner, refresh_token_file } => {
                let renewer = self.renewer(account, partner, refresh_token_file.clone());
                TokenKind::Renewed(Arc::clone(&renewer.cached), Renewer::OAuth(renewer))
            }
        };
        TokenSource::new(Arc::clone(account), token_client, kind)
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
        transport: (HttpClient, Arc<ProcessMetrics>, Arc<Tally>),
        (code, verifier): (&SecretString, &SecretString),
    ) -> Result<(Token, SecretString), TokenError> {
        let (http, process, tally) = transport;
        let base_url = account.base_url.clone();
        let token_client = TokenClient::new(http, base_url, account.poll.timeout, process, tally);
        let partner_login = self.partner_login(account, partner);
        let login = partner_login.read_login().await?;
        let client = partner.client_id.as_deref().unwrap_or_default();
        let redirect =
            partner.redirect_uri.as_ref().expect("without one the configuration is refused");
        let grant = Grant::Code { code, redirect, client, verifier };
        let permit = partner_login.permit().await?;
        let granted = partner_login.request(&token_client, permit, &login, &grant).await;
        let granted = granted.map_err(|refused| match &refused {
            Error::Status { status: 400, .. } => TokenError::CodeRefused(Arc::new(refused)),
            _ if refuses_grant(&refused) => TokenError::CodeRefused(Arc::new(refused)),
            _ => TokenError::refused("cannot redeem the code", refused),
        })?;
        let refresh = granted.refresh.ok_or(TokenError::NoRefreshToken)?;
        Ok((granted.access.token, refresh))
    }

    /// Waits until every renewal of a refresh token that was sent is stored, or given up.
    pub async fn finish_renewals(&self) {
        self.renewals.closing.cancel();
        self.renewals.tasks.close();
        let longest = Duration::from_millis(self.longest.load(Relaxed));
        let _ = timeout(longest + STORAGE_WAIT_MAX, self.renewals.tasks.wait()).await;
        let unsaved = std::mem::take(&mut *lock(&self.renewals.unsaved));
        let writes = unsaved.iter().map(|journal| async {
            // The reason was logged with the first failure.
            journal.open().await?.write_pending().await
        });
        let _ = timeout(STORAGE_WAIT_MAX, join_all(writes)).await;
    }

    fn partner_login(&self, account: &Account, partner: &Arc<Partner>) -> Arc<PartnerLogin> {
        let new = || PartnerLogin::new(Arc::clone(partner), self.partner_limit);
        shared(&self.partner_logins, login_key(account, partner), new)
    }

    fn cached(&self, account: &Account) -> Arc<CachedToken> {
        let now = Stamp::now();
        let mut cached = lock(&self.cached);
        // An account between two pollers keeps its token.
        cached.retain(|_, cached| Arc::strong_count(cached) > 1 || cached.unexpired(now).is_some());
        let new = || CachedToken::new(TaskTracker::new());
        Arc::clone(cached.entry(account.credential()).or_insert_with(new))
    }

    fn renewer(
        &self,
        account: &Account,
        partner: &Arc<Partner>,
        login: PathBuf,
    ) -> Arc<OAuthRenewer> {
        let partner_login = self.partner_login(account, partner);
        let (name, number) = (account.name.clone(), account.account_id.clone());
        let key = (name, number, login_key(account, partner), login.clone());
        // The content is on disk; the folder of a removed account must not stay locked.
        let folder = folder_of(account);
        let journal = shared(&self.journals, folder.clone(), || {
            TokenJournal::new(self.storage.clone(), folder)
        });
        shared(&self.renewers, key, || {
            let login = SecretFile::new("refresh token file", login);
            OAuthRenewer::new(account, journal, partner_login, login, Arc::clone(&self.renewals))
        })
    }
}

fn login_key(account: &Account, partner: &Arc<Partner>) -> PartnerLoginKey {
    let Account { base_url, tls, proxy, .. } = account;
    (Arc::clone(partner), base_url.clone(), tls.clone(), proxy.clone())
}

/// The value that is in use, or a new one.
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
