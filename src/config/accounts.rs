//! Accounts: the items of the list `accounts` of the main file and of account files.
//!
//! [`check_accounts`] makes [`Account`]s of one list. What must be unique over all files is collected as
//! [`Claim`]s, see [`claims`](super::claims).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::account::{
    Account, AccountId, AccountName, Api, Auth, Channels, Discovery, Export, Labels, Poll,
    ProxyUrl, RateLimit, Reset, Tls, User,
};
use crate::problems::place::At;
use crate::problems::report::Noted;
use crate::problems::scope::Scope;
use crate::schedule::WorkingHours;

use super::auth::AuthKeys;
use super::budget::Placed;
use super::claims::{Claim, ClaimKey};
use super::key::{Key, Nested, if_on, missing};
use super::labels::LabelsKeys;
use super::lists::{ChannelsKeys, DiscoveryKeys, WorkingHoursKeys};
use super::network::{RateLimitKeys, TlsKeys, check_base_url, leak};
use super::origin::Origin;
use super::partners::Partners;
use super::reset::ResetKeys;
use super::settings::PollKeys;
use super::users::{UserKeys, UsersKeys};
use super::value::Address;

/// An account of Wazzup24.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["name", "auth"])))]
#[cfg_attr(test, schemars(extend("allOf" = super::tests::generated::account_conditions())))]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccountKeys {
    /// The label `account`; unique.
    name: Key<AccountName>,
    /// v2 is the technical partners' API, v3 the public one with an API key, which counts the last seven
    /// days only.
    api: Key<Api>,
    /// Wazzup's number of the account, quoted: eight digits, also written 7823-1464; once at each
    /// `base_url`. `auth: {partner: …}` and `reset` need it.
    #[serde(skip_serializing_if = "Key::is_missing")]
    account_id: Key<AccountId>,
    /// Where the API is: an address of https, or of http on localhost, 127.0.0.0/8 and `[::1]`; a path in it
    /// is kept. Default: `https://tech.wazzup24.com`, with v3 `https://api.wazzup24.com`.
    #[serde(skip_serializing_if = "Key::is_missing")]
    #[cfg_attr(test, schemars(extend("pattern" = "^https?://[^/?#@]+(/[^?#]*)?$")))]
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
    #[serde(skip_serializing_if = "Key::is_missing")]
    proxy_url: Key<ProxyUrl>,
    /// How often to ask: what it does not say, `poll` of the main file does.
    poll: Nested<PollKeys>,
    /// Labels on the info metrics of the account and of its users.
    labels: LabelsKeys,
    /// When people work, for dashboards and alerts.
    #[serde(skip_serializing_if = "Nested::<WorkingHoursKeys>::is_empty")]
    working_hours: Nested<WorkingHoursKeys>,
    /// Whose counters are read; at least one, unless users are found.
    users: UsersKeys,
    /// More users, from the account's own list.
    #[serde(serialize_with = "if_on")]
    discover_users: Nested<DiscoveryKeys>,
    /// Whether channels are read and, with v2, the users' roles on them.
    #[serde(serialize_with = "if_on")]
    channels: Nested<ChannelsKeys>,
    /// Whether the counters of all chats of the account may be cleared, and within which bounds.
    #[serde(serialize_with = "if_on")]
    reset: Nested<ResetKeys>,
}

impl Default for AccountKeys {
    fn default() -> Self {
        Self {
            name: Key::MISSING,
            api: Key::of(Api::V2),
            account_id: Key::MISSING,
            base_url: Key::MISSING,
            allow_insecure_http: Key::of(false),
            auth: Nested::default(),
            rate_limit: Nested::default(),
            tls: Nested::default(),
            proxy_url: Key::MISSING,
            poll: Nested::default(),
            labels: LabelsKeys::default(),
            working_hours: Nested::default(),
            users: UsersKeys::default(),
            discover_users: Nested::default(),
            channels: Nested::default(),
            reset: Nested::default(),
        }
    }
}

