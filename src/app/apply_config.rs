//! Applies another configuration while the daemon runs.

use std::sync::Arc;

use tracing::info;

use super::components::{Components, in_flight_max};
use super::describe;
use crate::config::Config;
use crate::http::RunningConfig;
use crate::net::descriptors;
use crate::reload::{self, AppliedConfig, ConfigSource, Triggers};
use crate::shutdown::Shutdown;
use crate::supervisor::AccountsHandle;
use crate::systemd::Notifier;

/// What a new configuration is applied to.
pub(super) struct ApplyConfig {
    pub(super) components: Arc<Components>,
    pub(super) accounts: AccountsHandle,
    /// What `/config` shows.
    pub(super) running: Arc<RunningConfig>,
    /// Reports the reload to the service manager.
    pub(super) notifier: Notifier,
}

impl ApplyConfig {
    /// Uses `config` from now on. What can fail was checked for each account when it was read.
    ///
    /// # Errors
    /// Why it cannot be applied.
    async fn apply(&self, config: Config) -> Result<(), String> {
        let in_flight = in_flight_max(config.settings.max_in_flight, descriptors());
        let configured = config.accounts;
        let own = self.components.shard.own(&configured);
        if !self.accounts.replace(own.clone()).await {
            return Err("the exporter is shutting down".to_owned());
        }
        self.components.transport.retain_for(&own);
        self.components.global.set_limit(in_flight);
        self.components.note_accounts(&configured, own.len());
        self.components.process.set_account_files(&describe::files(&config.files));
        self.running.set(describe::running(config.settings, configured, &config.files));
        info!(accounts = own.len(), "the configuration is in use");
        Ok(())
    }

    /// Reloads the configuration on its triggers.
    pub(super) async fn follow(
        self,
        source: ConfigSource,
        in_use: AppliedConfig,
        triggers: Triggers,
        shutdown: Shutdown,
    ) {
        let (process, notifier) = (&self.components.process, &self.notifier);
        let apply = |config| self.apply(config);
        reload::run(source, in_use, triggers, apply, process, notifier, shutdown).await;
    }
}
