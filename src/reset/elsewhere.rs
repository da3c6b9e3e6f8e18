//! The accounts of the configuration that other processes poll, and may reset.
//!
//! Their reset tokens are checked here, too, so that only those who may reset an account learn where.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::account::{Account, AccountName};
use crate::blocking::lock;

/// Where the resets of accounts are that are polled elsewhere.
#[derive(Debug, Default)]
pub struct Elsewhere(Mutex<Arc<BTreeMap<AccountName, ElsewhereAccount>>>);

/// An account that another process polls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ElsewhereAccount {
    pub(super) token_file: PathBuf,
    /// The process, in words.
    pub(super) place: String,
}

impl Elsewhere {
    /// Replaces the accounts by those of `accounts` that may be reset and for which `place_of` names another process.
    pub fn set(
        &self,
        accounts: &[Arc<Account>],
        place_of: impl Fn(&AccountName) -> Option<String>,
    ) {
        let elsewhere = accounts.iter().filter_map(|account| {
            let token_file = account.reset.as_ref()?.token_file.clone();
            let place = place_of(&account.name)?;
            Some((account.name.clone(), ElsewhereAccount { token_file, place }))
        });
        *lock(&self.0) = Arc::new(elsewhere.collect());
    }

    pub(super) fn all(&self) -> Arc<BTreeMap<AccountName, ElsewhereAccount>> {
        Arc::clone(&lock(&self.0))
    }
}
