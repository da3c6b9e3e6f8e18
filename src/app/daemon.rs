//! The daemon: everything that runs, from opened listeners to shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use super::components::Components;
use super::listeners::Listeners;
use super::options::{Options, StartError};
use super::sampling::{self, SAMPLING_PERIOD};
use crate::account::Account;
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::{AccountCheck, Config};
use crate::health::Health;
use crate::http::{Admin, Site};
use crate::metrics::{BuildInfo, ShardInfo};
use crate::reload::{Reloader, Reloads, RunningConfig, reloads};
use crate::reset::{ResetService, completion_timeout};
use crate::shutdown::{DRAIN, Shutdown};
use crate::snapshot::Directory;
use crate::supervisor::{AccountsHandle, PollerStart, Supervisor};
use crate::systemd;

/// By how much the supervisor may be late when it has given its pollers up.
const LATE: Duration = Duration::from_millis(50);

/// An exporter that has its listeners open and is ready to run.
pub struct Daemon {
    options: Options,
    listeners: Listeners,
    accounts: Vec<Arc<Account>>,
    components: Arc<Components>,
    directory: Arc<Directory>,
    health: Arc<Health>,
    running: Arc<RunningConfig>,
    hangups: Signal,
    sampling_period: Duration,
    polling: Handle,
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
        // Caught from here on: by default it ends a process.
        let hangups = signal(SignalKind::hangup())?;
        let tokens = Tokens::new(options.storage.clone());
        let shard = &options.shard;
        let components = Components::new(&config, shard, tokens, options.storage.clone())?;
        let components = Arc::new(components);
        let accounts = shard.own(&config.accounts);
        Ok(Self {
            options: options.clone(),
            listeners: Listeners::open(options).await?,
            accounts,
            components,
            directory: Arc::default(),
            health: Arc::default(),
            running: Arc::new(RunningConfig::new(config)),
            hangups,
            sampling_period: SAMPLING_PERIOD,
            polling: Handle::current(),
        })
    }

    /// The same daemon, which polls in another runtime than the one it serves in.
    #[must_use]
    pub fn polling_in(self, runtime: Handle) -> Self {
        Self { polling: runtime, ..self }
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

    /// The address of the listener for health and readiness alone, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        address(self.listeners.health.as_ref())
    }

    /// Where accounts can be reset, if they can.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        address(self.listeners.admin.as_ref())
    }

    /// Whether it speaks TLS there.
    pub fn encrypts(&self) -> bool {
        self.options.web.as_ref().is_some_and(|config| config.tls.is_some())
    }

    /// Polls and serves until `shutdown`; then stops polling, finishes the answers in flight and stores
    /// what upstream answers to refresh tokens that were sent.
    ///
    /// # Errors
    /// When something that should run until then has panicked: that begins the shutdown.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), TaskPanicked> {
        self.run_with(shutdown, |_| ()).await
    }

    /// Like [`Daemon::run`]; `send_handle` is given the handle that replaces the accounts.
    ///
    /// # Errors
    /// As [`Daemon::run`].
    pub async fn run_with(
        self,
        shutdown: Shutdown,
        send_handle: impl FnOnce(AccountsHandle),
    ) -> Result<(), TaskPanicked> {
        let (components, made_from) = (Arc::clone(&self.components), Arc::clone(&self.components));
        let start = move |start: PollerStart| {
            let PollerStart { slot, mode, heartbeat, stop, shutdown } = start;
            let poller = made_from.poller(&slot, heartbeat).expect("its client was set up before");
            poller.run(&made_from.registry, mode, stop, shutdown)
        };
        let (directory, health) = (Arc::clone(&self.directory), Arc::clone(&self.health));
        let (mut supervisor, accounts) =
            Supervisor::new(start, Arc::clone(&directory), Arc::clone(&health), shutdown.clone());
        let polling = self.polling.clone();
        {
            let _pollers_begin_there = polling.enter();
            supervisor.replace_accounts(self.accounts.clone());
        }
        send_handle(accounts.clone());
        let resets = components.resets(&shutdown);
        let (notifier, count) = (self.options.notifier.clone(), self.accounts.len());
        let tasks = self.serve(accounts, &resets, &shutdown);
        health.listening();
        log_start(count, components.process.shard());
        let polling = AbortOnDropHandle::new(polling.spawn(supervisor.run()));
        let polled = async {
            let ended = supervised(polling, &shutdown).await;
            // A refresh token that was sent must not be lost, nor what came of a reset.
            let time_limit = completion_timeout(directory.longest_timeout());
            tokio::join!(components.tokens.finish_renewals(), resets.finish(time_limit));
            ended
        };
        let work = async { tokio::join!(polled, joined(tasks, &shutdown)) };
        let status = || status(&directory);
        let (polled, served) = tokio::select! {
            biased;
            never = systemd::notify_manager(&notifier, &health, status, &shutdown) => match never {},
            ended = work => ended,
        };
        info!("stopped");
        polled.and(served)
    }

    /// Starts everything but the pollers.
    fn serve(
        self,
        accounts: AccountsHandle,
        resets: &ResetService,
        shutdown: &Shutdown,
    ) -> JoinSet<()> {
        let (reloads, requests) = reloads();
        let (site, admin) = (self.site(reloads), self.admin(resets));
        let reloader = self.reloader(accounts);
        let mut tasks = self.listeners.serve(site, admin, shutdown);
        tasks.spawn(sampling::sample(self.directory, self.sampling_period, shutdown.clone()));
        tasks.spawn(resets.clone().run());
        // Without a file to read, SIGHUP does nothing.
        if let Some(reloader) = reloader {
            tasks.spawn(reloader.run(self.hangups, requests, shutdown.clone()));
        }
        tasks
    }

    fn site(&self, reloads: Reloads) -> Site {
        Site {
            directory: Arc::clone(&self.directory),
            process: Arc::clone(&self.components.process),
            health: Arc::clone(&self.health),
            config: Arc::clone(&self.running),
            prefix: self.options.route_prefix.clone(),
            telemetry_path: self.options.telemetry_path.clone(),
            started: Stamp::now(),
            reloads: self
                .options
                .source
                .as_ref()
                .filter(|_| self.options.lifecycle)
                .map(|_| reloads),
        }
    }

    fn reloader(&self, accounts: AccountsHandle) -> Option<Reloader> {
        let source = self.options.source.clone()?;
        let (checked, applied_to) = (Arc::clone(&self.components), Arc::clone(&self.components));
        let check: Arc<AccountCheck> = Arc::new(move |account| checked.check(account));
        let apply = move |config: Arc<Config>| {
            let (components, accounts) = (Arc::clone(&applied_to), accounts.clone());
            async move { components.apply(&config, &accounts).await }.boxed()
        };
        let (running, process) = (Arc::clone(&self.running), Arc::clone(&self.components.process));
        let notifier = self.options.notifier.clone();
        Some(Reloader::new(source, running, check, Box::new(apply), process, notifier))
    }

    fn admin(&self, resets: &ResetService) -> Option<Admin> {
        self.listeners.admin.as_ref()?;
        let (process, directory) = (&self.components.process, Arc::clone(&self.directory));
        let (resets, process) = (resets.clone(), Arc::clone(process));
        Some(Admin::new(resets, process, directory))
    }
}

