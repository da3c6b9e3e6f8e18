//! `doctor`: what is wrong with the accounts, as text or as JSON.

use wazzup_exporter::app::{self, DiagnoseError};
use wazzup_exporter::config::Config;
use wazzup_exporter::doctor::Diagnosis;
use wazzup_exporter::storage::Storage;

use super::error::CommandError;
use super::flags::DoctorFlags;
use super::output::print_line;

pub(super) async fn run(
    config: Config,
    storage: Option<Storage>,
    flags: &DoctorFlags,
) -> Result<(), CommandError> {
    let (account, user) = (flags.account.as_deref(), flags.user.as_deref());
    let diagnoses = app::diagnose(config, storage, account, user).await;
    let diagnoses = diagnoses.map_err(|error| match error {
        DiagnoseError::Client(error) => CommandError::runtime(error),
        error => CommandError::usage(error),
    })?;
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
