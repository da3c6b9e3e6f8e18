//! What pollers are made from: connections, limits and the metrics of the process.

use std::sync::Arc;

use tracing::{info, warn};

use crate::account::{Account, AccountName};
use crate::api::Client;
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::Config;
use crate::health::Heartbeat;
use crate::limit::{GlobalLimit, Limiter, Paces};
use crate::metrics::{ProcessMetrics, Tally};
use crate::net::descriptors;
use crate::poller::{Poller, Registry};
use crate::reset::{Elsewhere, ResetService};
use crate::shard::Shard;
use crate::shutdown::Shutdown;
use crate::snapshot::Slot;
use crate::storage::Storage;
use crate::supervisor::AccountsHandle;
use crate::text;
use crate::transport::{BuildError, ConnectionPools};

/// Shared by all pollers of a process.
pub(super) struct Components {
    /// Which accounts pollers are made for.
    pub(super) shard: Shard,
    pub(super) transport: ConnectionPools,
    paces: Paces,
    global: GlobalLimit,
    pub(super) storage: Option<Storage>,
    pub(super) registry: Arc<Registry>,
    pub(super) elsewhere: Arc<Elsewhere>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) process: Arc<ProcessMetrics>,
}

impl Components {
    /// The components for those accounts of `config` that belong to `shard`. `storage` is for trends and resets; what
    /// tokens keep is handled by `tokens`.
    pub(super) fn new(
        config: &Config,
        shard: &Shard,
        tokens: Tokens,
        storage: Option<Storage>,
    ) -> Result<Self, BuildError> {
        let process = Arc::new(ProcessMetrics::default());
        process.config_loaded(config.hash, Stamp::now().unix);
        process.set_shard(shard.ordinal, shard.total);
        let components = Self {
            shard: shard.clone(),
            transport: ConnectionPools::default(),
            paces: Paces::default(),
            global: GlobalLimit::new(in_flight_max(config.settings.max_in_flight, descriptors())),
            storage,
            registry: Arc::default(),
            elsewhere: Arc::default(),
            tokens: Arc::new(tokens.for_one_of(shard.total as usize)),
            process,
        };
        let own = shard.own(&config.accounts);
        // Every HTTP client is set up now, so that errors are not found when a poller starts.
        own.iter().try_for_each(|account| components.transport.client_for(account).map(drop))?;
        components.note_accounts(config, own.len());
        Ok(components)
    }

    /// Uses `config` from now on. What can fail was checked for each account when it was read.
    ///
    /// # Errors
    /// Why it cannot be applied.
    pub(super) async fn apply(
        &self,
        config: &Config,
        accounts: &AccountsHandle,
    ) -> Result<(), String> {
        let own = self.shard.own(&config.accounts);
        if !accounts.replace(own.clone()).await {
            return Err("the exporter is shutting down".to_owned());
        }
        self.transport.retain_for(&own);
        self.global.set_limit(in_flight_max(config.settings.max_in_flight, descriptors()));
        self.note_accounts(config, own.len());
        info!(accounts = own.len(), "the configuration is in use");
        Ok(())
    }

    /// Records which of the configured accounts are our own, and which account files are good.
    fn note_accounts(&self, config: &Config, own: usize) {
        let files = config.files.iter();
        let files = files.map(|file| (text::path(&file.path), file.broken.is_none()));
        self.process.set_account_files(&files.collect::<Vec<_>>());
        self.process.set_accounts(config.accounts.len(), own);
        let shard = &self.shard;
        let place = |name: &AccountName| Some(shard.describe(shard.other_owner(name)?));
        self.elsewhere.set(&config.accounts, place);
    }

    /// Checks for an account of another configuration what can fail.
    ///
    /// # Errors
    /// Why it cannot be polled.
    pub(super) fn check(&self, account: &Account) -> Result<(), String> {
        self.shard.check(account).map_err(|error| error.to_string())?;
        if account.needs_storage() {
            let Some(storage) = &self.storage else {
                let what = "has refresh tokens or resets to keep on record, and this process was \
                            started without storage; restart it, with --storage.path";
                return Err(what.to_owned());
            };
            storage.check().map_err(|error| error.to_string())?;
        }
        if self.shard.other_owner(&account.name).is_some() {
            return Ok(());
        }
        self.transport.client_for(account).map(drop).map_err(|error| error.to_string())
    }

    /// A poller for the account of `slot`. Must be called within a runtime.
    pub(super) fn poller(
        &self,
        slot: &Arc<Slot>,
        heartbeat: Heartbeat,
    ) -> Result<Poller, BuildError> {
        let client = self.client(&slot.view().account, &slot.tally)?;
        Ok(Poller::new(client, slot, heartbeat, self.storage.as_ref()))
    }

    /// The service that resets accounts.
    pub(super) fn resets(&self, shutdown: &Shutdown) -> ResetService {
        let (registry, elsewhere) = (Arc::clone(&self.registry), Arc::clone(&self.elsewhere));
        ResetService::new(registry, elsewhere, self.storage.clone(), shutdown.clone())
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

/// How many requests may be in flight of so many that are configured: a quarter of the descriptors, because the
/// connections of requests that have ended stay open for a while, and files have to be opened beside them.
fn in_flight_max(configured: usize, descriptors: u64) -> usize {
    let most = usize::try_from(descriptors / 4).unwrap_or(usize::MAX).max(1);
    if most < configured {
        warn!(
            most,
            max_in_flight = configured,
            "there are descriptors for fewer requests in flight; raise the limit of open files (ulimit -n)"
        );
    }
    configured.min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_flight_leave_descriptors_for_listeners_and_files() {
        for (configured, descriptors, expected) in
            [(256, 1024, 256), (256, 256, 64), (8, 64, 8), (256, 0, 1), (256, u64::MAX, 256)]
        {
            assert_eq!(in_flight_max(configured, descriptors), expected, "{descriptors}");
        }
    }
}
