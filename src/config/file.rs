//! The files themselves: the main file, and account files.
//!
//! [`load`](super::load) reads [`MainKeys`] and makes a [`Config`](super::Config) of it; [`render`] writes what
//! runs, for `/config`. That has every default and no secret, and is a configuration itself: with the secrets
//! put in for `<secret>` it gives the same accounts. Those of account files stand among the others.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Account;

use super::accounts::AccountsKeys;
use super::key::{Key, Nested};
use super::partners::PartnersKeys;
use super::settings::{ExportKeys, GlobalSettings, PollKeys};
use super::value::{Bounded, PathText};

/// The main file. What takes more than one key to judge, as the rate limit, only
/// `wazzup-exporter check-config` can tell.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct MainKeys {
    /// How often to ask, for every account.
    pub(super) poll: Nested<PollKeys>,
    /// Requests in flight at the same time over all accounts.
    pub(super) max_in_flight: Key<Bounded<1, 65_536>>,
    /// What is shown.
    pub(super) export: Nested<ExportKeys>,
    /// More accounts: files and patterns of files, as `accounts.d/*.yaml`.
    pub(super) account_files: Nested<Vec<Key<PathText>>>,
    /// The directory in which each account file has a folder for the files that it names.
    pub(super) secrets_dir: Key<PathText>,
    /// Logins of technical partners, by a name that accounts refer to.
    pub(super) partners: PartnersKeys,
    /// The accounts; at least one, unless `account_files` is set.
    pub(super) accounts: AccountsKeys,
}

/// An account file.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccountFileKeys {
    pub(super) accounts: AccountsKeys,
}

/// Writes a configuration in full and without its secrets.
pub fn render(settings: &GlobalSettings, accounts: &[Arc<Account>]) -> String {
    #[derive(Serialize)]
    struct InFull<'a> {
        #[serde(flatten)]
        settings: &'a GlobalSettings,
        accounts: &'a [Arc<Account>],
    }
    let file = InFull { settings, accounts };
    serde_saphyr::to_string(&file).expect("these are texts, numbers and switches under text keys")
}
