//! The daemon: no command at all.

use tracing::warn;
use wazzup_exporter::app::{Daemon, Options};
use wazzup_exporter::systemd::{Notifier, Sockets};

use super::command::DaemonFlags;
use super::error::CommandError;
use super::flags;
use super::startup::{check_admin, load_shard, load_web, rename_warning, storage, until_signalled};

/// Runs the daemon until a signal stops it.
pub(super) async fn run(flags: &DaemonFlags, sockets: Option<Sockets>) -> Result<(), CommandError> {
    let (config, shard) = load_shard(&flags.config, &flags.shard, &flags.storage)?;
    let storage = storage(&flags.storage, &config);
    if let Some(warning) = rename_warning(storage.as_ref(), &config) {
        warn!("{warning}");
    }
    let web = &flags.web;
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
        source: Some(flags.config.source(&flags.reload)),
        lifecycle: web.enable_lifecycle,
        notifier: Notifier::from_env(),
        admin_listen: web.admin_listen(),
    };
    check_admin(web, options.web.as_ref())?;
    let daemon = Daemon::bind(&options, config).await.map_err(CommandError::runtime)?;
    until_signalled(|shutdown| daemon.run(shutdown)).await
}
