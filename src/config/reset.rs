//! Who may clear an account's counters, and when: the mapping `reset`.

use std::time::Duration;

use serde::Deserialize;

use crate::account::{Api, Auth, Reset};

use super::file_scope::FileScope;
use super::key::{Key, Nested};
use super::token::check_reset_token_file;
use super::value::{Bounded, HOUR, MINUTE, PathText, Time};

/// Whether the counters of all chats of the account may be cleared, and within which bounds.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct ResetKeys {
    /// Whether a request with the token may clear the counters of **all chats of the account**, where the
    /// daemon runs with `--web.enable-admin-api`.
    enabled: Key<bool>,
    /// Time between two resets.
    cooldown: Key<Time<MINUTE, { 30 * 24 * HOUR }>>,
    /// Unanswered messages, red and grey, above which the caller has to name their number.
    max_unanswered: Key<Bounded<0, 1_000_000_000>>,
    /// File with nothing but the reset token, of 32 characters or more; read again when it changes.
    /// Required, if enabled.
    token_file: Key<PathText>,
}

impl Nested<ResetKeys> {
    /// Nothing if it is switched off.
    pub(super) fn check(&self, scope: &mut FileScope<'_>) -> Option<Reset> {
        let enabled = self.keys.enabled.or(false, "enabled", scope);
        let cooldown = self.keys.cooldown.or(Duration::from_hours(1), "cooldown", scope);
        let most = self.keys.max_unanswered.or(1000_usize, "max_unanswered", scope);
        if !enabled {
            return None;
        }
        let named = (&self.keys.token_file, "token_file");
        let remedy = "name a file that holds a token of 32 characters or more, \
                      as `openssl rand -hex 32` makes one";
        let token_file = scope.secret_file(named, self.at, remedy, check_reset_token_file)?;
        Some(Reset { cooldown, max_unanswered: most as u64, token_file })
    }
}

/// What keeps an account from being cleared: the number has to be confirmed, and only v2 has a reset. The
/// author of an account file chooses the number and the reset token, and with a partner's login could clear every
/// customer of the partner.
pub(super) fn reset_fault(
    api: Api,
    numbered: bool,
    auth: &Auth,
    in_file: bool,
) -> Option<&'static str> {
    match (api, numbered, auth) {
        (Api::V3, ..) => Some("works only with api: v2, v3 has no reset; remove it"),
        (Api::V2, false, _) => Some(
            "needs the account's number, which every reset has to confirm; \
             write account_id: \"78231464\"",
        ),
        (Api::V2, true, Auth::Partner(_)) if in_file => Some(
            "works in an account file only for an account with a credential of its own; \
             move the account to the main file, or give it token_file",
        ),
        (Api::V2, true, _) => None,
    }
}
