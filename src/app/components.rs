//! What pollers are made from: connections, limits and the metrics of the process.

use std::sync::Arc;

use super::describe;
use crate::account::Account;
use crate::api::Client;
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::Config;
use crate::health::Heartbeat;
use crate::limit::{GlobalLimit, Limiter, Paces};
use crate::metrics::{ProcessMetrics, Tally};
use crate::poller::{Poller, Registry};
use crate::snapshot::Slot;
use crate::storage::Storage;
use crate::transport::{BuildError, ConnectionPools};

/// Shared by all pollers of a process.
#[derive(Debug)]
pub(super) struct Components {
    transport: ConnectionPools,
    paces: Paces,
    global: GlobalLimit,
    pub(super) storage: Option<Storage>,
    pub(super) registry: Arc<Registry>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) process: Arc<ProcessMetrics>,
}

impl Components {
    /// The components for the accounts of `config`. `storage` is for trends and resets; what
    /// tokens keep is handled by `tokens`.
    pub(super) fn new(
        config: &Config,
        tokens: Tokens,
        storage: Option<Storage>,
    ) -> Result<Self, BuildError> {
        let process = Arc::new(ProcessMetrics::new());
        process.config_loaded(config.hash, Stamp::now().unix);
        process.set_accounts(config.accounts.len(), config.accounts.len());
        process.set_account_files(&describe::files(&config.files));
        let (paces, global) = (Paces::default(), GlobalLimit::new(config.settings.max_in_flight));
        let (transport, tokens) = (ConnectionPools::new(), Arc::new(tokens));
        let registry = Arc::default();
        let components = Self { transport, paces, global, storage, registry, tokens, process };
        components.connect(config)?;
        Ok(components)
    }

    /// Sets up every HTTP client, so that errors are reported now and not when a poller starts.
    fn connect(&self, config: &Config) -> Result<(), BuildError> {
        config.accounts.iter().try_for_each(|account| self.transport.client_for(account).map(drop))
    }

    /// Checks for an account of another configuration what can fail.
    ///
    /// # Errors
    /// Why it cannot be polled.
    pub(super) fn check(&self, account: &Account) -> Result<(), String> {
        if account.needs_storage() {
            let Some(storage) = &self.storage else {
                let what = "has refresh tokens or resets to keep on record, and this process was \
                            started without storage; restart it, with --storage.path";
                return Err(what.to_owned());
            };
            storage.check().map_err(|error| error.to_string())?;
        }
        self.transport.client_for(account).map(drop).map_err(|error| error.to_string())
    }

    /// Records the current accounts, and how many requests may be in flight over all.
    pub(super) fn use_from_now_on(&self, accounts: &[Arc<Account>], max_in_flight: usize) {
        self.transport.retain_for(accounts);
        self.global.set_limit(max_in_flight);
        self.process.set_accounts(accounts.len(), accounts.len());
    }

    /// A poller for the account of `slot`. Must be called within a runtime.
    pub(super) fn poller(
        &self,
        slot: &Arc<Slot>,
        heartbeat: Heartbeat,
    ) -> Result<Poller, BuildError> {
        let client = self.client(&slot.view().account, &slot.tally)?;
        let poller = Poller::new(client, slot, heartbeat);
        Ok(match &self.storage {
            Some(storage) => poller.with_storage(storage),
            None => poller,
        })
    }

    /// The connections that an account's requests go through.
    pub(super) fn http(&self, account: &Account) -> Result<reqwest::Client, BuildError> {
        self.transport.client_for(account)
    }

    /// A client for an account that counts in `tally`. Must be called within a runtime.
    pub(super) fn client(
        &self,
        account: &Arc<Account>,
        tally: &Arc<Tally>,
    ) -> Result<Client, BuildError> {
        let pace = self.paces.of(account);
        let concurrency = account.poll.concurrency;
        let limiter = Limiter::new(concurrency, pace, self.global.clone(), Arc::clone(tally));
        let http = self.transport.client_for(account)?;
        let (process, counted) = (Arc::clone(&self.process), Arc::clone(tally));
        let tokens = self.tokens.source(account, http.clone(), Arc::clone(&process), counted);
        let (account, tally) = (Arc::clone(account), Arc::clone(tally));
        Ok(Client::new(http, account, limiter, process, tally, tokens))
    }
}
