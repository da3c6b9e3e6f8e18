//! Reading the configuration again while the exporter runs: on SIGHUP, on request, or when it changes.
//!
//! [`run`] is the one task that does it, so that two never overlap; [`Reloads`] asks it to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::clock::Stamp;
use crate::config::{self, AccountCheck, AccountFile, Config, Permissions, Running};
use crate::metrics::ProcessMetrics;
use crate::shutdown::Shutdown;
use crate::systemd::Notifier;

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

/// The configuration that was applied last.
pub struct AppliedConfig {
    /// The hash of its files.
    pub hash: u64,
    /// Its account files.
    pub files: Vec<AccountFile>,
    /// Whether another account could be polled.
    pub check: Arc<AccountCheck>,
}

/// What can trigger a reload.
pub struct Triggers {
    /// SIGHUP.
    pub hangups: Signal,
    /// Requests over HTTP.
    pub requests: ReloadRequests,
}

/// Identifies the content of the files, to detect changes: its hash, or what is wrong with it.
type ConfigFingerprint = Result<u64, String>;

/// Applies configurations.
struct Reloader<'a, A> {
    source: ConfigSource,
    /// The account files in use.
    files: Arc<Vec<AccountFile>>,
    check: Arc<AccountCheck>,
    /// A reading that has not come to its end in time.
    hung: Option<JoinHandle<Read>>,
    apply: A,
    process: &'a ProcessMetrics,
    notifier: &'a Notifier,
    /// The content that was applied or refused last.
    applied_fingerprint: ConfigFingerprint,
    /// A different content that was found once and has to be confirmed.
    found: Option<ConfigFingerprint>,
}

/// Reads the configuration on every trigger and passes it to `apply`, until `shutdown`. A configuration
/// that cannot be applied is logged and counted in `process`. `applied` is the configuration in use;
/// `notifier` reports the begin and the end of a reload.
pub async fn run<A, F>(
    source: ConfigSource,
    applied: AppliedConfig,
    triggers: Triggers,
    apply: A,
    process: &ProcessMetrics,
    notifier: &Notifier,
    shutdown: Shutdown,
) where
    A: Fn(Config) -> F,
    F: Future<Output = Result<(), String>>,
{
    let AppliedConfig { hash, files, check } = applied;
    let mut reloader = Reloader {
        source,
        files: Arc::new(files),
        check,
        hung: None,
        apply,
        process,
        notifier,
        applied_fingerprint: Ok(hash),
        found: None,
    };
    // A disk that hangs does not delay the shutdown.
    tokio::select! {
        () = reloader.follow(triggers) => {}
        () = shutdown.wait() => {}
    }
}

impl<A, F> Reloader<'_, A>
where
    A: Fn(Config) -> F,
    F: Future<Output = Result<(), String>>,
{
    async fn follow(&mut self, mut triggers: Triggers) {
        let checks = self.source.check_interval.is_some();
        loop {
            tokio::select! {
                Some(()) = triggers.hangups.recv() => {
                    info!("received SIGHUP, reloading the configuration");
                    // The result is logged.
                    let _ = self.reload().await;
                }
                Some(request) = triggers.requests.recv() => {
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
        let (files, check) = (Arc::clone(&self.files), Arc::clone(&self.check));
        spawn_blocking(move || {
            let running = Running { files: &files, check: &*check };
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
                let (hash, warnings) = (config.hash, config.warnings.clone());
                let files = Arc::new(config.files.clone());
                let applied = (self.apply)(config).await;
                if applied.is_ok() {
                    for warning in warnings {
                        warn!("{warning}");
                    }
                    self.files = files;
                    self.process.config_loaded(hash, Stamp::now().unix);
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
}

impl<A> Reloader<'_, A> {
    /// Logs what is wrong with account files, one line for each, and returns it.
    fn log_broken(&self) -> Vec<String> {
        let broken = self.files.iter().filter_map(|file| file.broken.as_ref());
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
