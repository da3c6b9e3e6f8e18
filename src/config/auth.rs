//! Where an account's token comes from: the mapping `auth`.
//!
//! What a main file may name, an account file may not: who may add an account also chooses the
//! address that its token is sent to, and must not be able to send any file or variable of the host
//! there.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::account::{Auth, Partner};
use crate::problems::hint::tellable_variable;
use crate::problems::place::At;
use crate::problems::report::Noted;
use crate::problems::scope::Scope;

use super::key::{Key, Nested, check_items, missing};
use super::origin::Origin;
use super::partners::Partners;
use super::token::{FileWarning, check_token_file, token_fault};
use super::value::{Line, PathText, SECRET, Secret};

/// The sources of a token, in words.
const SOURCES: &str = "token, token_env, token_file, token_command, partner and oauth";

/// Longest word of a command, name of a variable or of a partner, in characters.
const WORD_MAX: usize = 2048;
/// Most words of a command.
const WORDS_MAX: usize = 64;

/// Where the token comes from: exactly one of these.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("minProperties" = 1, "maxProperties" = 1)))]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthKeys {
    /// The token itself. Then no other user may write this file; a warning suggests the other sources.
    #[serde(skip_serializing_if = "Key::is_missing")]
    token: Key<Secret>,
    /// A variable in the environment of the exporter, read at start; main file only.
    #[serde(skip_serializing_if = "Key::is_missing")]
    token_env: Key<Line<WORD_MAX>>,
    /// A file with nothing but the token, closed to other users; read again before every sweep.
    #[serde(skip_serializing_if = "Key::is_missing")]
    token_file: Key<PathText>,
    /// A program and its arguments, run without a shell, that prints
    /// `{"access_token": "…", "expires_in": 3600}`; 1 to 64 words, main file only, and only with
    /// `--config.allow-token-command`.
    #[serde(skip_serializing_if = "Nested::<TokenCommand>::is_empty")]
    token_command: Nested<TokenCommand>,
    /// White label: the name of a login under `partners`, exchanged for tokens of this account. Needs
    /// `account_id`.
    #[serde(skip_serializing_if = "Key::is_missing")]
    partner: Key<Line<WORD_MAX>>,
    /// Wazzup label: the customer's login.
    #[serde(skip_serializing_if = "Nested::<OAuthKeys>::is_empty")]
    oauth: Nested<OAuthKeys>,
}

/// A program and its arguments, which may be secrets.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("minItems" = 1, "maxItems" = 64)))]
struct TokenCommand(Vec<Key<Line<WORD_MAX>>>);

/// The login of a customer of the Wazzup label.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("required" = ["partner", "refresh_token_file"])))]
#[serde(default, deny_unknown_fields)]
struct OAuthKeys {
    /// The name of a login under `partners`, whose application the customer has let in; it needs
    /// `client_id` and `redirect_uri`.
    partner: Key<Line<WORD_MAX>>,
    /// Where the refresh token of the last login is, one file for each account; later ones are kept in
    /// `--storage.path`.
    refresh_token_file: Key<PathText>,
}

impl Serialize for TokenCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let program = self.0.first().and_then(Key::good).map(|program| program.0.as_str());
        serializer.collect_seq(program.into_iter().chain(self.0.iter().skip(1).map(|_| SECRET)))
    }
}

impl From<&Auth> for AuthKeys {
    /// A token from a variable is shown as one that stands in the file.
    fn from(auth: &Auth) -> Self {
        let mut keys = Self::default();
        match auth {
            Auth::Token(token) | Auth::TokenEnv { token, .. } => {
                keys.token = Key::of(Secret(token.clone()));
            }
            Auth::TokenFile(file) => keys.token_file = Key::of(file.as_path().into()),
            Auth::TokenCommand(words) => {
                let words = words.iter().map(|word| Key::of(Line(word.clone()))).collect();
                keys.token_command = Nested::of(TokenCommand(words));
            }
            Auth::Partner(partner) => keys.partner = Key::of(Line(partner.name.clone())),
            Auth::OAuth { partner, refresh_token_file } => {
                keys.oauth = Nested::of(OAuthKeys {
                    partner: Key::of(Line(partner.name.clone())),
                    refresh_token_file: Key::of(refresh_token_file.as_path().into()),
                });
            }
        }
        keys
    }
}

impl AuthKeys {
    /// The one source that is given at `at`.
    pub(super) fn check(
        &self,
        at: At,
        origin: &mut Origin<'_>,
        partners: &Partners,
        scope: &mut Scope<'_>,
    ) -> Result<Auth, Noted> {
        if self.token.is_given() {
            if !origin.literal && self.token.good().is_some() {
                let what = "holds a token itself; token_file or token_env keeps it out";
                scope.warn(self.token.at(), "token", what);
            }
            origin.literal = true;
        }
        let sources = [
            ("token", self.token.at()),
            ("token_env", self.token_env.at()),
            ("token_file", self.token_file.at()),
            ("token_command", self.token_command.at),
            ("partner", self.partner.at()),
            ("oauth", self.oauth.at),
        ];
        let given: Vec<_> = sources.into_iter().filter(|(_, at)| at.is_some()).collect();
        let (source, at) = match given.as_slice() {
            [] => {
                scope.problem(
                    at,
                    "",
                    format_args!("names no token; give exactly one of {SOURCES}"),
                );
                return Err(Noted);
            }
            [one] => *one,
            [_, (second, at), ..] => {
                let what = format!("is one token too many; keep exactly one of {SOURCES}");
                scope.problem(*at, second, what);
                return Err(Noted);
            }
        };
        match source {
            "token" => self.literal(at, scope),
            "token_env" => self.variable(at, origin, scope),
            "token_file" => {
                let path = &self.token_file;
                let path = origin.secret_file(path, "token_file", scope, check_token_file)?;
                path.map(Auth::TokenFile).ok_or(Noted)
            }
            "token_command" => self.token_command.check(origin, scope),
            "partner" => {
                find(&self.partner, origin, partners, scope)?.map(Auth::Partner).ok_or(Noted)
            }
            _ => self.oauth.check(origin, partners, &mut scope.within("oauth")),
        }
    }

