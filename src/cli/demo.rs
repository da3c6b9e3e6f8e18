//! `demo`: the daemon and a simulated Wazzup24 in one process, talking over real HTTP on loopback.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use wazzup_exporter::app::{CommandError, Daemon, ListenAddress, Options, Prefix};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::simulator::{Settings, Simulator};
use wazzup_exporter::systemd::Sockets;

use super::command::DemoFlags;
use super::flags::WebFlags;
use super::output::print_line;
use super::startup::{until_signalled, web_options};

/// Short enough to watch the counters move.
const INTERVAL: &str = "2s";
/// A day passes in minutes, so what the charts show must, too.
const SAMPLING_PERIOD: Duration = Duration::from_secs(1);
/// The demo listens on loopback unless a flag says otherwise.
const WEB: &str = "127.0.0.1:10117";
const API: &str = "127.0.0.1:10119";

pub(super) async fn run(flags: &DemoFlags, sockets: Option<Sockets>) -> Result<(), CommandError> {
    let web = &flags.web;
    let api = bind_api().await?;
    let api_url = format!("http://{}", api.local_addr().map_err(CommandError::runtime)?);
    let simulator = Simulator::new(Settings { speed: flags.speed, ..Settings::demo(flags.seed) });
    let secrets = private_folder().map_err(CommandError::runtime)?;
    let config = configure(&simulator, &api_url, secrets.path())?;
    let options = web_options(web, WEB, sockets)?;
    let prefix = options.route_prefix.clone();
    let daemon = bind_daemon(web, options, config).await?.sampling_every(SAMPLING_PERIOD);
    greet(&daemon, web, &prefix, &api_url);
    until_signalled(|shutdown| async move {
        let api = simulator.serve(api, shutdown.wait());
        tokio::join!(daemon.run(shutdown.clone()), api).0
    })
    .await?
    .map_err(CommandError::runtime)
}

/// The configuration itself stays in memory; the passwords that it names by file lie in `secrets`.
fn configure(simulator: &Simulator, api_url: &str, secrets: &Path) -> Result<Config, CommandError> {
    simulator.write_secrets(secrets).map_err(CommandError::runtime)?;
    let yaml = simulator.exporter_config(api_url, INTERVAL);
    config::parse(yaml.as_bytes(), &secrets.join("demo.yaml")).map_err(CommandError::usage)
}

/// A folder that only this user can read, removed on drop.
fn private_folder() -> std::io::Result<TempDir> {
    let prefix = format!("wazzup-exporter-demo-{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).permissions(Permissions::from_mode(0o700)).tempdir()
}

async fn bind_api() -> Result<TcpListener, CommandError> {
    let usual = address(API);
    match usual.bind().await {
        Ok(listener) => Ok(listener),
        Err(_) => usual.with_port(0).bind().await.map_err(CommandError::runtime),
    }
}

/// Binds the addresses of the flags; without flags the usual port or, if it is taken, any.
async fn bind_daemon(
    web: &WebFlags,
    usual: Options,
    config: Config,
) -> Result<Daemon, CommandError> {
    if !web.listen().is_empty() {
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
    use super::*;

    #[test]
    fn the_demo_is_configured_and_its_secrets_go_with_it() {
        let simulator = Simulator::new(Settings::demo(1));
        let secrets = private_folder().unwrap();
        let Ok(config) = configure(&simulator, "http://127.0.0.1:1", secrets.path()) else {
            panic!("the demo's configuration is not one");
        };
        assert_eq!(config.accounts.len(), 8);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(secrets.path()), 0o700);
        assert_eq!(mode(&secrets.path().join("sputnik.password")), 0o600);
        let path = secrets.path().to_owned();
        drop(secrets);
        assert!(!path.exists());
    }
}
