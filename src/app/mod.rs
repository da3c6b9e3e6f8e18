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
mod reset;
mod sampling;
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

use self::crew::Crew;
use self::doors::Doors;
use crate::account::Account;
use crate::clock::Stamp;
use crate::config::Config;
use crate::exposition::{Format, document};
use crate::health::{Health, Promise};
use crate::http::{Admin, Site};
use crate::metrics::{BuildInfo, SweepResult};
use crate::poller::{self, Poller};
use crate::reset::{BODY_MAX, Desk, patience};
use crate::shutdown::Shutdown;
use crate::snapshot::{AccountView, Directory};
use crate::storage::{Storage, StorageError};
use crate::supervisor::{Accounts, Start, Supervisor};
use crate::upstream::{BuildError, Tokens};
use crate::web_config::WebConfig;

/// Where and how the daemon serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; each is an address of its own.
    pub listen: Vec<ListenAddress>,
    /// The path of the exposition.
    pub telemetry_path: String,
    /// Where to keep what survives a restart; nowhere if `None`.
    pub storage: Option<Storage>,
    /// Who may come and how, as a file says that is looked at again while the daemon runs;
    /// everybody in plain HTTP if `None`.
    pub web: Option<WebConfig>,
    /// Where to tell health and readiness alone, in plain HTTP; only together with the rest if `None`.
    pub health_listen: Option<ListenAddress>,
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
    telemetry_path: String,
    sampling_period: Duration,
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
        let tokens = Tokens::new(options.storage.clone());
        let crew = Crew::new(&config, tokens, options.storage.clone())?;
        Ok(Self {
            doors: Doors::open(options).await?,
            accounts: config.accounts.into_iter().map(Arc::new).collect(),
            crew,
            directory: Arc::default(),
            health: Arc::default(),
            telemetry_path: options.telemetry_path.clone(),
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
        let Self { doors, accounts, crew, directory, health, telemetry_path, sampling_period } =
            self;
        let (process, tokens) = (Arc::clone(&crew.process), Arc::clone(&crew.tokens));
        let (desk, hook, settling) =
            Desk::new(Arc::clone(&crew.posts), crew.storage.clone(), shutdown.clone());
        let longest = accounts.iter().map(|account| account.poll.timeout).max().unwrap_or_default();
        let patience = patience(longest);
        let admin = doors
            .admin_address()
            .map(|_| Admin::new(hook, Arc::clone(&process), BODY_MAX, patience));
        let start = |start: Start| {
            let Start { slot, first, promise, shutdown } = start;
            let poller = crew.poller(&slot, promise);
            async move { poller.expect("its client was set up before").run(first, shutdown).await }
        };
        let (mut supervisor, handle) =
            Supervisor::new(start, Arc::clone(&directory), Arc::clone(&health), shutdown.clone());
        let count = accounts.len();
        supervisor.replace_accounts(accounts);
        tell(handle);
        let sampler = sampling::sample(Arc::clone(&directory), sampling_period, shutdown.clone());
        let site = Arc::new(Site::new(directory, process, Arc::clone(&health), telemetry_path));
        let mut servers = doors.serve(&site, admin, &health, &crew.process, &shutdown);
        servers.spawn(sampler);
        servers.spawn(desk.run());
        health.listening();
        let BuildInfo { version, revision } = BuildInfo::THIS;
        info!(version, revision, accounts = count, "wazzup-exporter is running");
        supervisor.run().await;
        // A refresh token that was sent must not be lost, nor what came of a reset.
        tokio::join!(servers.join_all(), tokens.settle(), settling.settle(patience));
        info!("stopped");
    }
}

/// Reads every user of every account once. Where a daemon holds the refresh token of an account, the
/// access token that it keeps in `storage` is used.
///
/// # Errors
/// When a way to upstream cannot be set up. Readings that fail are no error here, they are in the report.
pub async fn poll_once(config: Config, storage: Option<Storage>) -> Result<PollReport, BuildError> {
    let crew = Crew::new(&config, Tokens::aside(storage), None)?;
    let slots = config.accounts.into_iter();
    let slots: Vec<_> =
        slots.map(|account| Arc::new(poller::new_slot(Arc::new(account)))).collect();
    let pollers = slots.iter().map(|slot| crew.poller(slot, Promise::new()));
    let pollers = pollers.collect::<Result<Vec<_>, _>>()?;
    join_all(pollers.into_iter().map(Poller::run_once)).await;
    crew.tokens.settle().await;
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