impl From<&Account> for AccountKeys {
    /// Takes every field by its name, so that a new one is not forgotten here.
    fn from(account: &Account) -> Self {
        let Account {
            name,
            api,
            account_id,
            base_url,
            auth,
            rate_limit,
            tls,
            proxy,
            poll,
            export: _,
            labels,
            working_hours,
            users,
            discovery,
            channels,
            reset,
        } = account;
        let users = users.iter().map(|user| Nested::of(UserKeys::from(&**user))).collect();
        Self {
            name: Key::of(name.clone()),
            api: Key::of(*api),
            account_id: Key::optional(account_id.clone()),
            base_url: Key::of(Address(base_url.clone())),
            allow_insecure_http: Key::of(leak(base_url, proxy.as_ref()).is_some()),
            auth: Nested::of(auth.into()),
            rate_limit: Nested::of(rate_limit.into()),
            tls: Nested::of(tls.into()),
            proxy_url: Key::optional(proxy.clone()),
            poll: Nested::of(poll.into()),
            labels: labels.into(),
            working_hours: Nested::of(
                working_hours.as_ref().map(WorkingHoursKeys::from).unwrap_or_default(),
            ),
            users: Nested::of(users),
            discover_users: Nested::of(
                discovery.as_ref().map(DiscoveryKeys::from).unwrap_or_default(),
            ),
            channels: Nested::of(channels.as_ref().into()),
            reset: Nested::of(reset.as_ref().map(ResetKeys::from).unwrap_or_default()),
        }
    }
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

/// The list `accounts` of a file.
pub(super) type AccountsKeys = Nested<Vec<Nested<AccountKeys>>>;

/// Makes accounts of a list.
pub(super) fn check_accounts(
    list: &AccountsKeys,
    defaults: &Defaults,
    origin: &mut Origin<'_>,
    scope: &mut Scope<'_>,
) -> FoundAccounts {
    let mut found = FoundAccounts::default();
    for (index, item) in list.keys.iter().enumerate() {
        let name = item.keys.name.good();
        let title = name.map(|name| format!(" {:?}", name.as_str())).unwrap_or_default();
        let mut scope = scope.within(&format!("accounts[{index}]{title}"));
        if let Ok(account) = item.check(defaults, origin, &mut found.claims, &mut scope) {
            let limit = &item.keys.rate_limit;
            found.accounts.push(Placed {
                account: Arc::new(account),
                words: scope.about(""),
                spot: scope.spot(item.at),
                rate_limit: limit.is_given().then(|| scope.spot(limit.at)),
            });
        }
    }
    found
}

/// What was good of an account, or is noted.
type Checked<T> = Result<T, Noted>;

/// The parts of an account.
struct Parts {
    name: Checked<AccountName>,
    api: Checked<Api>,
    account_id: Checked<Option<AccountId>>,
    network: Checked<Network>,
    auth: Checked<Auth>,
    poll: Checked<Poll>,
    people: Checked<People>,
    reset: Checked<Option<Reset>>,
}

/// How the API of an account is reached.
struct Network {
    base_url: Url,
    proxy: Option<ProxyUrl>,
    rate_limit: RateLimit,
    tls: Tls,
}

/// Whom an account is about.
struct People {
    labels: Labels,
    working_hours: Option<WorkingHours>,
    users: Vec<Arc<User>>,
    discovery: Option<Discovery>,
    channels: Option<Channels>,
}

impl Nested<AccountKeys> {
    fn check(
        &self,
        defaults: &Defaults,
        origin: &mut Origin<'_>,
        claims: &mut Vec<Claim>,
        scope: &mut Scope<'_>,
    ) -> Checked<Account> {
        let parts = self.check_parts(defaults, origin, scope);
        claims.extend(self.claims(&parts, scope));
        let (api, auth, account_id) = (parts.api?, parts.auth?, parts.account_id?);
        let fits = self.keys.check_together(api, &auth, account_id.as_ref(), origin, scope);
        if matches!(parts.reset, Ok(Some(_))) {
            let account = (api, account_id.as_ref(), &auth);
            self.keys.reset.check_account(account, origin, &mut scope.within("reset"))?;
        }
        fits?;
        let Network { base_url, proxy, rate_limit, tls } = parts.network?;
        let People { labels, working_hours, users, discovery, channels } = parts.people?;
        Ok(Account {
            name: parts.name?,
            api,
            account_id,
            base_url,
            auth,
            rate_limit,
            tls,
            proxy,
            poll: parts.poll?,
            export: defaults.export,
            labels,
            working_hours,
            users,
            discovery,
            channels,
            reset: parts.reset?,
        })
    }

    /// Every part by itself, so that all that is wrong is noted.
    fn check_parts(
        &self,
        defaults: &Defaults,
        origin: &mut Origin<'_>,
        scope: &mut Scope<'_>,
    ) -> Parts {
        let keys = &self.keys;
        let remedy = "give each account one, it becomes the label account";
        let name = keys.name.require("name", self.at, remedy, scope);
        let api = keys.api.value("api", scope);
        let in_file = origin.is_account_file();
        Parts {
            name,
            api,
            account_id: keys.account_id.check("account_id", scope),
            network: keys.check_network(api.unwrap_or(Api::V2), origin, scope),
            auth: self.check_auth(defaults, origin, scope),
            poll: keys.poll.check_over(&defaults.poll, in_file, &mut scope.within("poll")),
            people: self.check_people(defaults, scope),
            reset: keys.reset.check(origin, &mut scope.within("reset")),
        }
    }

