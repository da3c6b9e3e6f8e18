//! Groups of flags that several commands take, spelt as Prometheus' own components spell theirs.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use url::Url;
use wazzup_exporter::app::{
    InvalidListenAddress, InvalidPrefix, ListenAddress, Prefix, is_site_path,
};
use wazzup_exporter::config::Permissions;
use wazzup_exporter::reload::ConfigSource;
use wazzup_exporter::shard::Shard;
use wazzup_exporter::storage::Storage;
use wazzup_exporter::text;

#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigFlags {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE", default_value = "config.yaml")]
    pub(crate) file: PathBuf,
    /// Let the main configuration file name programs that are run for tokens.
    #[arg(long = "config.allow-token-command")]
    pub(crate) allow_token_command: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ReloadFlags {
    /// How often to check whether the configuration has changed, and reload it then [default: never].
    #[arg(long = "config.auto-reload-interval", value_name = "DURATION", value_parser = interval)]
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
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = listen_addresses)]
    listen: Vec<ListenAddresses>,
    /// Listen on the sockets that a .socket unit of systemd has opened, in place of
    /// --web.listen-address.
    #[arg(long = "web.systemd-socket")]
    pub(crate) systemd_socket: bool,
    /// Where to serve only health and readiness, in plain HTTP, for probes that have no certificate.
    #[arg(long = "web.health-listen-address", value_name = "ADDRESS")]
    pub(crate) health_listen: Option<ListenAddress>,
    /// Open the admin listener, on which accounts can be reset whose configuration allows it.
    #[arg(long = "web.enable-admin-api")]
    pub(crate) enable_admin_api: bool,
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
    /// TLS, logins, headers and a rate limit, in the format of Prometheus' exporter-toolkit.
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        // Empty is allowed, as charts and unit files leave it.
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    config_file: Option<PathBuf>,
    /// The URL under which a reverse proxy shows the exporter; its path, if it has one, is the
    /// default of --web.route-prefix.
    #[arg(
        long = "web.external-url",
        value_name = "URL",
        // A wrong one is refused later: clap would print it, with a password if it has one.
        value_parser = |text: &str| Ok::<_, std::convert::Infallible>(external_path(text))
    )]
    external_path: Option<Result<String, String>>,
    /// The path below which everything is [default: the path of --web.external-url].
    #[arg(long = "web.route-prefix", value_name = "PATH", value_parser = route_prefix)]
    route_prefix: Option<String>,
    /// The path of the metrics, below the prefix.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path
    )]
    pub(crate) telemetry_path: String,
    /// Let a POST to /-/reload reload the configuration.
    #[arg(long = "web.enable-lifecycle")]
    pub(crate) enable_lifecycle: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Web server")]
pub(crate) struct AdminFlags {
    /// Where the admin listener is; elsewhere than on this machine it needs TLS.
    #[arg(
        long = "web.admin-listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:10118"
    )]
    admin_listen: ListenAddress,
}

impl AdminFlags {
    /// How the admin listener of a daemon with the same flags is reached.
    ///
    /// # Errors
    /// When it is not on this machine alone: then it speaks TLS, with a name that its certificate has.
    pub(crate) fn url(&self) -> Result<Url, String> {
        let address = &self.admin_listen;
        let url = address.is_loopback().then(|| format!("http://{address}").parse().ok()).flatten();
        url.ok_or_else(|| {
            format!(
                "an admin listener at {address} speaks TLS; name it with --url, as \
                 https://exporter.example:10118"
            )
        })
    }
}

/// Addresses between commas. They are separated here, because clap would repeat a part of a value that is wrong,
/// without the `@` that shows a password.
#[derive(Debug, Clone)]
struct ListenAddresses(Vec<ListenAddress>);

impl WebFlags {
    /// Where to listen, if that is given.
    pub(crate) fn listen(&self) -> Vec<ListenAddress> {
        self.listen.iter().flat_map(|addresses| addresses.0.clone()).collect()
    }

