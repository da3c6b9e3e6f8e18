//! `reset`: asks a running daemon to clear an account's counters, or prints the recorded resets.

use std::io;
use std::path::Path;

use secrecy::SecretString;
use serde_json::json;
use wazzup_exporter::account::{Account, AccountId};
use wazzup_exporter::app::{self, CommandError};
use wazzup_exporter::config::{self, Config};
use wazzup_exporter::files::OpenFile;
use wazzup_exporter::storage::AccountFolder;

use super::command::ResetFlags;
use super::flags::{ConfigFlags, StorageFolder};
use super::output::print_line;

pub(super) async fn run(flags: ResetFlags) -> Result<(), CommandError> {
    let config = &flags.config;
    if flags.history {
        return history(flags.account.as_deref(), config, &flags.storage);
    }
    let (Some(account), Some(confirm)) = (flags.account, flags.confirm) else {
        return Err(CommandError::Usage("name the account and --confirm its number".to_owned()));
    };
    let token = match &flags.token_file {
        Some(path) => read_token(path)?,
        None => read_token(&configured_token(config, &account)?)?,
    };
    let url = flags.url.map_or_else(|| flags.admin.url(), Ok).map_err(CommandError::Usage)?;
    let client = app::reset_client(&url, flags.ca_file.as_deref(), flags.insecure)?;
    let order = json!({
        "confirm": confirm,
        "reason": flags.reason,
        "dry_run": flags.dry_run,
        "expected_unanswered": flags.expected_unanswered,
    });
    let answer = app::request_reset(&client, url, &account, &token, &order).await?;
    if answer.is_good() {
        print_line(io::stdout(), &answer.to_string());
        return Ok(());
    }
    Err(CommandError::runtime(answer))
}

/// The token file that the configuration names for an account.
fn configured_token(
    flags: &ConfigFlags,
    account: &str,
) -> Result<std::path::PathBuf, CommandError> {
    let config = config::load(&flags.file, flags.permissions()).map_err(|error| {
        CommandError::Usage(format!(
            "{error}\nWithout the configuration, name the token with --token-file."
        ))
    })?;
    let found = config.account(account).map_err(|_| {
        let file = flags.file.display();
        CommandError::Usage(format!("{file} configures no account {account}; check the name"))
    })?;
    let bounds = found.reset.clone().ok_or_else(|| {
        CommandError::Usage(format!(
            "the account {account} has no reset enabled; see docs/reset.md"
        ))
    })?;
    Ok(bounds.token_file)
}

fn read_token(path: &Path) -> Result<SecretString, CommandError> {
    let text = OpenFile::any(path).and_then(|file| file.read_secret("a token"));
    let text = text.map_err(|error| {
        let (path, error) = (path.display(), io::Error::from(error));
        CommandError::Usage(format!("the reset token cannot be read from {path}: {error}"))
    })?;
    Ok(text.trim().into())
}

fn history(
    account: Option<&str>,
    config: &ConfigFlags,
    storage: &StorageFolder,
) -> Result<(), CommandError> {
    let Some(storage) = storage.storage(false) else {
        let what =
            "nothing is on record here: there is no folder data; name it with --storage.path";
        return Err(CommandError::Runtime(what.to_owned()));
    };
    let config = config::load(&config.file, config.permissions());
    let accounts = match (account, config) {
        (None, Err(error)) => {
            let remedy = "Without the configuration, name an account, best by its account_id.";
            return Err(CommandError::Usage(format!("{error}\n{remedy}")));
        }
        (None, Ok(config)) => config.accounts.iter().map(|account| place_of(account)).collect(),
        (Some(account), config) => vec![named(account, config.ok().as_ref())],
    };
    let mut any = false;
    for (account, folder) in accounts {
        let mut print = |line: &str| print_line(io::stdout(), line);
        let printed = app::reset_history(&storage, &account, folder, &mut print);
        any |= printed.map_err(CommandError::runtime)?;
    }
    if !any {
        print_line(io::stdout(), "No reset is on record.");
    }
    Ok(())
}

/// An account's name and the folder of its record.
fn place_of(account: &Account) -> (String, AccountFolder) {
    let number = account.account_id.as_ref().map(AccountId::as_str);
    (account.name.to_string(), AccountFolder::new(account.name.as_str(), number))
}

/// The same for a name in the configuration, or a number where the configuration does not know it.
fn named(account: &str, config: Option<&Config>) -> (String, AccountFolder) {
    if let Some(Ok(known)) = config.map(|config| config.account(account)) {
        return place_of(known);
    }
    let number = AccountId::parse(account).ok();
    let folder = AccountFolder::new(account, number.as_ref().map(AccountId::as_str));
    (account.to_owned(), folder)
}
