//! The only place that wires things: from a configuration to a running exporter.
//!
//! [`Daemon::bind`] opens everything that can fail, [`Daemon::run`] runs until shutdown.
//! [`poll_once`] makes one sweep without listening anywhere, [`diagnose`] asks why counters may mislead,
//! [`Login`] lets a customer in, [`healthcheck`] and [`ask_reset`] ask a daemon that runs elsewhere. The binary calls these; tests do, too.

mod crew;
mod doctor;
mod doors;
mod healthcheck;
mod listen;
mod login;
mod renewal;
mod reset;
mod sampling;
mod show;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::info;

pub use self::doctor::{DiagnoseError, diagnose};
pub use self::doors::check_admin;
pub use self::healthcheck::{HealthcheckError, healthcheck};
pub use self::listen::{BindError, InvalidListenAddress, ListenAddress};
pub use self::login::{Login, LoginError, Unfit};
pub use self::reset::{ResetAnswer, ResetError, ResetOrder, ask_reset, reset_history};
pub use self::sampling::SAMPLING_PERIOD;
pub use crate::http::{InvalidPrefix, Prefix};

use self::crew::Crew;
use self::doors::Doors;
use self::renewal::Renewal;
use crate::account::Account;
use crate::auth::Tokens;
use crate::clock::Stamp;
use crate::config::Config;
use crate::exposition::{Format, document};
use crate::health::{Health, Heartbeat};
use crate::http::{Admin, RunningConfig, Site};
use crate::metrics::{BuildInfo, SweepResult};
use crate::poller::{self, Poller};
use crate::reload::reloads;
use crate::reload::{self, Source, Triggers};
use crate::reset::{BODY_MAX, ResetService, completion_timeout};
use crate::shutdown::{Hangups, Shutdown};
use crate::snapshot::{AccountView, Directory};
use crate::storage::{Storage, StorageError};
use crate::supervisor::{Accounts, Start, Supervisor};
use crate::systemd::{self, Notifier, Sockets};
use crate::transport::BuildError;
use crate::web_config::WebConfig;

/// Where and how the daemon serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; each is an address of its own.
    pub listen: Vec<ListenAddress>,
    /// Listeners that are open already, in place of `listen`.
    pub sockets: Option<Sockets>,
    /// The path below which everything is.
    pub route_prefix: Prefix,
    /// The path of the exposition.
    pub telemetry_path: String,
    /// Where to keep what survives a restart; nowhere if `None`.
    pub storage: Option<Storage>,
    /// Who may come and how, as a file says that is looked at again while the daemon runs;
    /// everybody in plain HTTP if `None`.
    pub web: Option<WebConfig>,
    /// Where to tell health and readiness alone, in plain HTTP; only together with the rest if `None`.
    pub health_listen: Option<ListenAddress>,
    /// What is read when the configuration is to be read anew; nothing if `None`.
    pub source: Option<Source>,
    /// Whether that may be asked for over HTTP.
    pub lifecycle: bool,
    /// Whom to tell how the daemon is doing.
    pub notifier: Notifier,
    /// Where accounts can be reset that allow it; nowhere if `None`.
    pub admin_listen: Option<ListenAddress>,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The HTTP client could not be set up.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The storage cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A signal cannot be caught.
    #[error("cannot catch SIGHUP: {0}")]
    Signal(#[from] std::io::Error),
    /// Reset tokens would cross a network in plain HTTP.
    #[error(
        "--web.admin-listen-address={0} can be reached from elsewhere, and reset tokens would be sent \
         there in plain HTTP; listen on 127.0.0.1, or set up TLS with --web.config.file"
    )]
    PlainAdmin(ListenAddress),
}

/// An exporter that has its listeners open and is ready to run.
#[derive(Debug)]
pub struct Daemon {
    doors: Doors,
    accounts: Vec<Arc<Account>>,
    crew: Crew,
    directory: Arc<Directory>,
    health: Arc<Health>,
    running: Arc<RunningConfig>,
    route_prefix: Prefix,
    telemetry_path: String,
    notifier: Notifier,
    sampling_period: Duration,
    hash: u64,
    source: Option<Source>,
    lifecycle: bool,
    hangups: Hangups,
}

/// What one sweep of every account gave.
#[derive(Debug)]
pub struct PollReport {
    /// The exposition, in Prometheus' text format.
    pub exposition: Vec<u8>,
    /// Accounts of which some user could not be read.
    pub incomplete: Vec<String>,
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
        let crew = Crew::new(&config, tokens, options.storage.clone())?;
        let accounts: Vec<_> = config.accounts.into_iter().map(Arc::new).collect();
        let running = RunningConfig::new(show::config(config.settings, accounts.clone()));
        Ok(Self {
            hash: config.hash,
            source: options.source.clone(),
            lifecycle: options.lifecycle,
            hangups,
            doors: Doors::open(options).await?,
            accounts,
            crew,
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

    /// The same daemon with another time between two looks at the files of the web configuration.
    #[must_use]
    pub fn looking_every(mut self, period: Duration) -> Self {
        self.doors.look = period;
        self
    }

    /// Where it listens, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.addresses()
    }

    /// Where it tells health and readiness alone, if it does.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.doors.health_address()
    }

