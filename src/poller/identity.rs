//! Which account at Wazzup24 figures are of: settings, tokens and files may be given to another one.

use std::iter;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountId, Auth};

/// What is known of an account: its number, or where its token comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountIdentity {
    /// The address of the API.
    api: String,
    /// The number that is configured, or else the one that the token names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// A hash of where the token comes from; of the token itself if it is in the configuration.
    source: String,
}

impl AccountIdentity {
    /// The identity of an account whose token names the account `named`, if any.
    pub(super) fn new(account: &Account, named: Option<&str>) -> Self {
        let configured = account.account_id.as_ref().map(AccountId::as_str);
        Self {
            api: account.base_url.to_string(),
            number: configured.or(named).map(str::to_owned),
            source: source_of(&account.auth),
        }
    }

    /// Whether both are of the same account: by the number where both are known, else by the source of the
    /// token.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.number, &other.number) {
            (Some(number), Some(other)) => number == other,
            _ => self.source == other.source,
        };
        same && self.api == other.api
    }
}

fn source_of<'a>(auth: &'a Auth) -> String {
    let path = |path: &'a Path| path.as_os_str().as_bytes();
    let (kind, parts) = match auth {
        Auth::Token(token) => ("token", vec![token.expose_secret().as_bytes()]),
        Auth::TokenEnv { variable, .. } => ("env", vec![variable.as_bytes()]),
        Auth::TokenFile(file) => ("file", vec![path(file)]),
        Auth::TokenCommand(words) => ("command", words.iter().map(String::as_bytes).collect()),
        Auth::Partner(partner) => ("partner", vec![partner.email.as_bytes()]),
        Auth::OAuth { refresh_token_file, .. } => ("oauth", vec![path(refresh_token_file)]),
    };
    let mut hash = Context::new(&SHA256);
    for part in iter::once(kind.as_bytes()).chain(parts) {
        hash.update(&part.len().to_le_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::fixture;

    fn identity(auth: Auth, number: Option<&str>, named: Option<&str>) -> AccountIdentity {
        let account_id = number.map(|number| AccountId::parse(number).unwrap());
        AccountIdentity::new(&Account { account_id, auth, ..fixture("acme", &[]) }, named)
    }

    fn file() -> Auth {
        Auth::TokenFile("/run/token".into())
    }

    #[test]
    fn the_number_decides_where_both_are_known() {
        let one = identity(file(), None, Some("78231464"));
        assert!(one.is_same(&identity(Auth::Token("other".into()), Some("78231464"), None)));
        assert!(!one.is_same(&identity(file(), None, Some("11111111"))));
        let configured = identity(file(), Some("78231464"), Some("11111111"));
        assert!(configured.is_same(&one), "what is configured precedes what the token says");
    }

    #[test]
    fn the_source_of_the_token_decides_where_a_number_is_not_known() {
        let one = identity(file(), None, None);
        assert!(one.is_same(&identity(file(), None, Some("78231464"))), "a new token in the file");
        let elsewhere = identity(Auth::TokenFile("/run/other".into()), None, None);
        assert!(!one.is_same(&elsewhere));
        let literal = |token: &str| identity(Auth::Token(token.into()), None, None);
        assert!(literal("a").is_same(&literal("a")) && !literal("a").is_same(&literal("b")));
        let variable = |token: &str| {
            let auth = Auth::TokenEnv { variable: "ACME".to_owned(), token: token.into() };
            identity(auth, None, None)
        };
        assert!(variable("a").is_same(&variable("b")));
        let command = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            identity(Auth::TokenCommand(words.into()), None, None)
        };
        assert!(!command(&["a", "bc"]).is_same(&command(&["ab", "c"])));
    }

    #[test]
    fn another_api_is_another_account() {
        let account = fixture("acme", &[]);
        let other = Account { base_url: "https://example.com".parse().unwrap(), ..account.clone() };
        let of = |account| AccountIdentity::new(account, Some("78231464"));
        assert!(!of(&account).is_same(&of(&other)));
    }

    #[test]
    fn no_token_is_stored() {
        let text = serde_json::to_string(&identity(Auth::Token("s3cret".into()), None, None));
        assert!(!text.unwrap().contains("s3cret"));
    }
}
