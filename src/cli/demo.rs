//! `demo`: the daemon and a simulated Wazzup24 in one process, talking over real HTTP on loopback.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::warn;
use wazzup_exporter::app::{Daemon, ListenAddress, Options, Prefix};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::shard::Shard;
use wazzup_exporter::simulator::{Settings, Simulator};
use wazzup_exporter::systemd::{Notifier, Sockets};
use wazzup_exporter::web_config::WebConfig;

use super::command::DemoFlags;
use super::error::CommandError;
use super::flags::WebFlags;
use super::output::print_line;
use super::startup::until_signalled;

/// Short enough to watch the counters move.
const INTERVAL: &str = "2s";
/// A day passes in minutes, so what the charts show must, too.
const SAMPLING_PERIOD: Duration = Duration::from_secs(1);
/// The demo listens on loopback unless a flag says otherwise.
const WEB: &str = "127.0.0.1:10117";
const API: &str = "127.0.0.1:10119";

pub(super) async fn run(flags: &DemoFlags, sockets: Option<Sockets>) -> Result<(), CommandError> {
    let web = &flags.web;
    let prefix = web.route_prefix().map_err(CommandError::Usage)?;
    let api = bind_api().await?;
    let api_url = format!("http://{}", api.local_addr().map_err(CommandError::runtime)?);
    let simulator = Simulator::new(Settings { speed: flags.speed, ..Settings::demo(flags.seed) });
    let secrets = PrivateFolder::create().map_err(CommandError::runtime)?;
    let config = configure(&simulator, &api_url, &secrets)?;
    let guard = super::startup::load_web(web)?;
    let usual = options(web, &prefix, guard, sockets);
    let daemon = bind_daemon(web, usual, config).await?.sampling_every(SAMPLING_PERIOD);
    greet(&daemon, web, &prefix, &api_url);
    until_signalled(|shutdown| async move {
        let api = simulator.serve(api, shutdown.wait());
        tokio::join!(daemon.run(shutdown.clone()), api);
    })
    .await
}

/// The configuration itself stays in memory; the passwords that it names by file lie in `secrets`.
fn configure(
    simulator: &Simulator,
    api_url: &str,
    secrets: &PrivateFolder,
) -> Result<Config, CommandError> {
    simulator.write_secrets(&secrets.path).map_err(CommandError::runtime)?;
    let yaml = simulator.exporter_config(api_url, INTERVAL);
    config::parse(yaml.as_bytes(), &secrets.path.join("demo.yaml")).map_err(CommandError::usage)
}

/// A folder that only this user can read, removed on drop.
struct PrivateFolder {
    path: PathBuf,
}

impl PrivateFolder {
    fn create() -> std::io::Result<Self> {
        const ATTEMPTS: u32 = 100;
        let mut attempt = 1;
        loop {
            let name = format!("wazzup-exporter-demo-{}-{attempt}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                // Left behind by a demo that was killed, or created by another user.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            warn!(path = %self.path.display(), %error, "cannot remove the demo's temporary folder");
        }
    }
}

async fn bind_api() -> Result<TcpListener, CommandError> {
    let usual = address(API);
    match usual.bind().await {
        Ok(listener) => Ok(listener),
        Err(_) => usual.with_port(0).bind().await.map_err(CommandError::runtime),
    }
}

/// The options of the daemon; without flags it listens on the usual port.
fn options(
    web: &WebFlags,
    prefix: &Prefix,
    guard: Option<WebConfig>,
    sockets: Option<Sockets>,
) -> Options {
    Options {
        listen: if web.listen.is_empty() { vec![address(WEB)] } else { web.listen.clone() },
        sockets,
        route_prefix: prefix.clone(),
        telemetry_path: web.telemetry_path.clone(),
        shard: Shard::WHOLE,
        storage: None,
        web: guard,
        health_listen: web.health_listen.clone(),
        source: None,
        lifecycle: web.enable_lifecycle,
        notifier: Notifier::default(),
        admin_listen: None,
    }
}

/// Binds the addresses of the flags; without flags the usual port or, if it is taken, any.
async fn bind_daemon(
    web: &WebFlags,
    usual: Options,
    config: Config,
) -> Result<Daemon, CommandError> {
    if !web.listen.is_empty() {
        return Daemon::bind(&usual, config).await.map_err(CommandError::runtime);
    }
    let any = Options { listen: vec![address(WEB).with_port(0)], ..usual.clone() };
    match Daemon::bind(&usual, config.clone()).await {
        Ok(daemon) => Ok(daemon),
        Err(_) => Daemon::bind(&any, config).await.map_err(CommandError::runtime),
    }
}

fn greet(daemon: &Daemon, web: &WebFlags, prefix: &Prefix, api_url: &str) {
    let scheme = if daemon.encrypts() { "https" } else { "http" };
    let Some(address) = daemon.addresses().first().copied() else { return };
    let site = format!("{scheme}://{address}{prefix}");
    let metrics = format!("{site}{}", web.telemetry_path.trim_start_matches('/'));
    let text = format!(
        "The demo runs: eight companies in a simulated Wazzup24.\n\
         \n\
         Two have tokens that a partner gets and that expire every minute; half a minute from now\n\
         a new user joins one of them, bereke-market. One is read through the public API, v3.\n\
         avtoservis-plus has a token that is refused, gulder-flowers a WhatsApp channel that has lost\n\
         its phone, so that its counters do not change.\n\
         \n  page           {site}\n  metrics        {metrics}\n  simulated API  {api_url}/\n\
         \nWatch it:  curl -s {metrics} | grep ^wazzup_unanswered_messages\n\
         Stop it with Ctrl-C.\n"
    );
    print_line(std::io::stdout(), &text);
}

fn address(text: &str) -> ListenAddress {
    text.parse().expect("the literal is an address")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_demo_is_configured_and_its_secrets_go_with_it() {
        let simulator = Simulator::new(Settings::demo(1));
        let secrets = PrivateFolder::create().unwrap();
        let Ok(config) = configure(&simulator, "http://127.0.0.1:1", &secrets) else {
            panic!("the demo's configuration is not one");
        };
        assert_eq!(config.accounts.len(), 8);
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&secrets.path), 0o700);
        assert_eq!(mode(&secrets.path.join("sputnik.password")), 0o600);
        let another = PrivateFolder::create().unwrap();
        assert_ne!(another.path, secrets.path);
        let path = secrets.path.clone();
        drop(secrets);
        assert!(!path.exists());
    }
}
