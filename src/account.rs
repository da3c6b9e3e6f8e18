//! What an account is: its identity and its settings, as plain data.
//!
//! [`config`](crate::config) builds an [`Account`], which is immutable afterwards and shared behind an
//! `Arc`. A value of these types is valid by construction: ids, names and labels
//! are checked by their `parse` functions, whose errors say what is wrong and what would be right.
//!
//! As serde writes it, an account is an item of the list `accounts` of the configuration, in full and without
//! its secrets: `/config` shows it so. `shown` writes single values.

mod auth;
mod discovery;
mod names;
mod network;
mod shown;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use strum::EnumString;
use url::Url;

pub use self::auth::{Auth, Credential, Partner};
pub use self::discovery::{Channels, Discovery, LabelRule, Pattern};
pub use self::names::{
    ACCOUNT_NAME_MAX, AccountId, AccountName, LABEL_VALUE_MAX, LabelName, Labels, USER_ID_MAX,
    USER_NAME_MAX, UserId, check_text,
};
pub use self::network::{Authorities, ProxyUrl, RateLimit, Tls};
pub use self::shown::SECRET;

use crate::schedule::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT, WorkingHours, default_stale_after};

/// One customer account of Wazzup24: which API, with which token, how often and for which users.
///
/// Two are equal when they have the same settings, secrets included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The label `account`, unique in the configuration.
    pub name: AccountName,
    /// Which API it is read by.
    pub api: Api,
    /// Wazzup's own number of the account, where it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Where the API lives; a path in it is kept as a prefix.
    #[serde(serialize_with = "shown::address")]
    pub base_url: Url,
    /// Whether the token may travel unencrypted.
    pub allow_insecure_http: bool,
    /// Where the bearer token comes from.
    pub auth: Auth,
    /// How many requests upstream takes of the token.
    pub rate_limit: RateLimit,
    /// How the API's certificate is checked.
    pub tls: Tls,
    /// The proxy to go through; without one the variables of the environment decide.
    #[serde(rename = "proxy_url", skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyUrl>,
    /// How often and how hard to poll.
    pub poll: Poll,
    /// What of it is shown.
    #[serde(skip)]
    pub export: Export,
    /// Labels on the info metrics of the account and of its users.
    pub labels: Labels,
    /// When people work, where it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_hours: Option<WorkingHours>,
    /// The CRM users to poll, in configuration order, no id twice.
    pub users: Vec<Arc<User>>,
    /// How more users are found, if they are.
    #[serde(rename = "discover_users", serialize_with = "shown::switched")]
    pub discovery: Option<Discovery>,
    /// How channels and roles are read, if they are.
    #[serde(serialize_with = "shown::switched")]
    pub channels: Option<Channels>,
    /// Within which bounds its counters may be cleared, if they may.
    #[serde(serialize_with = "shown::switched")]
    pub reset: Option<Reset>,
}

/// The flavours of the Wazzup24 API (docs/upstream.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Api {
    /// The technical partners' API, with a token per account.
    V2,
    /// The public API, with the account's key; counts the messages of seven days.
    V3,
}

/// One CRM user whose counter is polled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The user's id in the CRM: the label `user` and one segment of the upstream path.
    pub id: UserId,
    /// The display name, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels on the user's info metric, over those of the account.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// The intervals and limits of an account's polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Poll {
    /// One reading per user in each such period.
    #[serde(serialize_with = "shown::duration")]
    pub interval: Duration,
    /// Time limit of one request, connecting included.
    #[serde(serialize_with = "shown::duration")]
    pub timeout: Duration,
    /// Requests of the account in flight at the same time.
    pub concurrency: usize,
    /// Age from which a user's last good reading is no longer shown.
    #[serde(serialize_with = "shown::duration")]
    pub stale_after: Duration,
}

/// What the exposition and the status page show of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Export {
    /// Whether display names of users appear anywhere. Where they do not, they are not kept at all.
    pub user_names: bool,
    /// Whether names of channels appear, which are phone numbers.
    pub channel_names: bool,
    /// How many metric families are written.
    pub profile: Profile,
}

