//! Flags and subcommands, spelt as Prometheus' own components spell theirs.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;
use url::Url;
use wazzup_exporter::app::{InvalidPrefix, ListenAddress, Prefix};
use wazzup_exporter::config::Permissions;
use wazzup_exporter::reload::ConfigSource;
use wazzup_exporter::simulator::{Fault, Latency};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::text;

pub(crate) use super::shard_flags::ShardFlags;

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

    /// How the command logs.
    pub(crate) fn log(&self) -> &LogFlags {
        match &self.command {
            None => &self.daemon.log,
            Some(Command::Demo(flags)) => &flags.log,
            Some(Command::CheckConfig(flags)) => &flags.log,
            Some(Command::Poll(flags)) => &flags.log,
            Some(Command::Doctor(flags)) => &flags.poll.log,
            Some(Command::Login(flags)) => &flags.log,
            Some(Command::Reset(flags)) => &flags.log,
            Some(Command::Healthcheck(flags)) => &flags.log,
            Some(Command::Simulator(flags)) => &flags.log,
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigFlags {
    /// The configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "config.yaml",
        env = "WAZZUP_EXPORTER_CONFIG_FILE"
    )]
    pub(crate) file: PathBuf,
    /// Let the main configuration file name programs that are run for tokens.
    #[arg(long = "config.allow-token-command", env = "WAZZUP_EXPORTER_CONFIG_ALLOW_TOKEN_COMMAND")]
    pub(crate) allow_token_command: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ReloadFlags {
    /// How often to check whether the configuration has changed, and reload it then [default: never].
    #[arg(
        long = "config.auto-reload-interval",
        value_name = "DURATION",
        env = "WAZZUP_EXPORTER_CONFIG_AUTO_RELOAD_INTERVAL",
        value_parser = interval
    )]
    pub(crate) auto_reload_interval: Option<Duration>,
}

impl ConfigFlags {
    pub(crate) fn permissions(&self) -> Permissions {
        Permissions { token_command: self.allow_token_command }
    }

    /// What a reload reads.
    pub(crate) fn source(&self, reload: &ReloadFlags) -> ConfigSource {
        let (file, permissions) = (self.file.clone(), self.permissions());
        let check_interval = reload.auto_reload_interval.filter(|interval| !interval.is_zero());
        ConfigSource { file, permissions, check_interval }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Web server")]
pub(crate) struct WebFlags {
    /// Where to listen, host:port or :port; may be repeated [default: :10117, demo: 127.0.0.1:10117].
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        env = "WAZZUP_EXPORTER_WEB_LISTEN_ADDRESS",
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<ListenAddress>,
    /// Listen on the sockets that a .socket unit of systemd has opened, in place of
    /// --web.listen-address.
    #[arg(long = "web.systemd-socket", env = "WAZZUP_EXPORTER_WEB_SYSTEMD_SOCKET")]
    pub(crate) systemd_socket: bool,
    /// Where to serve only health and readiness, in plain HTTP, for probes that have no certificate.
    #[arg(
        long = "web.health-listen-address",
        value_name = "ADDRESS",
        env = "WAZZUP_EXPORTER_WEB_HEALTH_LISTEN_ADDRESS"
    )]
    pub(crate) health_listen: Option<ListenAddress>,
    /// Open the admin listener, on which accounts can be reset whose configuration allows it.
    #[arg(long = "web.enable-admin-api", env = "WAZZUP_EXPORTER_WEB_ENABLE_ADMIN_API")]
    pub(crate) enable_admin_api: bool,
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
    /// TLS, logins, headers and a rate limit, in the format of Prometheus' exporter-toolkit.
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        env = "WAZZUP_EXPORTER_WEB_CONFIG_FILE",
        // Empty is allowed, as charts and unit files leave it.
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    config_file: Option<PathBuf>,
    /// The URL under which a reverse proxy shows the exporter; its path, if it has one, is the
    /// default of --web.route-prefix.
    #[arg(
        long = "web.external-url",
        value_name = "URL",
        env = "WAZZUP_EXPORTER_WEB_EXTERNAL_URL",
        // A wrong one is refused later: clap would print it, with a password if it has one.
        value_parser = |text: &str| Ok::<_, std::convert::Infallible>(external_path(text))
    )]
    external_path: Option<Result<String, String>>,
    /// The path below which everything is [default: the path of --web.external-url].
    #[arg(
        long = "web.route-prefix",
        value_name = "PATH",
        env = "WAZZUP_EXPORTER_WEB_ROUTE_PREFIX",
        value_parser = route_prefix
    )]
    route_prefix: Option<RoutePrefix>,
    /// The path of the metrics, below the prefix.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        env = "WAZZUP_EXPORTER_WEB_TELEMETRY_PATH",
        value_parser = telemetry_path
    )]
    pub(crate) telemetry_path: String,
    /// Let a POST to /-/reload reload the configuration.
    #[arg(long = "web.enable-lifecycle", env = "WAZZUP_EXPORTER_WEB_ENABLE_LIFECYCLE")]
    pub(crate) enable_lifecycle: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Web server")]
pub(crate) struct AdminFlags {
    /// Where the admin listener is; elsewhere than on this machine it needs TLS.
    #[arg(
        long = "web.admin-listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:10118",
        env = "WAZZUP_EXPORTER_WEB_ADMIN_LISTEN_ADDRESS"
    )]
    admin_listen: ListenAddress,
}

impl AdminFlags {
    /// How the admin listener of a daemon with the same flags is reached.
    pub(crate) fn url(&self) -> Url {
        let usual = || "http://127.0.0.1:10118".parse().expect("the literal is an address");
        format!("http://{}", self.admin_listen).parse().unwrap_or_else(|_| usual())
    }
}