    /// What the account uses alone, as far as it is known.
    fn claims(&self, parts: &Parts, scope: &Scope<'_>) -> impl Iterator<Item = Claim> {
        let Self { keys, .. } = self;
        let account_id = parts.account_id.as_ref().ok().and_then(Option::as_ref);
        let base_url = parts.network.as_ref().ok().map(|network| &network.base_url);
        let account = base_url.zip(account_id).map(|(url, id)| ClaimKey::account(url, id));
        let reset = matches!(parts.reset, Ok(Some(_)));
        let reset = account_id.filter(|_| reset).cloned().map(ClaimKey::Reset);
        let claims = [
            (parts.name.as_ref().ok().cloned().map(ClaimKey::Name), keys.name.at(), "name"),
            (account, keys.account_id.at(), "account_id"),
            (parts.auth.as_ref().ok().and_then(ClaimKey::refresh_file), keys.auth.at, "auth"),
            (reset, keys.reset.at, "reset"),
        ];
        let claim = |(key, at, name): (Option<ClaimKey>, At, &str)| {
            key.map(|key| Claim::new(key, scope.spot(at), scope.about(name)))
        };
        claims.into_iter().filter_map(claim)
    }

    fn check_auth(
        &self,
        defaults: &Defaults,
        origin: &mut Origin<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Auth, Noted> {
        let auth = &self.keys.auth;
        if !auth.is_given() {
            let remedy = "say where its token comes from: token_file, token_env, partner …";
            return Err(missing("auth", self.at, remedy, scope));
        }
        auth.keys.check(auth.at, origin, &defaults.partners, &mut scope.within("auth"))
    }

    fn check_people(&self, defaults: &Defaults, scope: &mut Scope<'_>) -> Result<People, Noted> {
        let keys = &self.keys;
        let labels = keys.labels.check("labels", scope);
        let hours = keys.working_hours.is_given();
        let hours = hours.then(|| keys.working_hours.check(&mut scope.within("working_hours")));
        let discovery = keys.discover_users.keys.check(&mut scope.within("discover_users"));
        let channels = keys.channels.keys.check(&mut scope.within("channels"));
        let found = !matches!(discovery, Ok(None));
        let users = keys.users.check(self.at, found, defaults.export.user_names, scope);
        Ok(People {
            labels: labels?,
            working_hours: hours.transpose()?,
            users: users?,
            discovery: discovery?,
            channels: channels?,
        })
    }
}

impl AccountKeys {
    fn check_network(
        &self,
        api: Api,
        origin: &mut Origin<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Network, Noted> {
        let proxy = self.proxy_url.check("proxy_url", scope);
        let known = proxy.as_ref().ok().and_then(Option::as_ref);
        origin.literal |= known.is_some_and(ProxyUrl::has_secret);
        let allowed = self.allow_insecure_http.value("allow_insecure_http", scope);
        let base_url = check_base_url(&self.base_url, allowed.unwrap_or(true), api, known, scope);
        let rate_limit = self.rate_limit.keys.check(&mut scope.within("rate_limit"));
        let tls = self.tls.keys.check(origin, &mut scope.within("tls"));
        let (base_url, proxy) = (base_url?, proxy?);
        Ok(Network { base_url, proxy, rate_limit: rate_limit?, tls: tls? })
    }

    /// Whether the token fits the API and can be had, and no partner's login would be sent where only an
    /// account file wants it.
    fn check_together(
        &self,
        api: Api,
        auth: &Auth,
        account_id: Option<&AccountId>,
        origin: &Origin<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), Noted> {
        let mut fits = Ok(());
        let mut refuse = |at: At, key: &str, what: &str| {
            scope.problem(at, key, what);
            fits = Err(Noted);
        };
        match auth {
            Auth::Partner(_) | Auth::OAuth { .. } if api == Api::V3 => refuse(
                self.auth.at,
                "auth",
                "gives a token for v2, which v3 refuses; give the API key with token_file, \
                 or remove api: v3",
            ),
            Auth::Partner(_) if account_id.is_none() => refuse(
                self.auth.at,
                "auth",
                "needs the account's number to ask for its token; write account_id: \"78231464\"",
            ),
            _ => {}
        }
        if origin.is_account_file() && matches!(auth, Auth::Partner(_) | Auth::OAuth { .. }) {
            let addresses = [
                ("base_url", self.base_url.at()),
                ("proxy_url", self.proxy_url.at()),
                ("tls", self.tls.at),
            ];
            for (key, at) in addresses.into_iter().filter(|(_, at)| at.is_some()) {
                let what = "works only in the main file for an account of a partner, \
                            because the partner's login is sent there";
                refuse(at, key, what);
            }
        }
        fits
    }
}
