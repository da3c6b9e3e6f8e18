//! The daemon: everything that runs, from opened listeners to shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::apply_config::ApplyConfig;
use super::components::Components;
use super::describe;
use super::listeners::Listeners;
use super::options::{Options, StartError};
use super::sampling::{self, SAMPLING_PERIOD};
use crate::account::Account;
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::{AccountCheck, AccountFile, Config};
use crate::health::Health;
use crate::http::{Admin, Prefix, RunningConfig, Site};
use crate::metrics::{BuildInfo, ShardInfo};
use crate::reload::{self, ConfigSource, InUse, Triggers, reloads};
use crate::reset::{BODY_MAX, ResetService, completion_timeout};
use crate::shutdown::{Hangups, Shutdown};
use crate::snapshot::Directory;
use crate::supervisor::{AccountsHandle, PollerStart, Supervisor};
use crate::systemd::{self, Notifier};

/// An exporter that has its listeners open and is ready to run.
#[derive(Debug)]
pub struct Daemon {
    listeners: Listeners,
    accounts: Vec<Arc<Account>>,
    components: Components,
    directory: Arc<Directory>,
    health: Arc<Health>,
    running: Arc<RunningConfig>,
    route_prefix: Prefix,
    telemetry_path: String,
    notifier: Notifier,
    sampling_period: Duration,
    hash: u64,
    files: Vec<AccountFile>,
    source: Option<ConfigSource>,
    lifecycle: bool,
    hangups: Hangups,
}

impl Daemon {
    /// Opens the listeners and prepares everything else; nothing is asked of upstream yet.
    ///
    /// # Errors
    /// When a listener cannot be opened or a way to upstream cannot be set up; nothing is left open then.
    pub async fn bind(options: &Options, config: Config) -> Result<Self, StartError> {
        if let Some(storage) = &options.storage {
            storage.check()?;
        }
        let hangups = Hangups::catch()?;
        let tokens = Tokens::new(options.storage.clone());
        let shard = &options.shard;
        let components = Components::new(&config, shard, tokens, options.storage.clone())?;
        let accounts = shard.own(&config.accounts);
        let running = RunningConfig::new(describe::config(config.settings, config.accounts));
        running.set_broken(describe::broken(&config.files));
        Ok(Self {
            hash: config.hash,
            files: config.files,
            source: options.source.clone(),
            lifecycle: options.lifecycle,
            hangups,
            listeners: Listeners::open(options).await?,
            accounts,
            components,
            directory: Arc::default(),
            health: Arc::default(),
            running: Arc::new(running),
            route_prefix: options.route_prefix.clone(),
            telemetry_path: options.telemetry_path.clone(),
            notifier: options.notifier.clone(),
            sampling_period: SAMPLING_PERIOD,
        })
    }

    /// The same daemon with another time between the points of the page's charts.
    #[must_use]
    pub fn sampling_every(self, period: Duration) -> Self {
        Self { sampling_period: period, ..self }
    }

    /// The same daemon with another time between two checks of the web configuration files.
    #[must_use]
    pub fn checking_web_config_every(mut self, period: Duration) -> Self {
        self.listeners.check_period = period;
        self
    }

