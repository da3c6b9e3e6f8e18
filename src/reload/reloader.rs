//! Reading the configuration anew while the exporter runs: on SIGHUP, on request, or when it changes.
//!
//! [`run`] is the one task that does it, so that two never overlap. A configuration is taken into use
//! whole or not at all: it is read and checked away from what runs, and [`app`](crate::app), which
//! hands over how to apply it, prepares everything that can fail before it changes anything.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::request::{Request, Requests, Unloaded};
use crate::blocking;
use crate::clock::Stamp;
use crate::config::{self, Config, Permissions};
use crate::metrics::ProcessMetrics;
use crate::shutdown::{Hangups, Shutdown};
use crate::systemd::Notifier;

/// Time between finding a change and judging it, which it has to last unchanged: a file may be found
/// half written.
const SETTLING: Duration = Duration::from_secs(1);

/// What is read anew.
#[derive(Debug, Clone)]
pub struct Source {
    /// The main file, which names the others.
    pub file: PathBuf,
    /// What it may ask for.
    pub permissions: Permissions,
    /// How often to look whether the files have other content, if at all.
    pub look: Option<Duration>,
}

/// Where the wish to read it comes from.
#[derive(Debug)]
pub struct Triggers {
    /// SIGHUP.
    pub hangups: Hangups,
    /// Requests.
    pub requests: Requests,
}

/// What the files hold, as far as it takes to tell that they have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Print {
    Good(u64),
    Broken(String),
}

/// Why something is to be read.
#[derive(Debug)]
enum Wish {
    Signal,
    Request(Request),
    /// Another look at the files.
    Look,
}

/// Applies configurations.
#[derive(Debug)]
struct Reloader<'a, A> {
    source: Source,
    apply: A,
    process: &'a ProcessMetrics,
    notifier: &'a Notifier,
    /// What was judged last.
    judged: Print,
    /// What was found last, if it differs and has yet to last.
    found: Option<Print>,
}

/// Reads the configuration whenever it is wished for and gives it to `apply`, until `shutdown`. What
/// cannot be used is told in the log and to `process`. `hash` is that of the configuration in use;
/// `notifier` is told when a reload begins and when it is over.
pub async fn run<A, F>(
    source: Source,
    hash: u64,
    mut triggers: Triggers,
    apply: A,
    process: &ProcessMetrics,
    notifier: &Notifier,
    shutdown: Shutdown,
) where
    A: Fn(Config) -> F,
    F: Future<Output = Result<(), String>>,
{
    let judged = Print::Good(hash);
    let mut reloader = Reloader { source, apply, process, notifier, judged, found: None };
    let work = async {
        loop {
            let wish = tokio::select! {
                () = triggers.hangups.next() => Wish::Signal,
                request = triggers.requests.next() => Wish::Request(request),
                () = sleep(reloader.pause()), if reloader.source.look.is_some() => Wish::Look,
            };
            reloader.grant(wish).await;
        }
    };
    // A disk that hangs keeps nobody from leaving.
    tokio::select! {
        () = pin!(work) => {}
        () = shutdown.wait() => {}
    }
}

/// Answers wishes where there is no file to read, until `shutdown`.
pub async fn decline(mut triggers: Triggers, shutdown: Shutdown) {
    const WHY: &str = "this exporter was started without a configuration file to read anew";
    loop {
        tokio::select! {
            () = triggers.hangups.next() => info!("received SIGHUP; {WHY}"),
            request = triggers.requests.next() => request.answer(Err(Unloaded::Refused(WHY.to_owned()))),
            () = shutdown.wait() => return,
        }
    }
}

impl<A, F> Reloader<'_, A>
where
    A: Fn(Config) -> F,
    F: Future<Output = Result<(), String>>,
{
    /// How long until the next look at the files.
    fn pause(&self) -> Duration {
        let look = self.source.look.unwrap_or(Duration::MAX);
        if self.found.is_some() { look.min(SETTLING) } else { look }
    }

    async fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Signal => {
                info!("received SIGHUP, reading the configuration anew");
                let _reloading = self.notifier.reloading();
                let read = self.read().await;
                // Told in the log.
                let _ = self.judge(read).await;
            }
            Wish::Request(request) => {
                info!("asked to read the configuration anew");
                let reloading = self.notifier.reloading();
                let read = self.read().await;
                let judged = self.judge(read).await;
                drop(reloading);
                request.answer(judged.map_err(Unloaded::Refused));
            }
            Wish::Look => {
                let read = self.read().await;
                if self.is_new(&read) {
                    info!("the configuration has changed, reading it anew");
                    let _reloading = self.notifier.reloading();
                    let _ = self.judge(read).await;
                }
            }
        }
    }

    async fn read(&self) -> Result<Config, String> {
        let (file, permissions) = (self.source.file.clone(), self.source.permissions);
        let loaded = blocking::run(move || config::load(&file, permissions)).await;
        loaded.map_err(|error| error.to_string())
    }

    /// Whether the files hold something else than what was judged, twice in a row.
    fn is_new(&mut self, read: &Result<Config, String>) -> bool {
        let print = Print::of(read);
        if print == self.judged {
            self.found = None;
            return false;
        }
        let lasts = self.found.as_ref() == Some(&print);
        self.found = Some(print);
        lasts
    }

    /// Takes a configuration into use, or says why not.
    async fn judge(&mut self, read: Result<Config, String>) -> Result<(), String> {
        self.judged = Print::of(&read);
        self.found = None;
        let applied = match read {
            Ok(config) => {
                let (hash, warnings) = (config.hash, config.warnings.clone());
                let applied = (self.apply)(config).await;
                if applied.is_ok() {
                    for warning in warnings {
                        warn!("{warning}");
                    }
                    self.process.config_loaded(hash, Stamp::now().unix);
                }
                applied
            }
            Err(problems) => Err(problems),
        };
        match &applied {
            Ok(()) => debug!("the configuration was read anew"),
            Err(problems) => {
                self.process.config_refused();
                let problems = problems.replace('\n', "; ");
                error!("the configuration is broken, the earlier one stays in use: {problems}");
            }
        }
        applied
    }
}

impl Print {
    fn of(read: &Result<Config, String>) -> Self {
        match read {
            Ok(config) => Self::Good(config.hash),
            Err(problems) => Self::Broken(problems.clone()),
        }
    }
}
