//! Accounts: the items of the list `accounts` of the main file and of account files.
//!
//! [`check_accounts`] makes [`Account`]s of one list. What must be unique over all files is collected as
//! [`Claim`]s, see [`claims`](super::claims).

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use crate::account::{Account, AccountId, AccountName, Api, Auth, Export, ProxyUrl};
use crate::problems::report::Scope;

use super::auth::AuthKeys;
use super::budget::Placed;
use super::claims::{Claim, ClaimKey};
use super::file_scope::FileScope;
use super::key::{Key, Nested};
use super::lists::{ChannelsKeys, DiscoveryKeys, WorkingHoursKeys};
use super::network::{RateLimitKeys, TlsKeys, check_base_url};
use super::partners::Partners;
use super::reset::{ResetKeys, reset_fault};
use super::settings::PollKeys;
use super::users::{LabelsKeys, UsersKeys};
use super::value::Address;

/// An account of Wazzup24.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccountKeys {
    /// The label `account`; unique.
    name: Key<AccountName>,
    /// v2 is the technical partners' API, v3 the public one with an API key, which counts the last seven
    /// days only.
    api: Key<Api>,
    /// Wazzup's number of the account, quoted: eight digits, also written 7823-1464; once at each
    /// `base_url`. `auth: {partner: …}` and `reset` need it.
    account_id: Key<AccountId>,
    /// Where the API is: an address of https, or of http on localhost, 127.0.0.0/8 and `[::1]`; a path in it
    /// is kept. Default: `https://tech.wazzup24.com`, with v3 `https://api.wazzup24.com`.
    base_url: Key<Address>,
    /// Lets `base_url` be http anywhere; the token then travels unencrypted.
    allow_insecure_http: Key<bool>,
    /// Where the token comes from.
    auth: Nested<AuthKeys>,
    /// What the API allows; accounts with the same token share it.
    rate_limit: Nested<RateLimitKeys>,
    /// How the API's certificate is checked; that of an https proxy, too.
    tls: Nested<TlsKeys>,
    /// An HTTP proxy for all requests of the account. Default: what `HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY` say.
    proxy_url: Key<ProxyUrl>,
    /// How often to ask: what it does not say, `poll` of the main file does.
    poll: Nested<PollKeys>,
    /// Labels on the info metrics of the account and of its users.
    labels: LabelsKeys,
    /// When people work, for dashboards and alerts.
    working_hours: Nested<WorkingHoursKeys>,
    /// Whose counters are read; at least one, unless users are found.
    users: UsersKeys,
    /// More users, from the account's own list.
    discover_users: Nested<DiscoveryKeys>,
    /// Whether channels are read and, with v2, the users' roles on them.
    channels: Nested<ChannelsKeys>,
    /// Whether the counters of all chats of the account may be cleared, and within which bounds.
    reset: Nested<ResetKeys>,
}

/// What the main file says of every account.
pub(super) struct Defaults {
    /// `poll` of the main file.
    pub(super) poll: PollKeys,
    /// `export` of the main file.
    pub(super) export: Export,
    /// `partners` of the main file.
    pub(super) partners: Partners,
}

/// What a file has.
#[derive(Default)]
pub(super) struct FoundAccounts {
    /// The accounts without any problem of their own.
    pub(super) accounts: Vec<Placed>,
    /// What they use alone.
    pub(super) claims: Vec<Claim>,
}

impl FoundAccounts {
    /// The accounts alone.
    pub(super) fn accounts(&self) -> impl Iterator<Item = Arc<Account>> {
        self.accounts.iter().map(|placed| Arc::clone(&placed.account))
    }
}

/// The list `accounts` of a file.
pub(super) type AccountsKeys = Nested<Vec<Nested<AccountKeys>>>;

/// Accounts that run, by their names.
pub(super) type RunningAccounts<'a> = HashMap<&'a AccountName, &'a Arc<Account>>;

/// Makes accounts of a list; one that has not changed is the one that runs. Each item is dropped before the next is
/// checked, so that the memory of one serves all.
pub(super) fn check_accounts(
    list: AccountsKeys,
    defaults: &Defaults,
    running: &RunningAccounts<'_>,
    scope: &mut FileScope<'_>,
) -> FoundAccounts {
    let mut found = FoundAccounts::default();
    for (index, item) in list.keys.into_iter().enumerate() {
        let name = item.keys.name.good();
        let title = name.map(|name| format!(" {:?}", name.as_str())).unwrap_or_default();
        let mut scope = scope.within(&format!("accounts[{index}]{title}"));
        let before = scope.report().count();
        let running = name.and_then(|name| running.get(name)).copied();
        let account = item.check(defaults, running, &mut found.claims, &mut scope);
        if let Some(account) = account.filter(|_| scope.report().count() == before) {
            let limit = &item.keys.rate_limit;
            found.accounts.push(Placed {
                account: running
                    .filter(|running| ***running == account)
                    .map_or_else(|| Arc::new(account), Arc::clone),
                words: scope.about(""),
                spot: scope.spot(item.at),
                rate_limit: limit.is_given().then(|| scope.spot(limit.at)),
            });
        }
    }
    found
}

