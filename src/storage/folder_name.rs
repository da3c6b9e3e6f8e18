//! The name of an account's folder: after its number at Wazzup24 where that is known, else after its name.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};

/// Everything but `A-Z a-z 0-9 _ -`, dots and percent signs included.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
/// Longest name that is kept whole, in bytes.
const WHOLE_MAX: usize = 200;
/// How much is kept of a longer one.
const HEAD: usize = 120;

/// Which folder an account has. Two are equal if they are the same folder, whatever the names.
#[derive(Debug, Clone)]
pub struct AccountFolder {
    /// The name of the folder.
    pub(super) current: String,
    /// The name of the folder from before the number was configured.
    pub(super) before_number: Option<String>,
}

impl AccountFolder {
    /// The folder of an account with this name in the configuration and this number at Wazzup24, which it
    /// keeps when it is renamed.
    pub fn new(name: &str, number: Option<&str>) -> Self {
        let named = folder_name(name);
        match number {
            // No name becomes a folder with a dot that early.
            Some(number) => Self { current: format!("id.{number}"), before_number: Some(named) },
            None => Self { current: named, before_number: None },
        }
    }
}

impl PartialEq for AccountFolder {
    fn eq(&self, other: &Self) -> bool {
        self.current == other.current
    }
}

impl Eq for AccountFolder {}

impl Hash for AccountFolder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.current.hash(state);
    }
}

/// An account without a number.
impl From<&str> for AccountFolder {
    fn from(name: &str) -> Self {
        Self::new(name, None)
    }
}

/// A different folder name for every account name, of at most 200 bytes.
///
/// The name is percent-encoded. If that is too long, it is cut and a dot and the SHA-256 of the whole
/// name follow; no short name contains a dot. The empty name, which no account has, is `%`.
fn folder_name(account: &str) -> String {
    if account.is_empty() {
        return "%".to_owned();
    }
    let mut name = utf8_percent_encode(account, ESCAPED).to_string();
    if name.len() > WHOLE_MAX {
        name.truncate(HEAD);
        name.push('.');
        for byte in digest(&SHA256, account.as_bytes()).as_ref() {
            write!(name, "{byte:02x}").expect("a String takes everything");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_are_kept_and_others_are_escaped() {
        for (account, folder) in [
            ("acme-2_B", "acme-2_B"),
            ("a b/c", "a%20b%2Fc"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("%2E", "%252E"),
            ("ü", "%C3%BC"),
            ("", "%"),
        ] {
            assert_eq!(folder_name(account), folder);
        }
    }

    #[test]
    fn long_names_are_cut_and_end_in_their_hash() {
        let name = folder_name(&"Ы".repeat(64));
        assert_eq!(name.len(), 185);
        assert!(name.starts_with("%D0%AB%D0%AB"), "{name}");
        // printf 'Ы%.0s' $(seq 64) | sha256sum
        assert!(
            name.ends_with("5331531fc369fc1a22277595f292ddfa5b14f9be00063f9103397deb078fc4b8"),
            "{name}"
        );
    }

    #[test]
    fn an_account_with_a_number_has_a_folder_of_that_number() {
        let folder = AccountFolder::new("acme", Some("78231464"));
        assert_eq!(folder.current, "id.78231464");
        assert_eq!(folder.before_number.as_deref(), Some("acme"));
        assert_ne!(AccountFolder::from("id.78231464").current, folder.current);
        assert_eq!(folder, AccountFolder::new("other", Some("78231464")));
        assert_ne!(AccountFolder::from("78231464"), folder);
    }

    proptest! {
        #[test]
        fn different_accounts_have_different_folders(
            a in "\\PC{1,64}|[a%.]{1,3}|[ab🦀]{60,64}",
            b in "\\PC{1,64}|[a%.]{1,3}|[ab🦀]{60,64}",
        ) {
            prop_assert_eq!(folder_name(&a) == folder_name(&b), a == b);
        }

        #[test]
        fn folder_names_are_safe(account in "(?s).{0,300}") {
            let name = folder_name(&account);
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-%.".contains(&byte);
            prop_assert!(name.bytes().all(safe) && !name.starts_with('.'));
            prop_assert!((1..=WHOLE_MAX).contains(&name.len()));
        }
    }
}