    /// Where it listens, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// The address of the health listener, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.listeners.health_address()
    }

    /// Where accounts can be reset, if they can.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.listeners.admin_address()
    }

    /// Whether it speaks TLS there.
    pub fn encrypts(&self) -> bool {
        self.listeners.encrypt()
    }

    /// Polls and serves until `shutdown`; then stops polling, finishes the answers in flight and stores
    /// what upstream answers to refresh tokens that were sent.
    pub async fn run(self, shutdown: Shutdown) {
        self.run_with(shutdown, |_| ()).await;
    }

    /// Like [`Daemon::run`]; `send_handle` is given the handle that replaces the accounts.
    pub async fn run_with(self, shutdown: Shutdown, send_handle: impl FnOnce(AccountsHandle)) {
        let Self { listeners, accounts, directory, health, .. } = self;
        let components = Arc::new(self.components);
        let (process, tokens) = (Arc::clone(&components.process), Arc::clone(&components.tokens));
        let registry = Arc::clone(&components.registry);
        let (elsewhere, storage) = (Arc::clone(&components.elsewhere), components.storage.clone());
        let resets = ResetService::new(registry, elsewhere, storage, shutdown.clone());
        let known = Arc::clone(&directory);
        let admin = listeners.admin_address().map(|_| {
            let (resets, process) = (resets.clone(), Arc::clone(&process));
            Admin::new(resets, process, BODY_MAX, known, completion_timeout)
        });
        let start = |start: PollerStart| {
            let PollerStart { slot, mode, heartbeat, stop, shutdown } = start;
            let poller = components.poller(&slot, heartbeat).expect("its client was set up before");
            poller.run(&components.registry, mode, stop, shutdown)
        };
        let (mut supervisor, handle) =
            Supervisor::new(start, Arc::clone(&directory), Arc::clone(&health), shutdown.clone());
        let count = accounts.len();
        supervisor.replace_accounts(accounts);
        send_handle(handle.clone());
        let sampler =
            sampling::sample(Arc::clone(&directory), self.sampling_period, shutdown.clone());
        let (status, known) = (describe::status(Arc::clone(&directory)), Arc::clone(&directory));
        let (reloads, orders) = reloads();
        let site = Site {
            directory,
            process: Arc::clone(&process),
            health: Arc::clone(&health),
            config: Arc::clone(&self.running),
            prefix: self.route_prefix,
            telemetry_path: self.telemetry_path,
            started: Stamp::now(),
            reloads: self.lifecycle.then_some(reloads),
        };
        let mut servers = listeners.serve(site, admin, &health, &process, &shutdown);
        servers.spawn(sampler);
        servers.spawn(resets.clone().run());
        let triggers = Triggers { hangups: self.hangups, requests: orders };
        let checked = Arc::clone(&components);
        let check: Arc<AccountCheck> = Arc::new(move |account| checked.check(account));
        let in_use = InUse { hash: self.hash, files: self.files, check };
        let (components, running) = (Arc::clone(&components), self.running);
        let apply_config =
            ApplyConfig { components, accounts: handle, running, notifier: self.notifier.clone() };
        servers.spawn(follow(self.source, in_use, triggers, apply_config, shutdown.clone()));
        health.listening();
        let BuildInfo { version, revision } = BuildInfo::THIS;
        info!(version, revision, accounts = count, "wazzup-exporter is running");
        if let Some(ShardInfo { ordinal, shards, accounts_elsewhere }) = process.shard() {
            info!(
                shard = ordinal,
                shards, accounts_elsewhere, "other processes poll the other accounts"
            );
        }
        let work = async {
            supervisor.run().await;
            // A refresh token that was sent must not be lost, nor what came of a reset.
            let time_limit = completion_timeout(known.longest_timeout());
            tokio::join!(servers.join_all(), tokens.finish_renewals(), resets.finish(time_limit));
        };
        tokio::select! {
            biased;
            never = systemd::notify_manager(&self.notifier, &health, status, &shutdown) => match never {},
            () = work => {}
        }
        info!("stopped");
    }
}

/// Reloads the configuration on its triggers, if there is a file to read.
async fn follow(
    source: Option<ConfigSource>,
    in_use: InUse,
    triggers: Triggers,
    apply_config: ApplyConfig,
    shutdown: Shutdown,
) {
    let Some(source) = source else { return reload::decline(triggers, shutdown).await };
    let (process, notifier) =
        (Arc::clone(&apply_config.components.process), apply_config.notifier.clone());
    let apply = |config| apply_config.apply(config);
    reload::run(source, in_use, triggers, apply, &process, &notifier, shutdown).await;
}