    /// The path below which everything is.
    ///
    /// # Errors
    /// When the path of the external URL cannot be one.
    pub(crate) fn route_prefix(&self) -> Result<Prefix, String> {
        let path = match &self.external_path {
            Some(Err(why)) => return Err(format!("--web.external-url: {why}")),
            Some(Ok(path)) => path,
            None => "",
        };
        let given = self.route_prefix.as_deref().filter(|prefix| !prefix.is_empty());
        given.unwrap_or(path).parse().map_err(|why: InvalidPrefix| {
            format!(
                "--web.external-url: its path {path} cannot be the prefix of the exporter's own \
                 paths; give one with --web.route-prefix, / if the proxy removes it ({why})"
            )
        })
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
    #[arg(long = "storage.shared")]
    pub(crate) shared: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFolder {
    /// Where to keep what survives a restart of the daemon [default: data, if it exists or refresh
    /// tokens or the record of resets are to be kept].
    #[arg(long = "storage.path", value_name = "FOLDER")]
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
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        value_parser = PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
            .map(|level| level.parse::<LevelFilter>().expect("tracing has these levels"))
    )]
    pub(crate) level: LevelFilter,
    /// The format of log lines.
    #[arg(long = "log.format", global = true, value_name = "FORMAT", default_value = "logfmt")]
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
}

fn listen_addresses(text: &str) -> Result<ListenAddresses, InvalidListenAddress> {
    text.split(',').map(str::parse).collect::<Result<_, _>>().map(ListenAddresses)
}

fn telemetry_path(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let segments = text.strip_prefix('/').unwrap_or_default().split('/');
    let fits =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    if text != "/" && !segments.into_iter().all(fits) {
        return Err("write a path of letters, digits and -_.~, as /metrics".to_owned());
    }
    if is_site_path(text) {
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

/// Checks a prefix; nothing, as charts and unit files may leave it, is as no flag at all.
fn route_prefix(text: &str) -> Result<String, String> {
    let checked = text.parse().map(|_: Prefix| text.to_owned());
    checked.map_err(|why: InvalidPrefix| why.to_string())
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

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    let url = text.parse().ok().filter(|url: &Url| ["http", "https"].contains(&url.scheme()));
    url.ok_or_else(|| "write an address that begins with http:// or https://".to_owned())
}

pub(super) fn speed(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor >= 0.0);
    factor.ok_or_else(|| "a number from 0 (stand still) upwards, as 60".to_owned())
}

/// Most shards: with more, each has too few accounts to be even.
const SHARDS_MAX: i64 = 1000;

#[derive(Debug, Args)]
#[command(next_help_heading = "Sharding")]
pub(crate) struct ShardFlags {
    /// Which part of the accounts to poll, from 0; each process has another one.
    #[arg(long = "shard", value_name = "ORDINAL")]
    ordinal: Option<u32>,
    /// Into how many parts the accounts are split; the same for each process [default: 1].
    #[arg(
        long = "total-shards",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=SHARDS_MAX)
    )]
    total: Option<u32>,
    /// Poll the part whose number is at the end of the hostname, as pods of a stateful set have it:
    /// exporter-2.
    #[arg(long = "shard.from-hostname")]
    from_hostname: bool,
}

impl ShardFlags {
    /// How many shards there are.
    pub(crate) fn total(&self) -> u32 {
        self.total.unwrap_or(1)
    }

    /// Which shard this process is; all accounts without flags.
    ///
    /// # Errors
    /// When the flags do not say it, or contradict each other.
    pub(crate) fn shard(&self) -> Result<Shard, String> {
        self.named()?.ok_or_else(|| {
            "--total-shards: which of the shards this process is, is not said; give --shard, or \
             --shard.from-hostname"
                .to_owned()
        })
    }

    /// The same, or nothing where only the number of shards is given.
    ///
    /// # Errors
    /// When the flags contradict each other.
    pub(crate) fn named(&self) -> Result<Option<Shard>, String> {
        let shard = match (self.ordinal, self.from_hostname) {
            (Some(_), true) => {
                let both =
                    "--shard and --shard.from-hostname each say which shard this is; give one";
                return Err(both.to_owned());
            }
            (Some(ordinal), false) => Shard::new(ordinal, self.total()),
            (None, true) => {
                let hostname = rustix::system::uname();
                Shard::from_hostname(&hostname.nodename().to_string_lossy(), self.total())
            }
            (None, false) if self.total() == 1 => return Ok(Some(Shard::WHOLE)),
            (None, false) => return Ok(None),
        };
        let flag = if self.from_hostname { "--shard.from-hostname" } else { "--shard" };
        shard.map(Some).map_err(|error| format!("{flag}: {error}"))
    }
}
