//! The program wazzup-exporter: it reads flags, sets up logging and maps the result to an exit code.
//! Everything else is in [`cli`] and the library.
//!
//! Exit codes: 0 done or stopped as asked; 1 a failure at run time; 2 bad usage or bad
//! configuration, and then nothing was bound, started or written.

mod cli;

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use tokio::runtime::{Builder, Runtime};
use tracing::warn;
use wazzup_exporter::app::CommandError;
use wazzup_exporter::systemd::{self, Sockets};

use self::cli::command::Cli;
use self::cli::help;
use self::cli::logging::Log;
use self::cli::output::print_line;

/// How long blocking work (a rendering, a file read) may still run once everything else has ended.
const LAST_WORK: Duration = Duration::from_millis(200);
/// Threads for scrapes and probes, however many processors there are: what computes or blocks has threads of its own.
const SERVING_THREADS: usize = 2;
/// A reading passes through several tasks, which on two threads would wake the other one for nearly every step: over
/// TLS that took a quarter more CPU. A thread of its own, so that a task that keeps it for too long stops no probe.
const POLLING_THREADS: usize = 1;

fn main() -> ExitCode {
    // A core file would hold every secret. Where the kernel refuses, the limit of the service is left.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let cli = help::parse();
    raise_descriptor_limit();
    // Before there are threads, of which the log is one.
    let sockets = sockets(&cli);
    let log = match Log::set_up(&cli.log, cli.is_daemon()) {
        Ok(log) => log,
        Err(error) => {
            print_line(io::stderr(), &format!("wazzup-exporter: cannot start its log: {error}"));
            return ExitCode::from(1);
        }
    };
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(failure) => return report(Err(failure), &log),
    };
    warn_of_idle_sockets(&cli);
    let (serving, polling) = match (runtime(SERVING_THREADS), runtime(POLLING_THREADS)) {
        (Ok(serving), Ok(polling)) => (serving, polling),
        (Err(error), _) | (_, Err(error)) => {
            return report(Err(CommandError::runtime(error)), &log);
        }
    };
    let result = serving.block_on(cli::run(cli, sockets, polling.handle()));
    thread::scope(|scope| {
        scope.spawn(|| polling.shutdown_timeout(LAST_WORK));
        serving.shutdown_timeout(LAST_WORK);
    });
    report(result, &log)
}

fn runtime(threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

/// Raises the limit of open descriptors as far as the system allows: usual soft limits are meant for programs
/// that use `select`.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where that fails, the program works within the lower limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The listeners that systemd has opened, if they are to be used. Called before there are threads.
fn sockets(cli: &Cli) -> Result<Option<Sockets>, CommandError> {
    if cli.web().is_some_and(|web| web.systemd_socket) {
        return Sockets::take().map(Some).map_err(CommandError::usage);
    }
    Ok(None)
}

/// Warns of listeners that systemd has opened and that are not used.
fn warn_of_idle_sockets(cli: &Cli) {
    let passed = systemd::passed();
    if cli.web().is_some_and(|web| !web.systemd_socket) && passed > 0 {
        warn!(sockets = passed, "systemd has passed sockets, but --web.systemd-socket is not set");
    }
}

fn report(result: Result<(), CommandError>, log: &Log) -> ExitCode {
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(CommandError::Runtime(text)) => (1, format!("wazzup-exporter: {text}")),
        Err(CommandError::Usage(text)) => (2, text),
    };
    log.exit_reason(&text);
    ExitCode::from(code)
}
