//! What several commands do first: load the configuration, open the storage, wait for signals.

use tracing::{error, warn};
use wazzup_exporter::account::Account;
use wazzup_exporter::app::{self, CommandError, Options};
use wazzup_exporter::config::{self, AccountCheck, Config, Running};
use wazzup_exporter::shard::Shard;
use wazzup_exporter::shutdown::{Shutdown, Signals};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::systemd::{Notifier, Sockets};
use wazzup_exporter::web_config::{self, WebConfig};

use super::command::PollFlags;
use super::flags::{ConfigFlags, ShardFlags, StorageFlags, WebFlags};

/// Runs `work` until a signal begins its shutdown and it ends; a second signal aborts it.
pub(super) async fn until_signalled<F: Future>(
    work: impl FnOnce(Shutdown) -> F,
) -> Result<F::Output, CommandError> {
    let shutdown = Shutdown::default();
    let signals = Signals::catch().map_err(CommandError::runtime)?;
    tokio::select! {
        ended = work(shutdown.clone()) => Ok(ended),
        () = signals.watch(shutdown) => Err(CommandError::runtime("aborted by a second signal")),
    }
}

pub(super) fn load(flags: &ConfigFlags) -> Result<Config, CommandError> {
    load_checked(flags, &|_| Ok(()))
}

/// The configuration as a whole, and which of its accounts belong to this process.
pub(super) fn load_shard(
    flags: &ConfigFlags,
    shard: &ShardFlags,
    storage: &StorageFlags,
) -> Result<(Config, Shard), CommandError> {
    let shard = shard.shard().map_err(CommandError::Usage)?.with_shared_storage(storage.shared);
    let config = load_checked(flags, &account_check(shard.clone()))?;
    for problem in config::over_budget(&shard.own(&config.accounts)) {
        warn!("{problem}");
    }
    Ok((config, shard))
}

/// What is read to ask the API once.
pub(super) fn load_poll(
    flags: &PollFlags,
) -> Result<(Config, Shard, Option<Storage>), CommandError> {
    let (config, shard) = load_shard(&flags.config, &flags.shard, &flags.storage)?;
    let storage = storage(&flags.storage, &config);
    Ok((config, shard, storage))
}

/// What stands against polling an account as a shard.
pub(super) fn account_check(shard: Shard) -> impl Fn(&Account) -> Result<(), String> + Send + Sync {
    move |account| shard.check(account).map_err(|error| error.to_string())
}

fn load_checked(flags: &ConfigFlags, check: &AccountCheck) -> Result<Config, CommandError> {
    let nothing_runs = Running { config: None, check };
    let config = config::reload(&flags.file, flags.permissions(), &nothing_runs);
    let config = config.map_err(CommandError::usage)?;
    for warning in &config.warnings {
        warn!("{warning}");
    }
    for problems in config.files.iter().filter_map(|file| file.broken.as_ref()) {
        let problems = problems.to_string().replace('\n', "; ");
        error!("an account file is broken, its accounts are missing: {problems}");
    }
    Ok(config)
}

/// Where to keep what must survive; refresh tokens must, and the record of resets.
pub(super) fn storage(flags: &StorageFlags, config: &Config) -> Option<Storage> {
    flags.folder.storage(config.accounts.iter().any(|account| account.needs_storage()))
}

/// Whether the admin listener may be opened where the flags say.
pub(super) fn check_admin(flags: &WebFlags, web: Option<&WebConfig>) -> Result<(), CommandError> {
    match flags.admin_listen() {
        Some(address) => app::check_admin(&address, web).map_err(CommandError::usage),
        None => Ok(()),
    }
}

/// What the daemon is started with as far as these flags say it; by default it listens at `usual`.
pub(super) fn web_options(
    web: &WebFlags,
    usual: &str,
    sockets: Option<Sockets>,
) -> Result<Options, CommandError> {
    let mut listen = web.listen();
    if listen.is_empty() {
        listen.push(usual.parse().expect("the literal is an address"));
    }
    Ok(Options {
        listen,
        sockets,
        route_prefix: web.route_prefix().map_err(CommandError::Usage)?,
        telemetry_path: web.telemetry_path.clone(),
        shard: Shard::WHOLE,
        storage: None,
        web: web.config_file().map(web_config::load).transpose().map_err(CommandError::usage)?,
        health_listen: web.health_listen.clone(),
        source: None,
        lifecycle: web.enable_lifecycle,
        notifier: Notifier::default(),
        admin_listen: None,
    })
}
