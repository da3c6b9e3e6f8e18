//! `poll`: one sweep of every account, with the metrics on standard output.

use std::io::Write as _;

use wazzup_exporter::app::{self, CommandError};
use wazzup_exporter::config::Config;
use wazzup_exporter::shard::Shard;
use wazzup_exporter::storage::Storage;

pub(super) async fn run(
    config: Config,
    shard: &Shard,
    storage: Option<Storage>,
) -> Result<(), CommandError> {
    let broken = config.broken();
    let report = app::poll_once(config, shard, storage).await?;
    match std::io::stdout().write_all(&report.exposition) {
        // The reader closed the pipe early, which is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.map_err(|error| {
            CommandError::Runtime(format!("cannot write the metrics to standard output: {error}"))
        })?,
    }
    if !report.incomplete.is_empty() {
        let names = report.incomplete.join(", ");
        let what = format!("some users could not be read; accounts: {names}");
        return Err(CommandError::Runtime(what));
    }
    match broken {
        // It was logged.
        Some(_) => Err(CommandError::runtime("some account files are broken")),
        None => Ok(()),
    }
}
