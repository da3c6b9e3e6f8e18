//! The files themselves: the main file, and account files.
//!
//! [`MainKeys`] is both ways: [`load`](super::load) reads it and makes a [`Config`](super::Config) of it, and
//! [`render`] writes what runs, for `/config`. That has every default and no secret, and is a configuration
//! itself: with the secrets put in for `<secret>` it gives the same accounts. Those of account files stand
//! among the others.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Account;

use super::accounts::{AccountKeys, AccountsKeys};
use super::key::{Key, Nested};
use super::partners::{PartnerKeys, PartnersKeys};
use super::settings::{ExportKeys, GlobalSettings, PollKeys};
use super::value::{Bounded, PathText};

/// The main file. What takes more than one key to judge, as the rate limit, only
/// `wazzup-exporter check-config` can tell.
#[derive(Clone, Serialize, Deserialize)]
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
    #[serde(skip_serializing)]
    pub(super) account_files: Nested<Vec<Key<PathText>>>,
    /// The directory in which each account file has a folder for the files that it names.
    #[serde(skip_serializing_if = "Key::is_missing")]
    pub(super) secrets_dir: Key<PathText>,
    /// Logins of technical partners, by a name that accounts refer to.
    #[serde(skip_serializing_if = "no_partners")]
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

impl Default for MainKeys {
    fn default() -> Self {
        Self {
            poll: Nested::default(),
            max_in_flight: Key::of(Bounded(256)),
            export: Nested::default(),
            account_files: Nested::default(),
            secrets_dir: Key::MISSING,
            partners: Nested::default(),
            accounts: Nested::default(),
        }
    }
}

fn no_partners(partners: &PartnersKeys) -> bool {
    partners.keys.is_empty()
}

/// Writes a configuration in full and without its secrets.
pub fn render(settings: &GlobalSettings, accounts: &[Arc<Account>]) -> String {
    let GlobalSettings { poll, max_in_flight, export, secrets_dir, partners } = settings;
    let partners = partners
        .iter()
        .map(|partner| (partner.name.clone(), Nested::of(PartnerKeys::from(&**partner))));
    let accounts = accounts.iter().map(|account| Nested::of(AccountKeys::from(&**account)));
    let file = MainKeys {
        poll: Nested::of(poll.into()),
        max_in_flight: Key::of(Bounded(*max_in_flight)),
        export: Nested::of(export.into()),
        account_files: Nested::default(),
        secrets_dir: Key::optional(secrets_dir.as_deref().map(Into::into)),
        partners: Nested::of(partners.collect()),
        accounts: Nested::of(accounts.collect()),
    };
    serde_saphyr::to_string(&file).expect("these are texts, numbers and switches under text keys")
}