impl WebFlags {
    /// The path below which everything is.
    ///
    /// # Errors
    /// When the path of the external URL cannot be one.
    pub(crate) fn route_prefix(&self) -> Result<Prefix, String> {
        match (&self.route_prefix, &self.external_path) {
            (_, Some(Err(why))) => Err(format!("--web.external-url: {why}")),
            (Some(RoutePrefix::Given(prefix)), _) => Ok(prefix.clone()),
            (_, Some(Ok(path))) => path.parse().map_err(|why| {
                format!(
                    "--web.external-url: its path {path} cannot be the prefix of the exporter's own \
                     paths; give one with --web.route-prefix, / if the proxy removes it ({why})"
                )
            }),
            (_, None) => Ok(Prefix::default()),
        }
    }

    /// The web configuration, if there is to be one; an empty name stands for none.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// Where the admin listener is to be, if it is.
    pub(crate) fn admin_listen(&self) -> Option<ListenAddress> {
        self.enable_admin_api.then(|| self.admin.admin_listen.clone())
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFlags {
    #[command(flatten)]
    pub(crate) folder: StorageFolder,
    /// All shards have the same --storage.path, on storage whose locks hold across their hosts; accounts with refresh
    /// tokens or resets need it.
    #[arg(long = "storage.shared", env = "WAZZUP_EXPORTER_STORAGE_SHARED")]
    pub(crate) shared: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFolder {
    /// Where to keep what survives a restart of the daemon [default: data, if it exists or refresh
    /// tokens or the record of resets are to be kept].
    #[arg(long = "storage.path", value_name = "FOLDER", env = "WAZZUP_EXPORTER_STORAGE_PATH")]
    pub(crate) path: Option<PathBuf>,
}

impl StorageFolder {
    /// The folder of the flag, or the default one if it exists or is needed.
    pub(crate) fn storage(&self, needed: bool) -> Option<Storage> {
        let usual = || Some(PathBuf::from("data")).filter(|folder| needed || folder.is_dir());
        self.path.clone().or_else(usual).map(Storage::new)
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogFlags {
    /// Log only events of at least this level.
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        default_value = "info",
        env = "WAZZUP_EXPORTER_LOG_LEVEL"
    )]
    pub(crate) level: LogLevel,
    /// The format of log lines.
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        default_value = "logfmt",
        env = "WAZZUP_EXPORTER_LOG_FORMAT"
    )]
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
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
    /// Where the daemon's admin listener is [default: http:// and --web.admin-listen-address].
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
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
    #[command(flatten)]
    pub(crate) log: LogFlags,
}

impl LogLevel {
    pub(crate) fn tracing(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// The default listen address of the daemon: every interface, our registered port.
pub(crate) fn default_listen_address() -> ListenAddress {
    ":10117".parse().expect("the literal is an address")
}

fn telemetry_path(text: &str) -> Result<String, String> {
    const TAKEN: [&str; 9] = [
        "/",
        "/style.css",
        "/page.js",
        "/favicon.svg",
        "/api/v1/status",
        "/config",
        "/-/healthy",
        "/-/ready",
        "/-/reload",
    ];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let segments = text.strip_prefix('/').unwrap_or_default().split('/');
    let fits =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    if text != "/" && !segments.into_iter().all(fits) {
        return Err("write a path of letters, digits and -_.~, as /metrics".to_owned());
    }
    if TAKEN.contains(&text) {
        return Err("this path is already in use; choose another one".to_owned());
    }
    Ok(text.to_owned())
}

/// Zero stands for never, as Prometheus has it.
fn interval(text: &str) -> Result<Duration, String> {
    const BOUNDS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);
    let fits = |interval: &Duration| interval.is_zero() || BOUNDS.contains(interval);
    let interval = text::parse_duration(text).filter(fits);
    interval.ok_or_else(|| "write a duration from 100ms to 24h, as 30s, or 0s for never".to_owned())
}

/// What was given as a prefix; nothing, as charts and unit files may leave it, is as no flag at all.
#[derive(Debug, Clone)]
enum RoutePrefix {
    Usual,
    Given(Prefix),
}

fn route_prefix(text: &str) -> Result<RoutePrefix, String> {
    if text.is_empty() {
        return Ok(RoutePrefix::Usual);
    }
    text.parse().map(RoutePrefix::Given).map_err(|why: InvalidPrefix| why.to_string())
}

/// The path of an external URL, which may also be given alone.
fn external_path(text: &str) -> Result<String, String> {
    let remedy = "write http://, https:// or nothing before a path, as https://example.com/wazzup/";
    if text.is_empty() || (text.starts_with('/') && !text.starts_with("//")) {
        return Ok(text.to_owned());
    }
    let url = http_url(text).map_err(|_| remedy.to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL must not contain a user name or a password; remove them".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("no page has this address; remove what follows ? or #".to_owned());
    }
    Ok(url.path().to_owned())
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = text.parse().ok().filter(|url: &Url| ["http", "https"].contains(&url.scheme()));
    url.ok_or_else(|| "write an address that begins with http:// or https://".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor >= 0.0);
    factor.ok_or_else(|| "a number from 0 (stand still) upwards, as 60".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_flag_of_the_daemon_has_its_environment_variable() {
        let command = Cli::command();
        for argument in command.get_arguments() {
            let Some(flag) = argument.get_long() else { continue };
            if ["help", "version"].contains(&flag) {
                continue;
            }
            let variable =
                format!("WAZZUP_EXPORTER_{}", flag.to_uppercase().replace(['.', '-'], "_"));
            assert_eq!(
                argument.get_env().and_then(|name| name.to_str()),
                Some(&*variable),
                "{flag}"
            );
        }
    }
}
