//! The command line of wazzup-exporter: it reads flags, sets up logging and turns what happened into
//! an exit code. Everything else is in the library.
//!
//! Exit codes: 0 done or stopped as asked; 1 a failure at run time; 2 bad usage or bad
//! configuration, and then nothing was bound, started or written.

mod check;
mod cli;
mod demo;
mod doctor;
#[cfg(test)]
mod generated;
mod logging;
mod login;
mod reset;
mod simulate;
mod usage;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tracing::warn;
use wazzup_exporter::account::Account;
use wazzup_exporter::app::{self, Daemon, Options};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::reload::Source;
use wazzup_exporter::shutdown::{Shutdown, Signals};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::systemd::{self, Notifier, Sockets};
use wazzup_exporter::web_config::{self, WebConfig};

use self::cli::{Cli, Command, ConfigFlags, StorageFlags, WebFlags};
use self::logging::Log;

/// How long blocking work (a rendering, a file read) may still run once everything else has ended.
const LAST_WORK: Duration = Duration::from_millis(200);

/// Why the program ends without having done what it was asked.
enum Failure {
    /// Bad usage or bad configuration; nothing was started.
    Usage(String),
    /// Anything that went wrong at run time.
    Runtime(String),
}

impl Failure {
    fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }

    fn runtime(error: impl Display) -> Self {
        Self::Runtime(error.to_string())
    }
}

fn main() -> ExitCode {
    let cli = usage::parse();
    // Before there are threads, of which the log is one.
    let sockets = sockets(&cli);
    let log = match Log::set_up(&cli.log, cli.is_daemon()) {
        Ok(log) => log,
        Err(error) => {
            say(std::io::stderr(), &format!("wazzup-exporter: cannot start its log: {error}"));
            return ExitCode::from(1);
        }
    };
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(failure) => return report(Err(failure), &log),
    };
    warn_of_idle_sockets(&cli);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(Err(Failure::runtime(error)), &log),
    };
    let result = runtime.block_on(run(cli, sockets));
    runtime.shutdown_timeout(LAST_WORK);
    report(result, &log)
}

/// The listeners that systemd has opened, if they are to be used. Called before there are threads.
fn sockets(cli: &Cli) -> Result<Option<Sockets>, Failure> {
    if listens(cli) && cli.web.systemd_socket {
        return Sockets::take().map(Some).map_err(Failure::usage);
    }
    Ok(None)
}

/// Warns of listeners that systemd has opened and nobody uses.
fn warn_of_idle_sockets(cli: &Cli) {
    let passed = systemd::passed();
    if listens(cli) && !cli.web.systemd_socket && passed > 0 {
        warn!(sockets = passed, "systemd has passed sockets, but --web.systemd-socket is not set");
    }
}

fn listens(cli: &Cli) -> bool {
    matches!(cli.command, None | Some(Command::Demo(_)))
}

async fn run(cli: Cli, sockets: Option<Sockets>) -> Result<(), Failure> {
    match cli.command {
        None => {
            let config = load(&cli.config)?;
            let storage = storage(&cli.storage, &config);
            serve(config, cli.config.source(), &cli.web, storage, sockets).await
        }
        Some(Command::Demo(flags)) => demo::run(&flags, &cli.web, sockets).await,
        Some(Command::CheckConfig) => check::run(&cli.config, &cli.web, &cli.storage),
        Some(Command::Poll) => {
            let config = load(&cli.config)?;
            let storage = storage(&cli.storage, &config);
            poll(config, storage).await
        }
        Some(Command::Doctor(flags)) => {
            let config = load(&cli.config)?;
            let storage = storage(&cli.storage, &config);
            doctor::run(config, storage, &flags).await
        }
        Some(Command::Login(flags)) => login::run(&load(&cli.config)?, &flags).await,
        Some(Command::Reset(flags)) => {
            reset::run(*flags, &cli.config, &cli.web, &cli.storage).await
        }
        Some(Command::Healthcheck(flags)) => {
            app::healthcheck(flags.url, flags.insecure).await.map_err(Failure::runtime)
        }
        Some(Command::Simulator(flags)) => simulate::run(*flags).await,
    }
}

/// Runs the daemon until it is told to stop.
async fn serve(
    config: Config,
    source: Source,
    web: &WebFlags,
    storage: Option<Storage>,
    sockets: Option<Sockets>,
) -> Result<(), Failure> {
    let usual = || vec![cli::default_listen_address()];
    let listen = if web.listen.is_empty() { usual() } else { web.listen.clone() };
    let options = Options {
        listen,
        sockets,
        route_prefix: web.route_prefix().map_err(Failure::Usage)?,
        telemetry_path: web.telemetry_path.clone(),
        storage,
        web: load_web(web)?,
        health_listen: web.health_listen.clone(),
        source: Some(source),
        lifecycle: web.enable_lifecycle,
        notifier: Notifier::from_env(),
        admin_listen: web.admin_listen(),
    };
    check_admin(web, options.web.as_ref())?;
    let daemon = Daemon::bind(&options, config).await.map_err(Failure::runtime)?;
    until_signalled(|shutdown| daemon.run(shutdown)).await
}

/// Runs `work` until a signal begins its shutdown and it ends; a second signal aborts it.
async fn until_signalled<F: Future<Output = ()>>(
    work: impl FnOnce(Shutdown) -> F,
) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    let signals = Signals::catch().map_err(Failure::runtime)?;
    tokio::select! {
        () = work(shutdown.clone()) => Ok(()),
        () = signals.watch(shutdown) => Err(Failure::runtime("aborted by a second signal")),
    }
}

fn load(flags: &ConfigFlags) -> Result<Config, Failure> {
    let config = config::load(&flags.file, flags.permissions()).map_err(Failure::usage)?;
    for warning in &config.warnings {
        warn!("{warning}");
    }
    Ok(config)
}

/// Where to keep what must survive; refresh tokens must, and the record of resets.
fn storage(flags: &StorageFlags, config: &Config) -> Option<Storage> {
    flags.storage(config.accounts.iter().any(Account::must_keep))
}

/// Whether the admin listener may be opened where the flags say.
fn check_admin(flags: &WebFlags, web: Option<&WebConfig>) -> Result<(), Failure> {
    match flags.admin_listen() {
        Some(address) => app::check_admin(&address, web).map_err(Failure::usage),
        None => Ok(()),
    }
}

/// The web configuration, if there is one. Its warnings are logged when it is taken into use.
fn load_web(web: &WebFlags) -> Result<Option<WebConfig>, Failure> {
    web.config_file().map(web_config::load).transpose().map_err(Failure::usage)
}

async fn poll(config: Config, storage: Option<Storage>) -> Result<(), Failure> {
    let report = app::poll_once(config, storage).await.map_err(Failure::runtime)?;
    match std::io::stdout().write_all(&report.exposition) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.map_err(|error| {
            Failure::Runtime(format!("cannot write the metrics to standard output: {error}"))
        })?,
    }
    if report.incomplete.is_empty() {
        return Ok(());
    }
    let names = report.incomplete.join(", ");
    Err(Failure::Runtime(format!("some users could not be read; accounts: {names}")))
}

fn report(result: Result<(), Failure>, log: &Log) -> ExitCode {
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Runtime(text)) => (1, format!("wazzup-exporter: {text}")),
        Err(Failure::Usage(text)) => (2, text),
    };
    log.last_words(&text);
    ExitCode::from(code)
}

/// Prints a line; nobody is left to be told when that fails.
fn say(mut stream: impl std::io::Write, line: &str) {
    let _ = writeln!(stream, "{line}");
}
