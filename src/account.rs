//! What an account is: its identity and its settings, as plain data.
//!
//! [`config`](crate::config) builds an [`Account`] and nobody changes it afterwards; everyone else
//! reads it behind an `Arc`. A value of these types is valid by construction: ids, names and labels
//! are checked by their `parse` functions, whose errors say what is wrong and what would be right.

mod auth;
mod network;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use self::auth::{Auth, Credential};
pub use self::network::{Authorities, InvalidProxy, ProxyUrl, RateLimit, Tls};

/// Longest account name, in characters.
pub const ACCOUNT_NAME_MAX: usize = 64;
/// Longest id of a CRM user, in characters; Wazzup's own limit (docs/upstream.md, "Users").
pub const USER_ID_MAX: usize = 64;
/// Longest display name of a CRM user, in characters; Wazzup's own limit (docs/upstream.md, "Users").
pub const USER_NAME_MAX: usize = 150;
/// Longest value of a configured label, in characters.
pub const LABEL_VALUE_MAX: usize = 256;

/// Extra labels from the configuration, in the order of their names.
pub type Labels = BTreeMap<LabelName, String>;

/// One customer account of Wazzup24: whom to ask, with what, how often and for whom.
///
/// Two are equal when they have the same settings, secrets included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The label `account`, unique in the configuration.
    pub name: AccountName,
    /// Wazzup's own number of the account, where the configuration tells it.
    pub account_id: Option<AccountId>,
    /// Where the API lives; a path in it is kept as a prefix.
    pub base_url: Url,
    /// Where the bearer token comes from.
    pub auth: Auth,
    /// How many requests upstream takes of the token.
    pub rate_limit: RateLimit,
    /// How the API's certificate is checked.
    pub tls: Tls,
    /// The proxy to go through; without one the variables of the environment decide.
    pub proxy: Option<ProxyUrl>,
    /// How often and how hard to poll.
    pub poll: Poll,
    /// What of it is shown.
    pub export: Export,
    /// Labels on the info metrics of the account and of its users.
    pub labels: Labels,
    /// The CRM users to poll, in configuration order, no id twice.
    pub users: Vec<Arc<User>>,
}

/// One CRM user whose counter is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id in the CRM: the label `user` and one segment of the upstream path.
    pub id: UserId,
    /// The display name, where known.
    pub name: Option<String>,
    /// Labels on the user's info metric, over those of the account.
    pub labels: Labels,
}

/// The rhythm of an account's polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// One reading per user in each such period.
    pub interval: Duration,
    /// Time limit of one request, connecting included.
    pub timeout: Duration,
    /// Requests of the account in flight at the same time.
    pub concurrency: usize,
    /// Age from which a user's last good reading is no longer shown.
    pub stale_after: Duration,
}

/// What the exposition and the status page show of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export {
    /// Whether display names of users appear anywhere.
    pub user_names: bool,
    /// How many metric families are written.
    pub profile: Profile,
}

/// The choice of metric families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Everything.
    Full,
    /// Only the counters, `wazzup_user_up`, `wazzup_user_info` and the families of the account.
    Minimal,
}

/// An account's name in the configuration, in labels and in paths.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

/// A CRM user's id; always usable as one path segment once percent-encoded.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

/// Wazzup's number of an account: eight digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountId(Arc<str>);

/// A label name that is valid in Prometheus and not taken by the exporter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelName(Arc<str>);

/// Why a name, an id or a label was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// More characters than its limit.
    #[error("is longer than {limit} characters")]
    TooLong {
        /// The limit in characters.
        limit: usize,
    },
    /// A line break, a tab or another control character.
    #[error("contains a control character")]
    Control,
    /// White space where it cannot be seen.
    #[error("starts or ends with white space")]
    Padded,
    /// `.` and `..` vanish from a URL path, so upstream would be asked for something else.
    #[error("is `.` or `..`, which a URL path cannot carry")]
    DotSegment,
    /// Not Wazzup's form of an account number.
    #[error("is not an account number: eight digits, also written 7823-1464")]
    NotEightDigits,
    /// Not a label name of Prometheus.
    #[error("is not a label name: letters, digits and _ only, not starting with a digit")]
    NotALabel,
    /// A label name that the exporter or Prometheus sets itself.
    #[error("is a label that the exporter or Prometheus sets itself; choose another name")]
    Reserved,
}

/// Label names a configuration cannot use, besides everything that starts with `__`: those that the
/// exporter or Prometheus writes itself, of which two in one series would fail a whole scrape, and
/// those that have a meaning of their own in the exposition format.
const RESERVED_LABELS: [&str; 13] = [
    "account",
    "account_id",
    "api",
    "instance",
    "job",
    "le",
    "name",
    "quantile",
    "reason",
    "role",
    "state",
    "type",
    "user",
];