impl Nested<AccountKeys> {
    /// The account, with defaults in place of what is not good, and noted.
    fn check(
        &self,
        defaults: &Defaults,
        running: Option<&Arc<Account>>,
        claims: &mut Vec<Claim>,
        scope: &mut FileScope<'_>,
    ) -> Option<Account> {
        let keys = &self.keys;
        let remedy = "give each account one, it becomes the label account";
        let name = keys.name.require("name", self.at, remedy, scope);
        let api = keys.api.or(Api::V2, "api", scope);
        let (base_url, proxy) = keys.check_addresses(api, scope);
        let auth = keys.auth.check(self.at, &defaults.partners, scope);
        let in_file = scope.is_account_file();
        let reset = keys.reset.check(&mut scope.within("reset"));
        claims.extend(keys.claims(base_url.as_ref(), auth.as_ref(), reset.is_some(), scope));
        if let Some(auth) = &auth {
            keys.check_together(api, auth, reset.is_some(), scope);
        }
        let poll = keys.poll.check_over(&defaults.poll, in_file, &mut scope.within("poll"));
        let found = keys.discover_users.keys.may_find();
        let running = running.map_or(&[][..], |account| &account.users);
        Some(Account {
            api,
            account_id: keys.account_id.get("account_id", scope),
            allow_insecure_http: keys.allow_insecure_http.good() == Some(&true),
            rate_limit: keys.rate_limit.keys.check(&mut scope.within("rate_limit")),
            tls: keys.tls.keys.check(&mut scope.within("tls")),
            proxy,
            export: defaults.export,
            labels: keys.labels.check("labels", scope),
            working_hours: keys.working_hours.check(&mut scope.within("working_hours")),
            users: keys.users.check(self.at, found, defaults.export.user_names, running, scope),
            discovery: keys.discover_users.keys.check(&mut scope.within("discover_users")),
            channels: keys.channels.keys.check(&mut scope.within("channels")),
            reset,
            name: name?,
            base_url: base_url?,
            auth: auth?,
            poll: poll?,
        })
    }
}

impl AccountKeys {
    /// Where the API is, and the proxy on the way to it.
    fn check_addresses(
        &self,
        api: Api,
        scope: &mut FileScope<'_>,
    ) -> (Option<Url>, Option<ProxyUrl>) {
        let proxy = self.proxy_url.get("proxy_url", scope);
        if proxy.as_ref().is_some_and(|url| url.address().as_str() != url.expose()) {
            scope.file.literal.set(true);
        }
        let allowed = &self.allow_insecure_http;
        let allowed = allowed.or(allowed.is_given(), "allow_insecure_http", scope);
        (check_base_url(&self.base_url, allowed, api, proxy.as_ref(), scope), proxy)
    }

    /// What the account uses alone, as far as it is known.
    fn claims(
        &self,
        base_url: Option<&Url>,
        auth: Option<&Auth>,
        resets: bool,
        scope: &Scope<'_>,
    ) -> impl Iterator<Item = Claim> {
        let id = self.account_id.good();
        let claims = [
            ("name", self.name.at, self.name.good().cloned().map(ClaimKey::Name)),
            (
                "account_id",
                self.account_id.at,
                base_url.zip(id).map(|(url, id)| ClaimKey::account(url, id)),
            ),
            ("auth", self.auth.at, auth.and_then(ClaimKey::refresh_file)),
            ("reset", self.reset.at, id.filter(|_| resets).cloned().map(ClaimKey::Reset)),
        ];
        claims.into_iter().filter_map(|(name, at, key)| {
            Some(Claim { key: key?, spot: scope.spot(at), words: scope.about(name) })
        })
    }

    /// Notes where the token does not fit the API or cannot be had, the account cannot be cleared though it is to
    /// be, or a partner's login would be sent where only an account file wants it.
    fn check_together(&self, api: Api, auth: &Auth, resets: bool, scope: &mut FileScope<'_>) {
        let (numbered, in_file) = (self.account_id.is_given(), scope.is_account_file());
        let of_partner = matches!(auth, Auth::Partner(_) | Auth::OAuth { .. });
        let auth_fault = match auth {
            _ if of_partner && api == Api::V3 => Some(
                "gives a token for v2, which v3 refuses; give the API key with token_file, \
                 or remove api: v3",
            ),
            Auth::Partner(_) if !numbered => Some(
                "needs the account's number to ask for its token; write account_id: \"78231464\"",
            ),
            _ => None,
        };
        let sent = "works only in the main file for an account of a partner, \
                    because the partner's login is sent there";
        let sent = Some(sent).filter(|_| in_file && of_partner);
        let reset_fault = reset_fault(api, numbered, auth, in_file).filter(|_| resets);
        for (key, at, fault) in [
            ("auth", self.auth.at, auth_fault),
            ("base_url", self.base_url.at, sent.filter(|_| self.base_url.is_given())),
            ("proxy_url", self.proxy_url.at, sent.filter(|_| self.proxy_url.is_given())),
            ("tls", self.tls.at, sent.filter(|_| self.tls.is_given())),
            ("reset", self.reset.at, reset_fault),
        ] {
            if let Some(fault) = fault {
                scope.problem(at, key, fault);
            }
        }
    }
}
