//! Reading the configuration again while the exporter runs: on SIGHUP, on request, or when it changes.
//!
//! A [`Reloader`] is the one task that does it, so that two never overlap; [`Reloads`] asks it to. What is in use is the
//! [`RunningConfig`], which `/config` shows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::clock::Stamp;
use crate::config::{self, AccountCheck, Config, Permissions, Running};
use crate::metrics::ProcessMetrics;
use crate::shutdown::Shutdown;
use crate::systemd::Notifier;
use crate::text;

/// Requests that wait in the channel.
const QUEUE: usize = 8;

/// Requests reloads; clones use the same channel.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<ReloadRequest>);

/// Receives the requests.
pub type ReloadRequests = mpsc::Receiver<ReloadRequest>;

/// One request: where its answer goes.
pub type ReloadRequest = oneshot::Sender<Reloaded>;

/// The problems of broken account files, or why nothing has changed.
pub type Reloaded = Result<Vec<String>, String>;

/// A channel for requests.
pub fn reloads() -> (Reloads, ReloadRequests) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Reloads(sender), receiver)
}

impl Reloads {
    /// Requests a reload, and returns once the configuration is in use, with what is wrong with
    /// account files.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn reload(&self) -> Reloaded {
        let (reply, replied) = oneshot::channel();
        let ending = || "the exporter is shutting down".to_owned();
        self.0.send(reply).await.map_err(|_| ending())?;
        replied.await.unwrap_or_else(|_| Err(ending()))
    }
}

/// The configuration in use.
pub struct RunningConfig(ArcSwap<Config>);

/// An account file that cannot be used.
#[derive(Debug, Clone, Serialize)]
pub struct BrokenFile {
    /// Where it is.
    pub file: String,
    /// What is wrong, a line for each problem.
    pub reason: String,
    /// The accounts that it had before and that are polled on.
    pub accounts: Vec<String>,
}

impl RunningConfig {
    /// Where this one is in use at the start.
    pub fn new(config: Config) -> Self {
        Self(ArcSwap::from_pointee(config))
    }

    /// It in YAML, in full and without its secrets.
    pub fn text(&self) -> String {
        let config = self.0.load_full();
        config::render(&config.settings, &config.accounts)
    }

    /// Its account files that cannot be used.
    pub fn broken_files(&self) -> Vec<BrokenFile> {
        let config = self.0.load();
        let broken = config.files.iter().filter_map(|file| {
            let reason = file.broken.as_ref()?.to_string();
            let accounts = file.accounts.iter().map(|account| account.name.to_string()).collect();
            Some(BrokenFile { file: text::path(&file.path), reason, accounts })
        });
        broken.collect()
    }
}

/// Time for which a change has to stay the same before it is applied: a file may be half written.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// Time within which the files must have been read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// What is said when they were not.
const HANGS: &str = "the files could not be read within 30s; the disk or the network that they are on \
                     does not answer";

/// What is said when reading them has panicked, which the log says more of.
const PANICKED: &str = "the program failed while it read the files; the log says where";

/// A configuration, or why it is broken.
type Read = Result<Config, String>;

/// The files that are reloaded.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    /// The main file, which names the others.
    pub file: PathBuf,
    /// What it is allowed to do.
    pub permissions: Permissions,
    /// How often to check the files for changes, if at all.
    pub check_interval: Option<Duration>,
}

/// Identifies the content of the files, to detect changes: its hash, or what is wrong with it.
type ConfigFingerprint = Result<u64, String>;

/// Uses a configuration from now on, or says why it cannot. What can fail was checked for each account when it was read.
pub type Apply = Box<dyn Fn(Arc<Config>) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Reads the configuration on every trigger and applies it. What cannot be applied is logged and counted.
pub struct Reloader {
    source: ConfigSource,
    running: Arc<RunningConfig>,
    check: Arc<AccountCheck>,
    apply: Apply,
    process: Arc<ProcessMetrics>,
    notifier: Notifier,
    /// A reading that has not come to its end in time.
    hung: Option<JoinHandle<Read>>,
    /// The content that was applied or refused last.
    applied_fingerprint: ConfigFingerprint,
    /// A different content that was found once and has to be confirmed.
    found: Option<ConfigFingerprint>,
}

impl Reloader {
    /// Replaces the `running` configuration. `check` says whether another account could be polled; `notifier` reports
    /// the begin and the end of a reload.
    pub fn new(
        source: ConfigSource,
        running: Arc<RunningConfig>,
        check: Arc<AccountCheck>,
        apply: Apply,
        process: Arc<ProcessMetrics>,
        notifier: Notifier,
    ) -> Self {
        let applied_fingerprint = Ok(running.0.load().hash);
        let (hung, found) = (None, None);
        Self { source, running, check, apply, process, notifier, hung, applied_fingerprint, found }
    }

