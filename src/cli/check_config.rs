//! `check-config`: everything that is wrong with the configuration and the web configuration.

use wazzup_exporter::config::{self, ConfigError};
use wazzup_exporter::storage::Storage;
use wazzup_exporter::web_config;

use super::error::CommandError;
use super::flags::{ConfigFlags, StorageFlags, WebFlags};
use super::output::print_line;

pub(super) fn run(
    flags: &ConfigFlags,
    flags_web: &WebFlags,
    storage: &StorageFlags,
) -> Result<(), CommandError> {
    let loaded = config::load(&flags.file, flags.permissions());
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
    let users: usize = config.accounts.iter().map(|account| account.users.len()).sum();
    let accounts = config.accounts.len();
    let file = flags.file.display();
    print_line(std::io::stdout(), &format!("{file}: fine; accounts: {accounts}, users: {users}"));
    if let (Some(file), Some(web)) = (web_file, web) {
        let (file, tls, users) = (file.display(), web.tls.is_some(), web.users.len());
        let tls = if tls { "on" } else { "off" };
        print_line(std::io::stdout(), &format!("{file}: fine; TLS: {tls}, users: {users}"));
    }
    Ok(())
}