impl Account {
    /// What upstream counts the account's requests by; accounts that have it in common share one
    /// limit.
    pub fn credential(&self) -> Credential {
        Credential::new(&self.base_url, &self.auth)
    }
}

impl AccountName {
    /// Checks a name: 1 to [`ACCOUNT_NAME_MAX`] characters, none of them a control character.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        check_text(text, ACCOUNT_NAME_MAX)?;
        if text.trim() != text {
            return Err(InvalidName::Padded);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// Checks an id: 1 to [`USER_ID_MAX`] characters, no control character, not a dot segment.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        check_text(text, USER_ID_MAX)?;
        if text == "." || text == ".." {
            return Err(InvalidName::DotSegment);
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AccountId {
    /// Checks an account number and drops the hyphen that Wazzup's cabinet shows in it.
    ///
    /// # Errors
    /// [`InvalidName::NotEightDigits`] for everything else.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let digits = match text.split_once('-') {
            Some((head, tail)) if head.len() == 4 && tail.len() == 4 => format!("{head}{tail}"),
            _ => text.to_owned(),
        };
        if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits.into()))
        } else {
            Err(InvalidName::NotEightDigits)
        }
    }

    /// The eight digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LabelName {
    /// Checks a label name against Prometheus' data model and the exporter's own labels.
    ///
    /// # Errors
    /// [`InvalidName::NotALabel`] or [`InvalidName::Reserved`].
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = text.bytes();
        let head = bytes.next().ok_or(InvalidName::Empty)?;
        let valid = (head.is_ascii_alphabetic() || head == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return Err(InvalidName::NotALabel);
        }
        if text.starts_with("__") || RESERVED_LABELS.contains(&text) {
            return Err(InvalidName::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The label name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks what every label value must obey: not empty, at most `limit` characters, none of them a
/// control character.
///
/// # Errors
/// The first rule that the text breaks.
pub fn check_text(text: &str, limit: usize) -> Result<(), InvalidName> {
    if text.is_empty() {
        Err(InvalidName::Empty)
    } else if text.chars().count() > limit {
        Err(InvalidName::TooLong { limit })
    } else if text.chars().any(char::is_control) {
        Err(InvalidName::Control)
    } else {
        Ok(())
    }
}

macro_rules! text_like {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )+};
}

text_like!(AccountName, UserId, AccountId, LabelName);

/// An account with these users and the default rhythm, for tests.
#[cfg(test)]
pub(crate) fn fixture(name: &str, users: &[&str]) -> Account {
    use crate::schedule::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT, default_stale_after};
    let user = |id: &&str| {
        let id = UserId::parse(id).expect("tests use valid ids");
        Arc::new(User { id, name: None, labels: Labels::new() })
    };
    Account {
        name: AccountName::parse(name).expect("tests use valid names"),
        account_id: None,
        base_url: Url::parse("http://127.0.0.1:1").expect("a literal"),
        auth: Auth::Token("test-token".into()),
        rate_limit: RateLimit::default(),
        tls: Tls::default(),
        proxy: None,
        poll: Poll {
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
            concurrency: 8,
            stale_after: default_stale_after(DEFAULT_INTERVAL, DEFAULT_TIMEOUT),
        },
        export: Export { user_names: true, profile: Profile::Full },
        labels: Labels::new(),
        users: users.iter().map(user).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_that_cannot_be_one_path_segment_are_refused() {
        for (text, why) in [
            ("", InvalidName::Empty),
            (".", InvalidName::DotSegment),
            ("..", InvalidName::DotSegment),
            ("a\nb", InvalidName::Control),
            ("\u{7f}", InvalidName::Control),
            (&"ü".repeat(65), InvalidName::TooLong { limit: 64 }),
        ] {
            assert_eq!(UserId::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn user_ids_may_hold_anything_else() {
        for text in ["1", "a/b", "ünï", "q\"uo\\te", "%2E", "...", " x ", &"ü".repeat(64)] {
            assert_eq!(UserId::parse(text).map(|id| id.as_str().to_owned()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn account_numbers_are_eight_digits_with_or_without_the_hyphen() {
        assert_eq!(AccountId::parse("7823-1464"), AccountId::parse("78231464"));
        for text in ["", "7823146", "782314640", "78-231464", "7823-146x", "٧٨٢٣١٤٦٤"] {
            assert_eq!(AccountId::parse(text), Err(InvalidName::NotEightDigits), "{text:?}");
        }
    }

    #[test]
    fn label_names_of_the_exporter_are_taken() {
        for text in ["account", "account_id", "api", "user", "job", "le", "__meta"] {
            assert_eq!(LabelName::parse(text), Err(InvalidName::Reserved), "{text:?}");
        }
        for text in ["1a", "a-b", "ü", "a b"] {
            assert_eq!(LabelName::parse(text), Err(InvalidName::NotALabel), "{text:?}");
        }
        assert!(LabelName::parse("team").is_ok());
    }

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
