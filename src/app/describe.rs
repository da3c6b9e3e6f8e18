//! Descriptions of the running daemon: its configuration, and its status in one line.

use std::sync::Arc;

use crate::account::Account;
use crate::clock::Stamp;
use crate::config::{self, GlobalSettings};
use crate::snapshot::Directory;

/// What `/config` shows; rendered on request.
pub(super) fn config(
    settings: GlobalSettings,
    accounts: Vec<Arc<Account>>,
) -> impl Fn() -> String + Send + Sync + 'static {
    move || config::render(&settings, &accounts)
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
