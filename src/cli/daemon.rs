//! The daemon: no command at all.

use tokio::runtime::Handle;
use wazzup_exporter::app::{CommandError, Daemon, Options};
use wazzup_exporter::systemd::{Notifier, Sockets};

use super::command::DaemonFlags;
use super::startup::{check_admin, load_shard, storage, until_signalled, web_options};

/// Where the daemon listens by default: every interface, our registered port.
const LISTEN: &str = ":10117";

/// Runs the daemon until a signal stops it.
pub(super) async fn run(
    flags: &DaemonFlags,
    sockets: Option<Sockets>,
    polling: &Handle,
) -> Result<(), CommandError> {
    let (config, shard) = load_shard(&flags.config, &flags.shard, &flags.storage)?;
    let storage = storage(&flags.storage, &config);
    let web = &flags.web;
    let options = Options {
        shard,
        storage,
        source: Some(flags.config.source(&flags.reload)),
        notifier: Notifier::from_env(),
        admin_listen: web.admin_listen(),
        ..web_options(web, LISTEN, sockets)?
    };
    check_admin(web, options.web.as_ref())?;
    let daemon = Daemon::bind(&options, config).await.map_err(CommandError::runtime)?;
    let daemon = daemon.polling_in(polling.clone());
    until_signalled(|shutdown| daemon.run(shutdown)).await?.map_err(CommandError::runtime)
}
