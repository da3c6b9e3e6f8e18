//! `check-config`: everything that is wrong with the configuration and the web configuration.

use wazzup_exporter::config::{self, Config, ConfigError, Running};
use wazzup_exporter::shard::{Shard, balance, cross_shard};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::web_config;

use super::command::DaemonFlags;
use super::error::CommandError;
use super::output::print_line;

/// Most shards whose accounts are counted one by one.
const LISTED_MAX: usize = 20;

pub(super) fn run(flags: &DaemonFlags) -> Result<(), CommandError> {
    let DaemonFlags { config: flags, web: flags_web, storage, shard: shards, .. } = flags;
    let shard = shards.named().map_err(CommandError::Usage)?;
    // Without an ordinal the check is the same for all of them.
    let checked = shard.clone().map_or_else(|| Shard::new(0, shards.total()), Ok);
    let checked = checked.map_err(CommandError::usage)?.with_shared_storage(storage.shared);
    let check = super::startup::account_check(checked.clone());
    let nothing_runs = Running { files: &[], check: &check };
    let loaded = config::reload(&flags.file, flags.permissions(), &nothing_runs);
    let loaded = loaded.and_then(|config| match config.broken() {
        None => Ok(config),
        Some(error) => Err(ConfigError { warnings: config.warnings, ..error }),
    });
    let prefix = flags_web.route_prefix();
    let web_file = flags_web.config_file();
    let web = web_file.map(web_config::load).transpose();
    let warnings = match &loaded {
        Ok(config) => &config.warnings,
        Err(error) => &error.warnings,
    };
    let web_warnings = match &web {
        Ok(web) => web.as_ref().map(|web| web.warnings.as_slice()).unwrap_or_default(),
        Err(error) => &error.warnings,
    };
    for warning in warnings.iter().chain(web_warnings) {
        print_line(std::io::stderr(), &format!("warning: {warning}"));
    }
    let (config, web) = match (loaded, web) {
        (Err(error), Err(web)) => return Err(CommandError::Usage(format!("{error}\n{web}"))),
        (loaded, web) => (loaded.map_err(CommandError::usage)?, web.map_err(CommandError::usage)?),
    };
    prefix.map_err(CommandError::Usage)?;
    let storage = super::startup::storage(storage, &config);
    if let Some(warning) = super::startup::rename_warning(storage.as_ref(), &config) {
        print_line(std::io::stderr(), &format!("warning: {warning}"));
    }
    storage.as_ref().map_or(Ok(()), Storage::check).map_err(CommandError::usage)?;
    super::startup::check_admin(flags_web, web.as_ref())?;
    check_shards(&config, checked.total())?;
    let users: usize = config.accounts.iter().map(|account| account.users.len()).sum();
    let accounts = config.accounts.len();
    let file = flags.file.display();
    print_line(std::io::stdout(), &format!("{file}: fine; accounts: {accounts}, users: {users}"));
    if checked.total() > 1 {
        print_line(std::io::stdout(), &shares(&config, shard.as_ref(), checked.total()));
    }
    if let (Some(file), Some(web)) = (web_file, web) {
        let (file, tls, users) = (file.display(), web.tls.is_some(), web.users.len());
        let tls = if tls { "on" } else { "off" };
        print_line(std::io::stdout(), &format!("{file}: fine; TLS: {tls}, users: {users}"));
    }
    Ok(())
}

/// Prints what sharding does to what accounts have in common, and refuses what cannot hold.
fn check_shards(config: &Config, shards: u32) -> Result<(), CommandError> {
    let found = cross_shard(&config.accounts, shards);
    for warning in &found.warnings {
        print_line(std::io::stderr(), &format!("warning: {warning}"));
    }
    match found.problems.as_slice() {
        [] => Ok(()),
        problems => Err(CommandError::Usage(problems.join("\n"))),
    }
}

/// How the accounts are spread, and which of them are this process's.
fn shares(config: &Config, shard: Option<&Shard>, total: u32) -> String {
    let counts = balance(&config.accounts, total);
    let listed = if counts.len() <= LISTED_MAX {
        counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
    } else {
        let [least, most] = [counts.iter().min(), counts.iter().max()];
        format!("{} to {}", least.unwrap_or(&0), most.unwrap_or(&0))
    };
    let own = shard.map(|shard| format!("; this is {}", shard.describe(shard.ordinal())));
    format!("shards: {total}, accounts of each: {listed}{}", own.unwrap_or_default())
}
