//! The only place that wires things: from a configuration to a running exporter.
//!
//! [`Daemon::bind`] opens everything that can fail, [`Daemon::run`] runs until shutdown.
//! [`poll_once`] makes one sweep without listening anywhere, and [`healthcheck`] asks a daemon that
//! runs elsewhere. The binary calls these; tests do, too.

mod healthcheck;
mod listen;

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

pub use self::healthcheck::{HealthcheckError, healthcheck};
pub use self::listen::{BindError, ListenAddress};

use crate::account::Account;
use crate::clock::Stamp;
use crate::config::Config;
use crate::exposition::{Format, document};
use crate::health::{Health, Promise};
use crate::http::{self, Site};
use crate::limit::{Global, Limiter};
use crate::metrics::{BuildInfo, Process, SweepResult};
use crate::poller::{self, Poller};
use crate::shutdown::Shutdown;
use crate::snapshot::{AccountView, Directory, Slot};
use crate::supervisor;
use crate::upstream::{BuildError, Client, Transport};

/// Where and how the daemon serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; each is an address of its own.
    pub listen: Vec<ListenAddress>,
    /// The path of the exposition.
    pub telemetry_path: String,
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
}

/// An exporter that has its listeners open and is ready to run.
#[derive(Debug)]
pub struct Daemon {
    listeners: Vec<TcpListener>,
    slots: Vec<Arc<Slot>>,
    crew: Crew,
    site: Arc<Site>,
    health: Arc<Health>,
}

/// What one sweep of every account gave.
#[derive(Debug)]
pub struct PollReport {
    /// The exposition, in Prometheus' text format.
    pub exposition: Vec<u8>,
    /// Accounts of which some user could not be read.
    pub incomplete: Vec<String>,
}

/// What pollers are made from.
#[derive(Debug, Clone)]
struct Crew {
    transport: Transport,
    global: Global,
    process: Arc<Process>,
}

impl Crew {
    fn new(config: &Config) -> Result<Self, BuildError> {
        let process = Arc::new(Process::new());
        process.config_loaded(config.hash, Stamp::now().unix);
        process.set_accounts(config.accounts.len(), config.accounts.len());
        let global = Global::new(config.max_in_flight);
        Ok(Self { transport: Transport::new()?, global, process })
    }

    fn poller(&self, slot: Arc<Slot>, promise: Promise) -> Poller {
        let account = Arc::clone(&slot.view().account);
        let limiter = Limiter::new(account.poll.concurrency, self.global.clone());
        let client = Client::new(&self.transport, account, limiter, Arc::clone(&self.process));
        Poller::new(client, slot, promise)
    }
}

impl Daemon {
    /// Opens the listeners and prepares everything else; nothing is asked of upstream yet.
    ///
    /// # Errors
    /// When a listener cannot be opened or TLS cannot be set up; nothing is left open then.
    pub async fn bind(options: &Options, config: Config) -> Result<Self, StartError> {
        let crew = Crew::new(&config)?;
        let mut listeners = Vec::new();
        for address in &options.listen {
            listeners.push(address.bind().await?);
        }
        let slots = slots(config.accounts);
        let directory = Arc::new(Directory::default());
        directory.replace(slots.clone());
        let health = Arc::new(Health::new(Stamp::now()));
        let process = Arc::clone(&crew.process);
        let path = options.telemetry_path.clone();
        let site = Arc::new(Site::new(directory, process, Arc::clone(&health), path));
        Ok(Self { listeners, slots, crew, site, health })
    }

    /// Where it listens, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Polls and serves until `shutdown`; then stops polling and finishes the answers in flight.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { listeners, slots, crew, site, health } = self;
        let mut servers = JoinSet::new();
        for listener in listeners {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "listening");
            }
            servers.spawn(http::serve(listener, Arc::clone(&site), shutdown.clone()));
        }
        health.listening();
        info!(
            version = BuildInfo::THIS.version,
            revision = BuildInfo::THIS.revision,
            accounts = slots.len(),
            "wazzup-exporter is running"
        );
        let start = |slot: Arc<Slot>, first, promise| {
            crew.poller(slot, promise).run(first, shutdown.clone())
        };
        supervisor::run(&slots, start, &health, shutdown.clone()).await;
        servers.join_all().await;
        info!("stopped");
    }
}

/// Reads every user of every account once.
///
/// # Errors
/// When TLS cannot be set up. Readings that fail are no error here, they are in the report.
pub async fn poll_once(config: Config) -> Result<PollReport, BuildError> {
    let crew = Crew::new(&config)?;
    let slots = slots(config.accounts);
    let pollers = slots.iter().map(|slot| crew.poller(Arc::clone(slot), Promise::default()));
    join_all(pollers.map(Poller::run_once)).await;
    let views: Vec<_> = slots.iter().map(|slot| slot.view()).collect();
    let incomplete = views.iter().filter(|view| !swept_whole(view));
    let incomplete = incomplete.map(|view| view.account.name.to_string()).collect();
    let exposition = document(&views, &crew.process.gather(), Format::Text, false, Stamp::now());
    Ok(PollReport { exposition, incomplete })
}

fn slots(accounts: Vec<Account>) -> Vec<Arc<Slot>> {
    let slots = accounts.into_iter().map(|account| poller::new_slot(Arc::new(account)));
    slots.map(Arc::new).collect()
}

fn swept_whole(view: &AccountView) -> bool {
    view.facts.sweep.is_some_and(|sweep| sweep.result == SweepResult::Ok)
}
