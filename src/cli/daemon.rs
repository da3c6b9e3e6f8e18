//! The daemon: no command at all.

use wazzup_exporter::app::{Daemon, Options};
use wazzup_exporter::config::Config;
use wazzup_exporter::reload::ConfigSource;
use wazzup_exporter::shard::Shard;
use wazzup_exporter::storage::Storage;
use wazzup_exporter::systemd::{Notifier, Sockets};

use super::error::CommandError;
use super::flags::{self, WebFlags};
use super::startup::{check_admin, load_web, until_signalled};

/// Runs the daemon until a signal stops it.
pub(super) async fn run(
    config: Config,
    shard: Shard,
    source: ConfigSource,
    web: &WebFlags,
    storage: Option<Storage>,
    sockets: Option<Sockets>,
) -> Result<(), CommandError> {
    let usual = || vec![flags::default_listen_address()];
    let listen = if web.listen.is_empty() { usual() } else { web.listen.clone() };
    let options = Options {
        listen,
        sockets,
        route_prefix: web.route_prefix().map_err(CommandError::Usage)?,
        telemetry_path: web.telemetry_path.clone(),
        shard,
        storage,
        web: load_web(web)?,
        health_listen: web.health_listen.clone(),
        source: Some(source),
        lifecycle: web.enable_lifecycle,
        notifier: Notifier::from_env(),
        admin_listen: web.admin_listen(),
    };
    check_admin(web, options.web.as_ref())?;
    let daemon = Daemon::bind(&options, config).await.map_err(CommandError::runtime)?;
    until_signalled(|shutdown| daemon.run(shutdown)).await
}