    /// Where accounts can be reset, if they can.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.doors.admin_address()
    }

    /// Whether it speaks TLS there.
    pub fn encrypts(&self) -> bool {
        self.doors.encrypt()
    }

    /// Polls and serves until `shutdown`; then stops polling, finishes the answers in flight and stores
    /// what upstream answers to refresh tokens that were sent.
    pub async fn run(self, shutdown: Shutdown) {
        self.run_with(shutdown, |_| ()).await;
    }

    /// Like [`Daemon::run`]; `tell` is given the handle that replaces the accounts.
    pub async fn run_with(self, shutdown: Shutdown, tell: impl FnOnce(Accounts)) {
        let Self { doors, accounts, directory, health, .. } = self;
        let crew = Arc::new(self.crew);
        let (process, tokens) = (Arc::clone(&crew.process), Arc::clone(&crew.tokens));
        let (resets, hook, in_flight_resets) =
            ResetService::new(Arc::clone(&crew.registry), crew.storage.clone(), shutdown.clone());
        let known = Arc::clone(&directory);
        let admin = doors
            .admin_address()
            .map(|_| Admin::new(hook, Arc::clone(&process), BODY_MAX, known, completion_timeout));
        let start = |start: Start| {
            let Start { slot, mode, heartbeat, leave, shutdown } = start;
            let poller = crew.poller(&slot, heartbeat).expect("its client was set up before");
            poller.run(mode, leave, shutdown)
        };
        let (mut supervisor, handle) =
            Supervisor::new(start, Arc::clone(&directory), Arc::clone(&health), shutdown.clone());
        let count = accounts.len();
        supervisor.replace_accounts(accounts);
        tell(handle.clone());
        let sampler =
            sampling::sample(Arc::clone(&directory), self.sampling_period, shutdown.clone());
        let (status, known) = (show::status(Arc::clone(&directory)), Arc::clone(&directory));
        let (reloads, orders) = reloads();
        let site = Site::new(
            directory,
            Arc::clone(&process),
            Arc::clone(&health),
            Arc::clone(&self.running),
            self.telemetry_path,
        );
        let site = site.below(self.route_prefix).reloading(self.lifecycle.then_some(reloads));
        let site = Arc::new(site);
        let mut servers = doors.serve(&site, admin, &health, &process, &shutdown);
        servers.spawn(sampler);
        servers.spawn(resets.run());
        let triggers = Triggers { hangups: self.hangups, requests: orders };
        let (crew, running) = (Arc::clone(&crew), self.running);
        let renewal = Renewal { crew, accounts: handle, running, notifier: self.notifier.clone() };
        servers.spawn(follow(self.source, self.hash, triggers, renewal, shutdown.clone()));
        health.listening();
        let BuildInfo { version, revision } = BuildInfo::THIS;
        info!(version, revision, accounts = count, "wazzup-exporter is running");
        let work = async {
            supervisor.run().await;
            // A refresh token that was sent must not be lost, nor what came of a reset.
            let time_limit = completion_timeout(known.longest_timeout());
            tokio::join!(
                servers.join_all(),
                tokens.finish_renewals(),
                in_flight_resets.wait(time_limit)
            );
        };
        tokio::select! {
            biased;
            never = systemd::attend(&self.notifier, &health, status, &shutdown) => match never {},
            () = work => {}
        }
        info!("stopped");
    }
}

/// Reads the configuration anew when that is wished for, where there is a file to read.
async fn follow(
    source: Option<Source>,
    hash: u64,
    triggers: Triggers,
    renewal: Renewal,
    shutdown: Shutdown,
) {
    let Some(source) = source else { return reload::decline(triggers, shutdown).await };
    let (process, notifier) = (Arc::clone(&renewal.crew.process), renewal.notifier.clone());
    let apply = |config| renewal.apply(config);
    reload::run(source, hash, triggers, apply, &process, &notifier, shutdown).await;
}

/// Reads every user of every account once. Where a daemon holds the refresh token of an account, the
/// access token that it keeps in `storage` is used.
///
/// # Errors
/// When a way to upstream cannot be set up. Readings that fail are no error here, they are in the report.
pub async fn poll_once(config: Config, storage: Option<Storage>) -> Result<PollReport, BuildError> {
    let crew = Crew::new(&config, Tokens::read_only(storage), None)?;
    let slots = config.accounts.into_iter();
    let slots: Vec<_> =
        slots.map(|account| Arc::new(poller::new_slot(Arc::new(account)))).collect();
    let pollers = slots.iter().map(|slot| crew.poller(slot, Heartbeat::new()));
    let pollers = pollers.collect::<Result<Vec<_>, _>>()?;
    join_all(pollers.into_iter().map(Poller::run_once)).await;
    crew.tokens.finish_renewals().await;
    let views: Vec<_> = slots.iter().map(|slot| slot.view()).collect();
    let incomplete = views.iter().filter(|view| !swept_whole(view));
    let incomplete = incomplete.map(|view| view.account.name.to_string()).collect();
    let families = crew.process.gather();
    let exposition = document(&views, &families, Format::Text, false, Stamp::now());
    Ok(PollReport { exposition, incomplete })
}

fn swept_whole(view: &AccountView) -> bool {
    view.facts.sweep.is_some_and(|sweep| sweep.result == SweepResult::Ok)
}
