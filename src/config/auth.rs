//! Where an account's token comes from: the mapping `auth`.
//!
//! What a main file may name, an account file may not: who may add an account also chooses the
//! address that its token is sent to, and must not be able to send any file or variable of the host
//! there.

use std::ffi::OsString;
use std::path::Path;

use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::account::Auth;
use crate::problems::place::At;
use crate::problems::read::tellable_variable;
use crate::problems::report::Scope;

use super::file_scope::FileScope;
use super::key::{Key, Nested, items, missing};
use super::partners::Partners;
use super::token::{FileWarning, check_token_file, token_fault};
use super::value::{Line, PathText, Secret};

/// The sources of a token, in words.
const SOURCES: &str = "token, token_env, token_file, token_command, partner and oauth";

/// Longest word of a command, name of a variable or of a partner, in characters.
const WORD_MAX: usize = 2048;
/// Most words of a command.
const WORDS_MAX: usize = 64;

/// Where the token comes from: exactly one of these.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthKeys {
    /// The token itself. Then no other user may write this file; a warning suggests the other sources.
    token: Key<Secret>,
    /// A variable in the environment of the exporter, read at start; main file only.
    token_env: Key<Line<WORD_MAX>>,
    /// A file with nothing but the token, closed to other users; read again before every sweep.
    token_file: Key<PathText>,
    /// A program and its arguments, run without a shell, that prints
    /// `{"access_token": "…", "expires_in": 3600}`; 1 to 64 words, main file only, and only with
    /// `--config.allow-token-command`.
    token_command: Nested<Vec<Key<Line<WORD_MAX>>>>,
    /// White label: the name of a login under `partners`, exchanged for tokens of this account. Needs
    /// `account_id`.
    partner: Key<Line<WORD_MAX>>,
    /// Wazzup label: the customer's login.
    oauth: Nested<OAuthKeys>,
}

/// The login of a customer of the Wazzup label.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct OAuthKeys {
    /// The name of a login under `partners`, whose application the customer has let in; it needs
    /// `client_id` and `redirect_uri`.
    partner: Key<Line<WORD_MAX>>,
    /// Where the refresh token of the last login is, one file for each account; later ones are kept in
    /// `--storage.path`.
    refresh_token_file: Key<PathText>,
}

impl Nested<AuthKeys> {
    /// The one source that is given for the account at `account`.
    pub(super) fn check(
        &self,
        account: At,
        partners: &Partners,
        scope: &mut FileScope<'_>,
    ) -> Option<Auth> {
        if !self.is_given() {
            let remedy = "say where its token comes from: token_file, token_env, partner …";
            missing("auth", account, remedy, scope);
            return None;
        }
        let (keys, scope) = (&self.keys, &mut scope.within("auth"));
        if keys.token.is_given() {
            if !scope.file.literal.get() && keys.token.good().is_some() {
                let what = "holds a token itself; token_file or token_env keeps it out";
                scope.warn(keys.token.at, "token", what);
            }
            scope.file.literal.set(true);
        }
        let (source, at) = keys.only_source(self.at, scope)?;
        match source {
            "token" => keys.literal(at, scope),
            "token_env" => keys.variable(at, scope),
            "token_file" => {
                let named = (&keys.token_file, source);
                let file = scope.secret_file(named, at, "", check_token_file);
                file.map(Auth::TokenFile)
            }
            "token_command" => keys.command(at, scope),
            "partner" => partners.find(&keys.partner, at, scope).map(Auth::Partner),
            _ => keys.oauth.check(partners, &mut scope.within("oauth")),
        }
    }
}

impl AuthKeys {
    /// The only source that is given, and where it stands.
    fn only_source(&self, auth: At, scope: &mut Scope<'_>) -> Option<(&'static str, At)> {
        let sources = [
            ("token", self.token.at),
            ("token_env", self.token_env.at),
            ("token_file", self.token_file.at),
            ("token_command", self.token_command.at),
            ("partner", self.partner.at),
            ("oauth", self.oauth.at),
        ];
        let mut given = sources.into_iter().filter(|(_, at)| at.is_some());
        match (given.next(), given.next()) {
            (Some(only), None) => Some(only),
            (None, _) => {
                let what = format!("names no token; give exactly one of {SOURCES}");
                scope.refuse(auth, "", what)
            }
            (Some(_), Some((second, at))) => {
                let what = format!("is one token too many; keep exactly one of {SOURCES}");
                scope.refuse(at, second, what)
            }
        }
    }

    fn literal(&self, at: At, scope: &mut Scope<'_>) -> Option<Auth> {
        let token = self.token.get("token", scope)?;
        if let Some(fault) = token_fault(token.expose_secret()) {
            return scope.refuse(at, "token", fault);
        }
        Some(Auth::Token(token))
    }

    fn variable(&self, at: At, scope: &mut FileScope<'_>) -> Option<Auth> {
        if scope.is_account_file() {
            let what = "works only in the main file; use token_file below secrets_dir, or token";
            return scope.refuse(at, "token_env", what);
        }
        let variable = self.token_env.get("token_env", scope)?;
        // A token pasted here by mistake must not be printed as if it were a name.
        let shown = tellable_variable(&variable).unwrap_or("of that name");
        let fault = match (scope.file.environment)(&variable).map(OsString::into_string) {
            None => "is not set; set it to the token",
            Some(Err(_)) => "is not UTF-8",
            Some(Ok(token)) => match token_fault(&token) {
                None => return Some(Auth::TokenEnv { variable, token: token.into() }),
                Some(fault) => fault,
            },
        };
        scope.refuse(at, "token_env", format_args!("the environment variable {shown} {fault}"))
    }

    fn command(&self, at: At, scope: &mut FileScope<'_>) -> Option<Auth> {
        let refusal = if scope.is_account_file() {
            Some("works only in the main file, because it runs a program")
        } else if scope.file.permissions.token_command {
            None
        } else {
            Some("runs a program, which has to be allowed: start with --config.allow-token-command")
        };
        if let Some(what) = refusal {
            return scope.refuse(at, "token_command", what);
        }
        let words = &self.token_command.keys;
        // Arguments may hold secrets.
        if words.len() > 1 {
            scope.file.literal.set(true);
        }
        let words = items(words, "token_command", scope)?;
        if words.is_empty() || words.len() > WORDS_MAX {
            let what = format!(
                "must have 1 to {WORDS_MAX} words; write a list, [\"get-token\", \"acme\"]: \
                 the program and its arguments, without a shell"
            );
            return scope.refuse(at, "token_command", what);
        }
        Some(Auth::TokenCommand(words.into()))
    }
}

impl Nested<OAuthKeys> {
    fn check(&self, partners: &Partners, scope: &mut FileScope<'_>) -> Option<Auth> {
        let Self { keys, at } = self;
        let partner = partners.find(&keys.partner, *at, scope).and_then(|partner| {
            if partner.client_id.is_none() || partner.redirect_uri.is_none() {
                let what = "has no client_id or no redirect_uri, which a customer's login needs";
                return scope.refuse(keys.partner.at, "partner", what);
            }
            Some(partner)
        });
        let named = (&keys.refresh_token_file, "refresh_token_file");
        let remedy = "name the file in which `wazzup-exporter login` puts the token";
        let file = scope.secret_file(named, *at, remedy, check_refresh_file);
        Some(Auth::OAuth { partner: partner?, refresh_token_file: file? })
    }
}

/// The file need not be there before the first login.
fn check_refresh_file(path: &Path) -> Result<FileWarning, String> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some("does not exist yet; `wazzup-exporter login` makes it".to_owned()))
        }
        _ => check_token_file(path),
    }
}
