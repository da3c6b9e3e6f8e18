//! Who may clear an account's counters, and when: the mapping `reset`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, Api, Auth, Reset};
use crate::problems::report::Noted;
use crate::problems::scope::Scope;

use super::key::{Key, Nested, Switched, missing};
use super::origin::Origin;
use super::token::check_reset_token_file;
use super::value::{Bounded, HOUR, MINUTE, PathText, Time};

/// Whether the counters of all chats of the account may be cleared, and within which bounds.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(transform = super::tests::generated::add_reset_condition))]
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
    #[serde(skip_serializing_if = "Key::is_missing")]
    token_file: Key<PathText>,
}

impl Default for ResetKeys {
    fn default() -> Self {
        Self {
            enabled: Key::of(false),
            cooldown: Key::of(Time(Duration::from_hours(1))),
            max_unanswered: Key::of(Bounded(1000)),
            token_file: Key::MISSING,
        }
    }
}

impl From<&Reset> for ResetKeys {
    fn from(reset: &Reset) -> Self {
        let Reset { cooldown, max_unanswered, token_file } = reset;
        Self {
            enabled: Key::of(true),
            cooldown: Key::of(Time(*cooldown)),
            max_unanswered: Key::of(Bounded(*max_unanswered as usize)),
            token_file: Key::of(token_file.as_path().into()),
        }
    }
}

impl Switched for ResetKeys {
    fn is_on(&self) -> bool {
        self.enabled.good() == Some(&true)
    }
}

impl Nested<ResetKeys> {
    /// Nothing if it is switched off.
    pub(super) fn check(
        &self,
        origin: &Origin<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Option<Reset>, Noted> {
        let enabled = self.keys.enabled.value("enabled", scope);
        let cooldown = self.keys.cooldown.value("cooldown", scope);
        let most = self.keys.max_unanswered.value("max_unanswered", scope);
        if !enabled? {
            return cooldown.and(most).map(|_| None);
        }
        let file = &self.keys.token_file;
        let token_file = origin.secret_file(file, "token_file", scope, check_reset_token_file)?;
        let remedy = "name a file that holds a token of 32 characters or more, \
                      as `openssl rand -hex 32` makes one";
        let token_file = token_file.ok_or_else(|| missing("token_file", self.at, remedy, scope))?;
        Ok(Some(Reset { cooldown: cooldown?.0, max_unanswered: most?.0 as u64, token_file }))
    }

    /// Whether an account can be cleared at all: the number has to be confirmed, and only v2 has a reset. Who
    /// writes an account file chooses the number and the reset token: with a partner's login he could clear
    /// every customer of the partner.
    pub(super) fn check_account(
        &self,
        (api, account_id, auth): (Api, Option<&AccountId>, &Auth),
        origin: &Origin<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), Noted> {
        let what = match (api, account_id, auth) {
            (Api::V3, ..) => "works only with api: v2, v3 has no reset; remove it",
            (Api::V2, None, _) => {
                "needs the account's number, which every reset has to confirm; \
                 write account_id: \"78231464\""
            }
            (Api::V2, Some(_), Auth::Partner(_)) if origin.is_account_file() => {
                "works in an account file only for an account with a credential of its own; \
                 move the account to the main file, or give it token_file"
            }
            (Api::V2, Some(_), _) => return Ok(()),
        };
        scope.problem(self.at, "", what);
        Err(Noted)
    }
}