impl Default for Poll {
    fn default() -> Self {
        let (interval, timeout) = (DEFAULT_INTERVAL, DEFAULT_TIMEOUT);
        let stale_after = default_stale_after(interval, timeout);
        Self { interval, timeout, concurrency: 8, stale_after }
    }
}

impl Default for Export {
    fn default() -> Self {
        Self { user_names: true, channel_names: false, profile: Profile::Full }
    }
}

/// The choice of metric families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Profile {
    /// Everything.
    Full,
    /// Only the counters, `wazzup_user_up`, `wazzup_user_info` and the families of the account.
    Minimal,
}

/// How long an account's lists count as known: `stale_after`, or three times the interval between two
/// readings where that is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLifetimes {
    /// The list of users.
    pub users: Duration,
    /// Those of channels and roles.
    pub channels_and_roles: Duration,
}

impl Account {
    /// What upstream counts the account's requests by; accounts that have it in common share one
    /// limit.
    pub fn credential(&self) -> Credential {
        Credential::new(&self.base_url, &self.auth, self.account_id.as_ref())
    }

    /// How long its lists count as known after they were read.
    pub fn lists_good_for(&self) -> ListLifetimes {
        let lifetime = |refresh: Option<Duration>| {
            self.poll.stale_after.max(refresh.unwrap_or_default().saturating_mul(3))
        };
        ListLifetimes {
            users: lifetime(self.discovery.as_ref().map(|users| users.refresh_interval)),
            channels_and_roles: lifetime(self.channels.map(|channels| channels.refresh_interval)),
        }
    }

    /// Whether something of it has to survive a restart of the exporter: refresh tokens, or what is on
    /// record of its resets.
    pub fn needs_storage(&self) -> bool {
        self.auth.needs_storage() || self.reset.is_some()
    }
}

/// An account with these users and the default rhythm, for tests.
#[cfg(test)]
pub(crate) fn fixture(name: &str, users: &[&str]) -> Account {
    let user = |id: &&str| {
        let id = UserId::parse(id).expect("tests use valid ids");
        Arc::new(User { id, name: None, labels: Labels::new() })
    };
    Account {
        name: AccountName::parse(name).expect("tests use valid names"),
        api: Api::V2,
        account_id: None,
        base_url: Url::parse("http://127.0.0.1:1").expect("a literal"),
        allow_insecure_http: false,
        auth: Auth::Token("test-token".into()),
        rate_limit: RateLimit::default(),
        tls: Tls::default(),
        proxy: None,
        poll: Poll::default(),
        export: Export::default(),
        labels: Labels::new(),
        working_hours: None,
        users: users.iter().map(user).collect(),
        discovery: None,
        channels: None,
        reset: None,
    }
}

/// Fewest characters of a reset token.
pub const RESET_TOKEN_MIN: usize = 32;

/// The bounds within which a holder of the token may clear an account's counters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reset {
    /// Time between two resets.
    #[serde(serialize_with = "shown::duration")]
    pub cooldown: Duration,
    /// Unanswered messages above which the caller has to name their number.
    pub max_unanswered: u64,
    /// A file holding only the token; read again when it changes.
    #[serde(serialize_with = "shown::path")]
    pub token_file: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_differ_when_any_setting_or_secret_does() {
        let account = fixture("acme", &["1"]);
        assert_eq!(account, fixture("acme", &["1"]));
        assert_eq!(account.credential(), fixture("globex", &["2"]).credential());
        let changes: [fn(&mut Account); 5] = [
            |account| account.auth = Auth::Token("other-token".into()),
            |account| account.rate_limit.requests += 1,
            |account| account.tls.insecure_skip_verify = true,
            |account| account.proxy = ProxyUrl::parse("http://user:password@proxy").ok(),
            |account| account.users.clear(),
        ];
        for change in changes {
            let mut other = account.clone();
            change(&mut other);
            assert_ne!(other, account, "{other:?}");
        }
    }
}
