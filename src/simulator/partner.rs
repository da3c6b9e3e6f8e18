//! Technical partners, whose logins tokens come from.
//!
//! [`PartnerSpec`] is plain data, given in the settings; [`Partner`] is it at run time. What a
//! partner may get, and for which account, is decided in `oauth`.

use std::sync::Mutex;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::rate_limit::Window;

/// The login of a technical partner and the terms of the tokens it gets.
///
/// Lifetimes are kept exactly. Responses have them in whole seconds, rounded up, so a token with a
/// fraction of a second ends before its client expects it, like one that was revoked. A test in
/// which renewals are in time uses whole seconds.
#[derive(Debug, Clone)]
pub struct PartnerSpec {
    /// The name it has in the exporter's configuration.
    pub name: String,
    /// The login's user name.
    pub email: String,
    /// The login's password.
    pub password: SecretString,
    /// The number of its application, which customers authorise.
    pub client_id: String,
    /// Where a customer's browser may be sent with a code; compared character by character.
    pub redirect_uris: Vec<String>,
    /// The largest scope of a token, separated by commas.
    pub scope: String,
    /// How long an account's token lives.
    pub access_ttl: Duration,
    /// How long a machine token lives.
    pub machine_ttl: Duration,
    /// How long a refresh token lives.
    pub refresh_ttl: Duration,
    /// How its answers differ from those recorded.
    pub quirks: Vec<TokenQuirk>,
}

impl PartnerSpec {
    /// A partner with the recorded lifetimes: an hour, and seven days for refresh tokens.
    pub fn new(name: &str, email: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            email: email.to_owned(),
            password: password.into(),
            client_id: format!("app-{name}"),
            redirect_uris: vec!["https://partner.example/wazzup".to_owned()],
            scope: "transport,crm".to_owned(),
            access_ttl: Duration::from_hours(1),
            machine_ttl: Duration::from_hours(1),
            refresh_ttl: Duration::from_hours(7 * 24),
            quirks: Vec::new(),
        }
    }

    /// The same partner with one more quirk.
    #[must_use]
    pub fn quirk(mut self, quirk: TokenQuirk) -> Self {
        self.quirks.push(quirk);
        self
    }

    pub(super) fn has(&self, quirk: TokenQuirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether all of `asked` is within the partner's scope.
    pub(super) fn covers(&self, asked: &str) -> bool {
        asked.split(',').all(|one| self.scope.split(',').any(|own| own == one))
    }
}

/// A deviation of responses with tokens from those recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenQuirk {
    /// They come without the envelope of `data` and `meta`.
    Bare,
    /// A refresh brings no new refresh token, and the old one stays good.
    LastingRefreshTokens,
    /// The lifetime of a refresh token is in `refresh_expires_in`.
    RefreshExpiresIn,
    /// Tokens after a customer's login do not have their account in the claim `child_id`.
    NoChildId,
}

/// How the token endpoint takes a partner's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// It works with the right password.
    #[default]
    Good,
    /// 401, as for a wrong password.
    Refused,
    /// 500, whatever the password.
    Failing,
}

/// A partner at run time.
pub(super) struct Partner {
    pub(super) spec: PartnerSpec,
    pub(super) login: Mutex<Login>,
    pub(super) window: Mutex<Window>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_password() {
        let shown = format!("{:?}", PartnerSpec::new("main", "partner@example.com", "hush-hush"));
        assert!(!shown.contains("hush") && shown.contains("partner@example.com"), "{shown}");
    }

    #[test]
    fn a_scope_covers_its_parts() {
        let partner = PartnerSpec::new("main", "a", "b");
        for (asked, covered) in [
            ("transport,crm", true),
            ("crm", true),
            ("crm,transport", true),
            ("crm,billing", false),
            ("", false),
            ("transport, crm", false),
        ] {
            assert_eq!(partner.covers(asked), covered, "{asked}");
        }
    }
}
