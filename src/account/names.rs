//! Names, ids and label names: what they are made of, and what is wrong with those that are not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Longest account name, in characters.
pub const ACCOUNT_NAME_MAX: usize = 64;
/// Longest id of a CRM user, in characters: that of v3, which occurs on v2 (docs/upstream.md, "Users").
pub const USER_ID_MAX: usize = 200;
/// Longest display name of a CRM user, in characters: that of v3, the longer one (docs/upstream.md, "Users").
pub const USER_NAME_MAX: usize = 200;
/// Longest value of a configured label, in characters.
pub const LABEL_VALUE_MAX: usize = 256;

/// An account's name in the configuration, in labels and in paths.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

/// A CRM user's id; always usable as one path segment once percent-encoded.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

/// Wazzup's number of an account: eight digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountId(Arc<str>);

/// A label name that is valid in Prometheus and not taken by the exporter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelName(Arc<str>);

/// Extra labels from the configuration, in the order of their names.
pub type Labels = BTreeMap<LabelName, String>;

/// What is wrong with an empty text.
const EMPTY: &str = "must not be empty";

/// Label names a configuration cannot use, besides everything that starts with `__`: those that the
/// exporter or Prometheus writes itself, of which two in one series would fail a whole scrape, and
/// those that have a meaning of their own in the exposition format.
const RESERVED_LABELS: [&str; 13] = [
    "account",
    "account_id",
    "api",
    "instance",
    "job",
    "le",
    "name",
    "quantile",
    "reason",
    "role",
    "state",
    "type",
    "user",
];

impl AccountName {
    /// Checks a name: 1 to [`ACCOUNT_NAME_MAX`] characters, none of them a control character.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        check_text(text, ACCOUNT_NAME_MAX)?;
        if text.trim() != text {
            return Err("starts or ends with white space; remove it".to_owned());
        }
        Ok(Self(text.into()))
    }
}

impl UserId {
    /// Checks an id: 1 to [`USER_ID_MAX`] characters, no control character, not a dot segment.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        check_text(text, USER_ID_MAX)?;
        // They vanish from a URL path, so that upstream would be asked for something else.
        if text == "." || text == ".." {
            let what =
                "is `.` or `..`, which a URL path cannot carry; give the id that the CRM uses";
            return Err(what.to_owned());
        }
        Ok(Self(text.into()))
    }
}

impl AccountId {
    /// Checks an account number and drops the hyphen that Wazzup's cabinet shows in it.
    ///
    /// # Errors
    /// Everything else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = match text.split_once('-') {
            Some((head, tail)) if head.len() == 4 && tail.len() == 4 => format!("{head}{tail}"),
            _ => text.to_owned(),
        };
        if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits.into()))
        } else {
            Err("is not an account number: eight digits, also written 7823-1464".to_owned())
        }
    }
}

impl LabelName {
    /// Checks a label name against Prometheus' data model and the exporter's own labels.
    ///
    /// # Errors
    /// What is not one, or is taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of_a_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if text.is_empty() {
            Err(EMPTY.to_owned())
        } else if text.starts_with(|first: char| first.is_ascii_digit())
            || !text.bytes().all(of_a_label)
        {
            let what = "is not a label name: letters, digits and _ only, not starting with a digit";
            Err(what.to_owned())
        } else if text.starts_with("__") || RESERVED_LABELS.contains(&text) {
            let what =
                "is a label that the exporter or Prometheus sets itself; choose another name";
            Err(what.to_owned())
        } else {
            Ok(Self(text.into()))
        }
    }
}

/// Checks what every label value must obey: not empty, at most `limit` characters, none of them a
/// control character.
///
/// # Errors
/// The first rule that the text breaks.
pub fn check_text(text: &str, limit: usize) -> Result<(), String> {
    if text.is_empty() {
        Err(EMPTY.to_owned())
    } else if text.chars().count() > limit {
        Err(format!("is longer than {limit} characters; shorten it"))
    } else if text.chars().any(char::is_control) {
        Err("contains a control character; remove it".to_owned())
    } else {
        Ok(())
    }
}

macro_rules! text_like {
    ($($name:ident),+) => {$(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )+};
}

text_like!(AccountName, UserId, AccountId, LabelName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_that_cannot_be_one_path_segment_are_refused() {
        for (text, why) in [
            ("", "must not be empty"),
            (".", "is `.` or `..`, which a URL path cannot carry; give the id that the CRM uses"),
            ("..", "is `.` or `..`, which a URL path cannot carry; give the id that the CRM uses"),
            ("a\nb", "contains a control character; remove it"),
            ("\u{7f}", "contains a control character; remove it"),
            (&"ü".repeat(201), "is longer than 200 characters; shorten it"),
        ] {
            assert_eq!(UserId::parse(text), Err(why.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn user_ids_may_hold_anything_else() {
        for text in ["1", "a/b", "ünï", "q\"uo\\te", "%2E", "...", " x ", &"ü".repeat(200)] {
            assert_eq!(UserId::parse(text).map(|id| id.as_str().to_owned()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn account_numbers_are_eight_digits_with_or_without_the_hyphen() {
        assert_eq!(AccountId::parse("7823-1464"), AccountId::parse("78231464"));
        for text in ["", "7823146", "782314640", "78-231464", "7823-146x", "٧٨٢٣١٤٦٤"] {
            let refused = AccountId::parse(text).unwrap_err();
            assert!(refused.starts_with("is not an account number"), "{text:?}");
        }
    }

    #[test]
    fn label_names_of_the_exporter_are_taken() {
        for text in ["account", "account_id", "api", "user", "job", "le", "__meta"] {
            let refused = LabelName::parse(text).unwrap_err();
            assert!(refused.contains("sets itself"), "{text:?}");
        }
        for text in ["1a", "a-b", "ü", "a b"] {
            let refused = LabelName::parse(text).unwrap_err();
            assert!(refused.starts_with("is not a label name"), "{text:?}");
        }
        assert!(LabelName::parse("team").is_ok());
    }
}
