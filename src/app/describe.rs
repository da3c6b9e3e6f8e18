//! Descriptions of the running daemon: its configuration, and its status in one line.

use std::sync::Arc;

use crate::account::Account;
use crate::clock::Stamp;
use crate::config::{self, AccountFile, GlobalSettings};
use crate::http::{BrokenFile, RunningConfig};
use crate::snapshot::Directory;
use crate::text;

/// The account files with whether they are good.
pub(super) fn files(files: &[AccountFile]) -> Vec<(String, bool)> {
    files.iter().map(|file| (text::path(&file.path), file.broken.is_none())).collect()
}

/// What `/config` shows, rendered on request, and what the status shows of broken account files.
pub(super) fn running(
    settings: GlobalSettings,
    accounts: Vec<Arc<Account>>,
    files: &[AccountFile],
) -> RunningConfig {
    let broken = files.iter().filter_map(|file| {
        let reason = file.broken.as_ref()?.to_string();
        let accounts = file.accounts.iter().map(|account| account.name.to_string()).collect();
        Some(BrokenFile { file: text::path(&file.path), reason, accounts })
    });
    RunningConfig::new(move || config::render(&settings, &accounts), broken.collect())
}

/// The line that `systemctl status` shows.
pub(super) fn status(directory: Arc<Directory>) -> impl Fn() -> String {
    move || {
        let (slots, now) = (directory.slots(), Stamp::now());
        let down = slots.iter().filter(|slot| !slot.view().up(now)).count();
        status_line(slots.len(), down)
    }
}

fn status_line(accounts: usize, down: usize) -> String {
    let plural = if accounts == 1 { "" } else { "s" };
    match down {
        0 => format!("polling {accounts} account{plural}"),
        _ => format!("polling {accounts} account{plural}, {down} down"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_counts_the_accounts_that_are_down() {
        assert_eq!(status_line(1, 0), "polling 1 account");
        assert_eq!(status_line(8, 0), "polling 8 accounts");
        assert_eq!(status_line(8, 3), "polling 8 accounts, 3 down");
    }
}
