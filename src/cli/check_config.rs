//! `check-config`: everything that is wrong with the configuration and the web configuration.

use wazzup_exporter::app::CommandError;
use wazzup_exporter::config::{self, Config, ConfigError, Running};
use wazzup_exporter::shard::{Shard, by_shard, cross_shard, split_folders};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::web_config::{self, WebConfig};

use super::command::DaemonFlags;
use super::output::print_line;
use super::startup;

pub(super) fn run(flags: &DaemonFlags) -> Result<(), CommandError> {
    let named = flags.shard.named().map_err(CommandError::Usage)?;
    // Without an ordinal the check is the same for all of them.
    let shard = named.clone().map_or_else(|| Shard::new(0, flags.shard.total()), Ok);
    let shard = shard.map_err(CommandError::usage)?.with_shared_storage(flags.storage.shared);
    let total = shard.total;
    let (config, web) = load(flags, shard)?;
    flags.web.route_prefix().map_err(CommandError::Usage)?;
    let storage = startup::storage(&flags.storage, &config);
    storage.as_ref().map_or(Ok(()), Storage::check).map_err(CommandError::usage)?;
    startup::check_admin(&flags.web, web.as_ref())?;
    let shares = shares(&config, named.as_ref(), total)?;
    let users: usize = config.accounts.iter().map(|account| account.users.len()).sum();
    let (file, accounts) = (flags.config.file.display(), config.accounts.len());
    let found = config.accounts.iter().any(|account| account.discovery.is_some());
    let more = if found { " and those on lists" } else { "" };
    let verdict = format!("{file}: fine; accounts: {accounts}, users: {users}{more}");
    print_line(std::io::stdout(), &verdict);
    if total > 1 {
        print_line(std::io::stdout(), &shares);
    }
    if let (Some(file), Some(web)) = (flags.web.config_file(), web) {
        let (file, tls, users) = (file.display(), web.tls.is_some(), web.users.len());
        let tls = if tls { "on" } else { "off" };
        print_line(std::io::stdout(), &format!("{file}: fine; TLS: {tls}, users: {users}"));
    }
    Ok(())
}

/// How many accounts each of `total` shards has, of which `shard` may be this one, after all that is to be said of what
/// they have in common.
fn shares(config: &Config, shard: Option<&Shard>, total: u32) -> Result<String, CommandError> {
    cross_shard(&config.accounts, total).iter().for_each(warn);
    let shards = by_shard(&config.accounts, total);
    let mut problems = split_folders(&config.accounts, total);
    for (ordinal, accounts) in &shards {
        for problem in config::over_budget(accounts) {
            problems.push(format!("shard {ordinal} of {total}: {problem}, or use fewer shards"));
        }
    }
    if !problems.is_empty() {
        return Err(CommandError::Usage(problems.join("\n")));
    }
    let counts = (0..total).map(|ordinal| shards.get(&ordinal).map_or(0, Vec::len));
    let [least, most] = [counts.clone().min(), counts.max()].map(Option::unwrap_or_default);
    let own = shard.map(|shard| format!("; this is {}", shard.describe(shard.ordinal)));
    let own = own.unwrap_or_default();
    Ok(format!("shards: {total}, accounts of each: {least} to {most}{own}"))
}

/// Both configurations, after all that is to be said about them.
fn load(flags: &DaemonFlags, shard: Shard) -> Result<(Config, Option<WebConfig>), CommandError> {
    let check = startup::account_check(shard);
    let nothing_runs = Running { config: None, check: &check };
    let permissions = flags.config.permissions();
    let loaded = config::reload(&flags.config.file, permissions, &nothing_runs);
    let loaded = loaded.and_then(|config| match config.broken() {
        None => Ok(config),
        Some(error) => Err(ConfigError { warnings: config.warnings, ..error }),
    });
    let web = flags.web.config_file().map(web_config::load).transpose();
    let warnings = loaded.as_ref().map_or_else(|error| &error.warnings, |good| &good.warnings);
    warnings.iter().for_each(warn);
    match &web {
        Ok(web) => web.iter().flat_map(|web| &web.warnings).for_each(warn),
        Err(error) => error.warnings.iter().for_each(warn),
    }
    match (loaded, web) {
        (Ok(config), Ok(web)) => Ok((config, web)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(CommandError::usage(error)),
        (Err(error), Err(web)) => Err(CommandError::Usage(format!("{error}\n{web}"))),
    }
}

fn warn(warning: impl std::fmt::Display) {
    print_line(std::io::stderr(), &format!("warning: {warning}"));
}
