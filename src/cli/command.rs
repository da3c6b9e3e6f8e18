//! The commands and what each of them takes, spelt as Prometheus' own components spell theirs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;
use wazzup_exporter::app::ListenAddress;
use wazzup_exporter::simulator::{Fault, Latency};

use super::flags::{
    AdminFlags, ConfigFlags, LogFlags, ReloadFlags, ShardFlags, StorageFlags, StorageFolder,
    WebFlags, http_url, speed,
};

/// Prometheus exporter for the counters of unanswered messages in Wazzup24.
///
/// Without a command it runs as a daemon: it polls the counter of each configured user and shows
/// them on /metrics.
#[derive(Debug, Parser)]
#[command(
    name = "wazzup-exporter",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) daemon: DaemonFlags,
    #[command(flatten)]
    pub(crate) log: LogFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Whether it runs until a signal stops it.
    pub(crate) fn is_daemon(&self) -> bool {
        matches!(self.command, None | Some(Command::Demo(_) | Command::Simulator(_)))
    }

    /// What the command listens on, if it is the daemon or the demo.
    pub(crate) fn web(&self) -> Option<&WebFlags> {
        match &self.command {
            None => Some(&self.daemon.web),
            Some(Command::Demo(flags)) => Some(&flags.web),
            Some(_) => None,
        }
    }
}

/// What the daemon reads, and `check-config` for it.
#[derive(Debug, Args)]
pub(crate) struct DaemonFlags {
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    #[command(flatten)]
    pub(crate) reload: ReloadFlags,
    #[command(flatten)]
    pub(crate) web: WebFlags,
    #[command(flatten)]
    pub(crate) storage: StorageFlags,
    #[command(flatten)]
    pub(crate) shard: ShardFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the daemon against a simulated Wazzup24, both in this process; needs no configuration.
    Demo(Box<DemoFlags>),
    /// Checks the configuration and lists every problem with its place and remedy.
    CheckConfig(Box<DaemonFlags>),
    /// Reads every user of every account once and prints the metrics.
    Poll(PollFlags),
    /// Asks the API why counters may be missing, frozen or meaningless, and what to do.
    Doctor(Box<DoctorFlags>),
    /// Lets the owner of an account authorise the partner (auth: oauth) and stores the refresh token.
    ///
    /// Prints an address to open in a browser and takes the one at which the browser ends. Run it as
    /// the user that the exporter runs as; a running exporter notices the new login by itself.
    Login(LoginFlags),
    /// Asks a running daemon to clear the counters of all chats of an account, which nothing undoes.
    ///
    /// The daemon has to run with --web.enable-admin-api, and the account has to allow it (reset: in
    /// the configuration). Try --dry-run first. With --history it prints the records instead.
    Reset(Box<ResetFlags>),
    /// Asks a running daemon whether it is healthy; for containers.
    Healthcheck(HealthcheckFlags),
    /// Runs only the simulated Wazzup24.
    Simulator(Box<SimulatorFlags>),
}

#[derive(Debug, Args)]
pub(crate) struct DemoFlags {
    /// Simulated seconds per second.
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// The same seed gives the same day.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) web: WebFlags,
}

/// What asks the API once reads.
#[derive(Debug, Args)]
pub(crate) struct PollFlags {
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    #[command(flatten)]
    pub(crate) storage: StorageFlags,
    #[command(flatten)]
    pub(crate) shard: ShardFlags,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorFlags {
    /// Examine this account only.
    pub(crate) account: Option<String>,
    /// Examine this user, too: the raw response, the role, the channels and the series.
    pub(crate) user: Option<String>,
    /// Print JSON for scripts.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) poll: PollFlags,
}

#[derive(Debug, Args)]
pub(crate) struct LoginFlags {
    /// The account's name in the configuration.
    pub(crate) account: String,
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
}

#[derive(Debug, Args)]
pub(crate) struct ResetFlags {
    /// The account's name in the configuration.
    #[arg(required_unless_present = "history")]
    pub(crate) account: Option<String>,
    /// The account's number at Wazzup24, its `account_id`, to be sure which account is meant.
    #[arg(long, value_name = "ACCOUNT_ID", required_unless_present = "history")]
    pub(crate) confirm: Option<String>,
    /// Do everything but the reset: check every guard, read every user, write it to the audit log.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// How many unanswered messages are known of; needed above `max_unanswered`.
    #[arg(long, value_name = "N")]
    pub(crate) expected_unanswered: Option<u64>,
    /// Where the daemon's admin listener is [default: http:// and --web.admin-listen-address, if that is on this machine].
    #[arg(long, value_name = "URL", env = "WAZZUP_EXPORTER_RESET_URL", value_parser = http_url)]
    pub(crate) url: Option<Url>,
    /// The file with the account's reset token [default: the one that the configuration names].
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The certificates of the authority that issued the daemon's, for an https:// address.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Take any certificate of an https:// address of this machine.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Print the recorded resets of an account, or of all accounts, without a request to the daemon.
    #[arg(long, conflicts_with_all = ["confirm", "dry_run", "reason", "expected_unanswered"])]
    pub(crate) history: bool,
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
    #[command(flatten)]
    pub(crate) storage: StorageFolder,
}

#[derive(Debug, Args)]
pub(crate) struct HealthcheckFlags {
    /// The address of the probe.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:10117/-/healthy",
        env = "WAZZUP_EXPORTER_HEALTHCHECK_URL",
        value_parser = http_url
    )]
    pub(crate) url: Url,
    /// Take any certificate of an https:// address: it is our own, for another name than the address.
    #[arg(long, env = "WAZZUP_EXPORTER_HEALTHCHECK_INSECURE")]
    pub(crate) insecure: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulatorFlags {
    /// Where to listen; every client that can reach it is served, so stay on loopback.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10119")]
    pub(crate) listen: ListenAddress,
    /// Simulate this many accounts of made-up users instead of the demo's.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) accounts: Option<usize>,
    /// Users per account, with --accounts.
    #[arg(long, value_name = "NUMBER", requires = "accounts", default_value_t = 10)]
    pub(crate) users: usize,
    /// Add two accounts under the Wazzup label, one of which has not authorised the partner yet.
    #[arg(long, conflicts_with = "accounts")]
    pub(crate) label: bool,
    /// Simulated seconds per second.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// The same seed gives the same day.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Time that each response takes, as 50ms or 10ms..300ms.
    #[arg(long, value_name = "RANGE")]
    pub(crate) latency: Option<Latency>,
    /// A fault to simulate, as `status=500,probability=0.1`; may be repeated.
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<Fault>,
    /// Accept commands at /_control/ from every client that can reach it.
    #[arg(long)]
    pub(crate) control: bool,
    /// Write a configuration of the exporter for what is simulated.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_config: Option<PathBuf>,
}