/// Something that runs as long as the process has panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task has panicked without which the exporter is not whole; the log says where")]
pub struct TaskPanicked;

/// Begins the shutdown where a task has panicked.
fn noted(ended: Result<(), JoinError>, shutdown: &Shutdown) -> Result<(), TaskPanicked> {
    ended.map_err(|_| {
        error!("{TaskPanicked}; shutting down");
        shutdown.begin();
        TaskPanicked
    })
}

/// Ends with the supervisor, or without it once it should have given up its pollers.
async fn supervised(
    supervisor: AbortOnDropHandle<()>,
    shutdown: &Shutdown,
) -> Result<(), TaskPanicked> {
    let late = async {
        shutdown.wait().await;
        sleep(DRAIN + LATE).await;
    };
    tokio::select! {
        ended = supervisor => return noted(ended, shutdown),
        () = late => error!("a task keeps the thread of the pollers; it is left behind"),
    }
    Ok(())
}

/// Ends with the last of the tasks, all of which end with the shutdown.
async fn joined(mut tasks: JoinSet<()>, shutdown: &Shutdown) -> Result<(), TaskPanicked> {
    let mut all = Ok(());
    while let Some(ended) = tasks.join_next().await {
        all = all.and(noted(ended, shutdown));
    }
    all
}

fn address(listener: Option<&TcpListener>) -> Option<SocketAddr> {
    listener?.local_addr().ok()
}

/// The line that `systemctl status` shows.
fn status(directory: &Directory) -> String {
    let (slots, now) = (directory.slots(), Stamp::now());
    let down = slots.iter().filter(|slot| !slot.view().up(now)).count();
    status_line(slots.len(), down)
}

fn status_line(accounts: usize, down: usize) -> String {
    let plural = if accounts == 1 { "" } else { "s" };
    match down {
        0 => format!("polling {accounts} account{plural}"),
        _ => format!("polling {accounts} account{plural}, {down} down"),
    }
}

fn log_start(accounts: usize, shard: Option<ShardInfo>) {
    let BuildInfo { version, revision } = BuildInfo::THIS;
    info!(version, revision, accounts, "wazzup-exporter is running");
    if let Some(ShardInfo { ordinal, shards, accounts_elsewhere }) = shard {
        info!(
            shard = ordinal,
            shards, accounts_elsewhere, "other processes poll the other accounts"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_counts_the_accounts_that_are_down() {
        assert_eq!(status_line(1, 0), "polling 1 account");
        assert_eq!(status_line(8, 0), "polling 8 accounts");
        assert_eq!(status_line(8, 3), "polling 8 accounts, 3 down");
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_others_in_order() {
        let shutdown = Shutdown::default();
        let mut tasks = JoinSet::new();
        let (done, ended) = tokio::sync::oneshot::channel();
        let other = shutdown.clone();
        tasks.spawn(async move {
            other.wait().await;
            done.send(()).unwrap();
        });
        tasks.spawn(async { panic!("a fault of the program") });
        assert_eq!(joined(tasks, &shutdown).await, Err(TaskPanicked));
        assert_eq!(ended.await, Ok(()));
        let panics = tokio::spawn(async { panic!("another one") });
        let supervisor = AbortOnDropHandle::new(panics);
        assert_eq!(supervised(supervisor, &Shutdown::default()).await, Err(TaskPanicked));
    }
}
