//! `doctor`: what is wrong with the accounts, as text or as JSON.

use tracing::info;
use wazzup_exporter::account::AccountName;
use wazzup_exporter::app::{self, CommandError};
use wazzup_exporter::config::Config;
use wazzup_exporter::doctor::Diagnosis;
use wazzup_exporter::shard::Shard;
use wazzup_exporter::storage::Storage;

use super::command::DoctorFlags;
use super::output::print_line;

pub(super) async fn run(
    config: Config,
    shard: &Shard,
    storage: Option<Storage>,
    flags: &DoctorFlags,
) -> Result<(), CommandError> {
    let (account, user) = (flags.account.as_deref(), flags.user.as_deref());
    if let Some(account) = account.and_then(|name| AccountName::parse(name).ok())
        && let Some(owner) = shard.other_owner(&account)
    {
        info!(%account, "the account belongs to {}; it is examined from here", shard.describe(owner));
    }
    let diagnoses = app::diagnose(config, shard, storage, account, user).await?;
    let text = if flags.json {
        let well = diagnoses.iter().all(Diagnosis::is_healthy);
        let json = serde_json::json!({"ok": well, "accounts": diagnoses});
        serde_json::to_string_pretty(&json).map_err(CommandError::runtime)?
    } else {
        let texts: Vec<String> = diagnoses.iter().map(ToString::to_string).collect();
        texts.join("\n").trim_end().to_owned()
    };
    print_line(std::io::stdout(), &text);
    let ill = diagnoses.iter().filter(|diagnosis| !diagnosis.is_healthy());
    match ill.count() {
        0 => Ok(()),
        1 => Err(CommandError::Runtime("one account has problems".to_owned())),
        count => Err(CommandError::Runtime(format!("{count} accounts have problems"))),
    }
}