    fn literal(&self, at: At, scope: &mut Scope<'_>) -> Result<Auth, Noted> {
        let Secret(token) = self.token.value("token", scope)?;
        if let Some(fault) = token_fault(token.expose_secret()) {
            scope.problem(at, "token", fault);
            return Err(Noted);
        }
        Ok(Auth::Token(token))
    }

    fn variable(&self, at: At, origin: &Origin<'_>, scope: &mut Scope<'_>) -> Result<Auth, Noted> {
        if origin.is_account_file() {
            let what = "works only in the main file; use token_file below secrets_dir, or token";
            scope.problem(at, "token_env", what);
            return Err(Noted);
        }
        let Line(variable) = self.token_env.value("token_env", scope)?;
        // A token pasted here by mistake must not be printed as if it were a name.
        let shown = tellable_variable(&variable).unwrap_or("of that name");
        let fault = match (origin.environment)(&variable).map(OsString::into_string) {
            None => "is not set; set it to the token",
            Some(Err(_)) => "is not UTF-8",
            Some(Ok(token)) => match token_fault(&token) {
                None => return Ok(Auth::TokenEnv { variable, token: token.into() }),
                Some(fault) => fault,
            },
        };
        scope.problem(at, "token_env", format_args!("the environment variable {shown} {fault}"));
        Err(Noted)
    }
}

impl Nested<TokenCommand> {
    fn is_empty(&self) -> bool {
        self.keys.0.is_empty()
    }

    fn check(&self, origin: &mut Origin<'_>, scope: &mut Scope<'_>) -> Result<Auth, Noted> {
        let refusal = if origin.is_account_file() {
            Some("works only in the main file, because it runs a program")
        } else if origin.permissions.token_command {
            None
        } else {
            Some("runs a program, which has to be allowed: start with --config.allow-token-command")
        };
        if let Some(what) = refusal {
            scope.problem(self.at, "token_command", what);
            return Err(Noted);
        }
        // Arguments may hold secrets.
        origin.literal |= self.keys.0.len() > 1;
        let words = check_items(&self.keys.0, |index, word| {
            word.value(&format!("token_command[{index}]"), scope).map(|word| word.0)
        })?;
        if words.is_empty() || words.len() > WORDS_MAX {
            let what = format!(
                "must have 1 to {WORDS_MAX} words; write a list, [\"get-token\", \"acme\"]: \
                 the program and its arguments, without a shell"
            );
            scope.problem(self.at, "token_command", what);
            return Err(Noted);
        }
        Ok(Auth::TokenCommand(words.into()))
    }
}

impl Nested<OAuthKeys> {
    fn is_empty(&self) -> bool {
        self.keys.partner.is_missing()
    }

    fn check(
        &self,
        origin: &Origin<'_>,
        partners: &Partners,
        scope: &mut Scope<'_>,
    ) -> Result<Auth, Noted> {
        let Self { keys, at } = self;
        let partner = find(&keys.partner, origin, partners, scope).and_then(|partner| {
            let remedy = "name the login under partners whose application the customer lets in";
            let partner = partner.ok_or_else(|| missing("partner", *at, remedy, scope))?;
            if partner.client_id.is_none() || partner.redirect_uri.is_none() {
                let what = "has no client_id or no redirect_uri, which a customer's login needs";
                scope.problem(keys.partner.at(), "partner", what);
                return Err(Noted);
            }
            Ok(partner)
        });
        let name = "refresh_token_file";
        let file = origin.secret_file(&keys.refresh_token_file, name, scope, check_refresh_file)?;
        let remedy = "name the file in which `wazzup-exporter login` puts the token";
        let refresh_token_file = file.ok_or_else(|| missing(name, *at, remedy, scope))?;
        Ok(Auth::OAuth { partner: partner?, refresh_token_file })
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

/// The partner that a key names.
fn find(
    key: &Key<Line<WORD_MAX>>,
    origin: &Origin<'_>,
    partners: &Partners,
    scope: &mut Scope<'_>,
) -> Result<Option<Arc<Partner>>, Noted> {
    let Some(Line(name)) = key.check("partner", scope)? else { return Ok(None) };
    match partners.find(&name, origin.is_account_file()) {
        Ok(partner) => partner.map(Some).ok_or(Noted),
        Err(fault) => {
            scope.problem(key.at(), "partner", fault);
            Err(Noted)
        }
    }
}
