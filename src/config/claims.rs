//! What only one account of the configuration may have: a name, an account of Wazzup24, a refresh token.
//!
//! Each account that is [checked](super::accounts) makes its [`Claim`]s. Two in one file are noted by
//! [`check_duplicates`]; [`admission`](super::admission) judges those in different files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::account::{Account, AccountId, AccountName, Auth};

use crate::problems::place::Spot;
use crate::problems::report::Report;

/// What must be unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ClaimKey {
    /// A name.
    Name(AccountName),
    /// An account of Wazzup24: the address of the API, and the number.
    Account(String, AccountId),
    /// A refresh token, which works once.
    RefreshFile(PathBuf),
    /// The resets of an account's number.
    Reset(AccountId),
    /// The name of an account file without its ending, which is the name of a folder with secrets.
    Stem(OsString),
}

/// A use of a key, and where it stands.
pub(super) struct Claim {
    pub(super) key: ClaimKey,
    pub(super) spot: Spot,
    /// What a message about it starts with: `accounts[0] "acme": name`.
    pub(super) words: String,
}

impl ClaimKey {
    /// The key of an account at the API at `base_url`.
    pub(super) fn account(base_url: &url::Url, id: &AccountId) -> Self {
        Self::Account(base_url.as_str().trim_end_matches('/').to_owned(), id.clone())
    }

    /// The keys of an account that is complete.
    pub(super) fn of(account: &Account) -> Vec<Self> {
        let mut keys = vec![Self::Name(account.name.clone())];
        if let Some(id) = &account.account_id {
            keys.push(Self::account(&account.base_url, id));
            keys.extend(account.reset.is_some().then(|| Self::Reset(id.clone())));
        }
        keys.extend(Self::refresh_file(&account.auth));
        keys
    }

    /// The key of a refresh token.
    pub(super) fn refresh_file(auth: &Auth) -> Option<Self> {
        match auth {
            Auth::OAuth { refresh_token_file, .. } => {
                Some(Self::RefreshFile(refresh_token_file.clone()))
            }
            _ => None,
        }
    }

    /// What is wrong with a second use.
    fn fault(&self) -> &'static str {
        match self {
            Self::Name(_) => "is the name of two accounts; rename one of them",
            Self::Account(..) => {
                "is the number of two accounts at the same base_url; keep one of them"
            }
            Self::RefreshFile(_) => {
                "uses the refresh token of another account, which works once; \
                 give each account a file of its own"
            }
            Self::Reset(_) => {
                "is enabled for two accounts of the same account_id, which would each have \
                 a cooldown of their own; keep one of them"
            }
            Self::Stem(_) => {
                "has the same name as another account file, but for folder and ending, and both would \
                 have the same folder below secrets_dir; rename one of them"
            }
        }
    }
}

impl Claim {
    /// Notes that the key is used at `other` already.
    pub(super) fn refuse(&self, other: &Spot, report: &mut Report) {
        let fault = self.key.fault();
        let joint = if self.words.is_empty() { "" } else { ": " };
        let message = format!("{}{joint}{fault}; the other one is at {other}", self.words);
        report.problem(&self.spot, message);
    }
}

/// Notes the claims of one file that contradict each other.
pub(super) fn check_duplicates(claims: &[Claim], report: &mut Report) {
    let mut first: HashMap<&ClaimKey, &Claim> = HashMap::new();
    for claim in claims {
        match first.get(&claim.key) {
            Some(other) => claim.refuse(&other.spot, report),
            None => {
                first.insert(&claim.key, claim);
            }
        }
    }
}
