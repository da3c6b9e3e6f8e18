//! Where a token comes from, and which accounts use the same one.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::{Origin, Url};

/// Where an account's bearer token comes from. Two are equal when they lead to the same token as
/// far as the configuration tells: the same text, or the same file.
#[derive(Clone)]
pub enum Auth {
    /// The token itself, from the configuration or from an environment variable.
    Token(SecretString),
    /// A file holding only the token; read before every sweep, so a replaced token is picked up.
    TokenFile(PathBuf),
}

/// What upstream counts requests by: a token at one API. Accounts with equal credentials share one
/// limit. A file is known by its path, because its content changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Scheme, host and port.
    api: Origin,
    auth: Auth,
}

impl Credential {
    pub(super) fn new(base_url: &Url, auth: &Auth) -> Self {
        Self { api: base_url.origin(), auth: auth.clone() }
    }
}

impl PartialEq for Auth {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(other)) => one.expose_secret() == other.expose_secret(),
            (Self::TokenFile(one), Self::TokenFile(other)) => one == other,
            (Self::Token(_), Self::TokenFile(_)) | (Self::TokenFile(_), Self::Token(_)) => false,
        }
    }
}

impl Eq for Auth {}

impl Hash for Auth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Token(token) => (0, token.expose_secret()).hash(state),
            Self::TokenFile(path) => (1, path).hash(state),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(<secret>)"),
            Self::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn credential(url: &str, auth: &Auth) -> Credential {
        Credential::new(&Url::parse(url).unwrap(), auth)
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
}