    /// Reloads on SIGHUP, on request, and when the files change if they are to be checked, until `shutdown`.
    pub async fn run(mut self, hangups: Signal, requests: ReloadRequests, shutdown: Shutdown) {
        // A disk that hangs does not delay the shutdown.
        tokio::select! {
            () = self.follow(hangups, requests) => {}
            () = shutdown.wait() => {}
        }
    }

    async fn follow(&mut self, mut hangups: Signal, mut requests: ReloadRequests) {
        let checks = self.source.check_interval.is_some();
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => {
                    info!("received SIGHUP, reloading the configuration");
                    // The result is logged.
                    let _ = self.reload().await;
                }
                Some(request) = requests.recv() => {
                    info!("requested to reload the configuration");
                    drop(request.send(self.reload().await));
                }
                () = sleep(self.pause()), if checks => self.check_files().await,
            }
        }
    }

    /// Time until the next check of the files.
    fn pause(&self) -> Duration {
        let interval = self.source.check_interval.unwrap_or(Duration::MAX);
        if self.found.is_some() { interval.min(CONFIRM_AFTER) } else { interval }
    }

    /// Reloads the files if they have changed.
    async fn check_files(&mut self) {
        let read = self.read().await;
        if self.is_new(&read) {
            info!("the configuration has changed, reloading it");
            let _reloading = self.notifier.reloading();
            let _ = self.apply(read).await;
        }
    }

    async fn reload(&mut self) -> Result<Vec<String>, String> {
        let _reloading = self.notifier.reloading();
        let read = self.read().await;
        self.apply(read).await
    }

    /// Reads the files, on one thread at a time: what hangs is not tried again before it has ended.
    async fn read(&mut self) -> Read {
        if let Some(mut hung) = self.hung.take()
            && timeout(READ_TIMEOUT, &mut hung).await.is_err()
        {
            self.hung = Some(hung);
            return Err(HANGS.to_owned());
        }
        let mut reading = self.start_reading();
        let Ok(read) = timeout(READ_TIMEOUT, &mut reading).await else {
            self.hung = Some(reading);
            return Err(HANGS.to_owned());
        };
        read.unwrap_or_else(|_| Err(PANICKED.to_owned()))
    }

    fn start_reading(&self) -> JoinHandle<Read> {
        let (file, permissions) = (self.source.file.clone(), self.source.permissions);
        let (running, check) = (self.running.0.load_full(), Arc::clone(&self.check));
        spawn_blocking(move || {
            let running = Running { config: Some(&running), check: &*check };
            config::reload(&file, permissions, &running).map_err(|error| error.to_string())
        })
    }

    /// Whether the files differ from what was applied last, twice in a row with the same content.
    fn is_new(&mut self, read: &Read) -> bool {
        let fingerprint = fingerprint(read);
        if fingerprint == self.applied_fingerprint {
            self.found = None;
            return false;
        }
        let lasts = self.found.as_ref() == Some(&fingerprint);
        self.found = Some(fingerprint);
        lasts
    }

    /// Applies a configuration, or returns why it cannot be applied.
    async fn apply(&mut self, read: Read) -> Result<Vec<String>, String> {
        self.applied_fingerprint = fingerprint(&read);
        self.found = None;
        let applied = match read {
            Ok(config) => {
                let config = Arc::new(config);
                let applied = (self.apply)(Arc::clone(&config)).await;
                if applied.is_ok() {
                    for warning in &config.warnings {
                        warn!("{warning}");
                    }
                    self.process.config_loaded(config.hash, Stamp::now().unix);
                    self.running.0.store(config);
                }
                applied.map(|()| self.log_broken())
            }
            Err(problems) => Err(problems),
        };
        match &applied {
            Ok(_) => debug!("the configuration was reloaded"),
            Err(problems) => {
                self.process.config_refused();
                let problems = problems.replace('\n', "; ");
                error!("the configuration is broken, the earlier one stays in use: {problems}");
            }
        }
        applied
    }

    /// Logs what is wrong with account files, one line for each, and returns it.
    fn log_broken(&self) -> Vec<String> {
        let running = self.running.0.load();
        let broken = running.files.iter().filter_map(|file| file.broken.as_ref());
        let broken: Vec<String> = broken.map(ToString::to_string).collect();
        for problems in &broken {
            let problems = problems.replace('\n', "; ");
            error!("an account file is broken, its accounts stay as they were: {problems}");
        }
        broken
    }
}

fn fingerprint(read: &Read) -> ConfigFingerprint {
    read.as_ref().map(|config| config.hash).map_err(String::clone)
}
