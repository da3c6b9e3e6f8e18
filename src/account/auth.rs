//! Where a token comes from, and which accounts use the same one.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use url::{Origin, Url};

use super::names::AccountId;
use super::shown::{self, SECRET};

/// Where an account's bearer token comes from. Two are equal when they lead to the same token as
/// far as the configuration says: the same text, the same file, the same command.
#[derive(Clone)]
pub enum Auth {
    /// The token itself, from the configuration.
    Token(SecretString),
    /// The same, from an environment variable.
    TokenEnv {
        /// Which one.
        variable: String,
        /// Its value.
        token: SecretString,
    },
    /// A file holding only the token; read before every sweep, so a replaced token is picked up.
    TokenFile(PathBuf),
    /// A program and its arguments that prints a token; run directly, without a shell.
    TokenCommand(Arc<[String]>),
    /// A technical partner's login, exchanged for a token of the account (white label).
    Partner(Arc<Partner>),
    /// A refresh token that the customer's login gave (Wazzup label), renewed with the partner's.
    OAuth {
        /// Whose client the customer has let in.
        partner: Arc<Partner>,
        /// The file with the refresh token of the last login. Later ones are in the storage.
        refresh_token_file: PathBuf,
    },
}

/// The login of a technical partner, which the tokens of many accounts come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Partner {
    /// Its name in the configuration.
    #[serde(skip)]
    pub name: String,
    /// User name of the login.
    pub email: String,
    /// A file holding only the password; read before every login.
    #[serde(serialize_with = "shown::path")]
    pub password_file: PathBuf,
    /// What the tokens shall be good for, as Wazzup24 spells it: `transport,crm`.
    pub scope: String,
    /// The number of the partner's application; only the label's login needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where the label's login ends; registered with Wazzup24.
    #[serde(serialize_with = "shown::optional_address", skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<Url>,
    /// Whether accounts of account files may use it; it may read every customer of the partner.
    pub allow_account_files: bool,
}

/// What upstream counts requests by: a token at one API. Accounts with equal credentials share one
/// limit. A file is known by its path, because its content changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Scheme, host and port.
    api: Origin,
    auth: Auth,
    /// The account of the token, where the login alone does not determine it.
    account: Option<AccountId>,
}

impl Credential {
    pub(super) fn new(base_url: &Url, auth: &Auth, account: Option<&AccountId>) -> Self {
        let account = account.filter(|_| matches!(auth, Auth::Partner(_))).cloned();
        Self { api: base_url.origin(), auth: auth.clone(), account }
    }
}

impl Auth {
    /// Whether a new token can be had without a person.
    pub fn renews(&self) -> bool {
        match self {
            Self::Token(_) | Self::TokenEnv { .. } | Self::TokenFile(_) => false,
            Self::TokenCommand(_) | Self::Partner(_) | Self::OAuth { .. } => true,
        }
    }

    /// Whether each new token depends on the one before, so that it has to survive a restart.
    pub fn needs_storage(&self) -> bool {
        matches!(self, Self::OAuth { .. })
    }

    /// What two values have to agree in to be equal; the number keeps kinds apart.
    fn identity(&self) -> (u8, AuthKey<'_>) {
        match self {
            Self::Token(token) | Self::TokenEnv { token, .. } => {
                (0, AuthKey::Text(token.expose_secret()))
            }
            Self::TokenFile(path) => (1, AuthKey::File(path, None)),
            Self::TokenCommand(words) => (2, AuthKey::Words(words)),
            Self::Partner(partner) => (3, AuthKey::Login(partner)),
            Self::OAuth { partner, refresh_token_file } => {
                (4, AuthKey::File(refresh_token_file, Some(partner)))
            }
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
enum AuthKey<'a> {
    Text(&'a str),
    File(&'a PathBuf, Option<&'a Partner>),
    Words(&'a [String]),
    Login(&'a Partner),
}

impl PartialEq for Auth {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Auth {}

impl Hash for Auth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl Serialize for Auth {
    /// A token from a variable is shown as one that stands in the file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys = serializer.serialize_map(Some(1))?;
        match self {
            Self::Token(_) | Self::TokenEnv { .. } => keys.serialize_entry("token", SECRET)?,
            Self::TokenFile(file) => keys.serialize_entry("token_file", &file.to_string_lossy())?,
            Self::TokenCommand(words) => {
                let program = words.first().map(String::as_str).into_iter();
                let words = program.chain(words.iter().skip(1).map(|_| SECRET));
                keys.serialize_entry("token_command", &words.collect::<Vec<_>>())?;
            }
            Self::Partner(partner) => keys.serialize_entry("partner", &partner.name)?,
            Self::OAuth { partner, refresh_token_file } => {
                let file = refresh_token_file.to_string_lossy();
                let oauth = BTreeMap::from([
                    ("partner", partner.name.as_str()),
                    ("refresh_token_file", &file),
                ]);
                keys.serialize_entry("oauth", &oauth)?;
            }
        }
        keys.end()
    }
}

impl fmt::Debug for Auth {
    /// As it is shown elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn credential(url: &str, auth: &Auth) -> Credential {
        Credential::new(&Url::parse(url).unwrap(), auth, None)
    }

    fn token(url: &str, token: &str) -> Credential {
        credential(url, &Auth::Token(token.into()))
    }

    #[test]
    fn a_credential_is_a_token_at_one_api() {
        let one = token("https://a.example/x", "secret");
        assert_eq!(one, token("https://A.example:443/y", "secret"));
        let file = |path: &str| credential("https://a.example", &Auth::TokenFile(path.into()));
        assert_eq!(file("/run/t"), file("/run/./t"));
        let different = [
            one,
            token("https://a.example", "other"),
            token("https://b.example", "secret"),
            token("https://a.example:8443", "secret"),
            token("http://a.example", "secret"),
            file("secret"),
            file("/run/t"),
        ];
        assert_eq!(HashSet::from(different.clone()).len(), different.len());
    }

    #[test]
    fn tokens_do_not_reach_debug_output() {
        let shown = format!("{:?}", token("https://a.example", "very-secret"));
        assert!(!shown.contains("very-secret") && shown.contains("<secret>"), "{shown}");
    }

    #[test]
    fn a_partners_accounts_have_tokens_of_their_own() {
        let partner = Auth::Partner(Arc::new(Partner {
            name: "main".to_owned(),
            email: "partner@example.com".to_owned(),
            password_file: "/run/p".into(),
            scope: "transport,crm".to_owned(),
            client_id: None,
            redirect_uri: None,
            allow_account_files: false,
        }));
        let url = Url::parse("https://a.example").unwrap();
        let of = |id: &str| Credential::new(&url, &partner, AccountId::parse(id).ok().as_ref());
        assert_eq!(of("78231464"), of("7823-1464"));
        assert_ne!(of("78231464"), of("11111111"));
        let fixed = Auth::Token("secret".into());
        let one = Credential::new(&url, &fixed, AccountId::parse("78231464").ok().as_ref());
        assert_eq!(one, Credential::new(&url, &fixed, None));
    }

    #[test]
    fn arguments_of_a_command_do_not_reach_debug_output() {
        let words = ["get-token", "--password=very-secret"].map(str::to_owned);
        let shown = format!("{:?}", Auth::TokenCommand(words.into()));
        assert!(!shown.contains("very-secret") && shown.contains("get-token"), "{shown}");
    }
}
