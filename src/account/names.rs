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

/// Why a name, an id or a label was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// More characters than its limit.
    #[error("is longer than {limit} characters; shorten it")]
    TooLong {
        /// The limit in characters.
        limit: usize,
    },
    /// A line break, a tab or another control character.
    #[error("contains a control character; remove it")]
    Control,
    /// White space where it cannot be seen.
    #[error("starts or ends with white space; remove it")]
    Padded,
    /// `.` and `..` vanish from a URL path, so upstream would be asked for something else.
    #[error("is `.` or `..`, which a URL path cannot carry; give the id that the CRM uses")]
    DotSegment,
    /// Not Wazzup's form of an account number.
    #[error("is not an account number: eight digits, also written 7823-1464")]
    NotEightDigits,
    /// Not a label name of Prometheus.
    #[error("is not a label name: letters, digits and _ only, not starting with a digit")]
    NotALabel,
    /// A label name that the exporter or Prometheus sets itself.
    #[error("is a label that the exporter or Prometheus sets itself; choose another name")]
    Reserved,
}

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
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        check_text(text, ACCOUNT_NAME_MAX)?;
        if text.trim() != text {
            return Err(InvalidName::Padded);
        }
        Ok(Self(text.into()))
    }
}

impl UserId {
    /// Checks an id: 1 to [`USER_ID_MAX`] characters, no control character, not a dot segment.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        check_text(text, USER_ID_MAX)?;
        if text == "." || text == ".." {
            return Err(InvalidName::DotSegment);
        }
        Ok(Self(text.into()))
    }
}

impl AccountId {
    /// Checks an account number and drops the hyphen that Wazzup's cabinet shows in it.
    ///
    /// # Errors
    /// [`InvalidName::NotEightDigits`] for everything else.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let digits = match text.split_once('-') {
            Some((head, tail)) if head.len() == 4 && tail.len() == 4 => format!("{head}{tail}"),
            _ => text.to_owned(),
        };
        if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits.into()))
        } else {
            Err(InvalidName::NotEightDigits)
        }
    }
}

impl LabelName {
    /// Checks a label name against Prometheus' data model and the exporter's own labels.
    ///
    /// # Errors
    /// [`InvalidName::NotALabel`] or [`InvalidName::Reserved`].
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = text.bytes();
        let head = bytes.next().ok_or(InvalidName::Empty)?;
        let valid = (head.is_ascii_alphabetic() || head == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return Err(InvalidName::NotALabel);
        }
        if text.starts_with("__") || RESERVED_LABELS.contains(&text) {
            return Err(InvalidName::Reserved);
        }
        Ok(Self(text.into()))
    }
}

/// Checks what every label value must obey: not empty, at most `limit` characters, none of them a
/// control character.
///
/// # Errors
/// The first rule that the text breaks.
pub fn check_text(text: &str, limit: usize) -> Result<(), InvalidName> {
    if text.is_empty() {
        Err(InvalidName::Empty)
    } else if text.chars().count() > limit {
        Err(InvalidName::TooLong { limit })
    } else if text.chars().any(char::is_control) {
        Err(InvalidName::Control)
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
            ("", InvalidName::Empty),
            (".", InvalidName::DotSegment),
            ("..", InvalidName::DotSegment),
            ("a\nb", InvalidName::Control),
            ("\u{7f}", InvalidName::Control),
            (&"ü".repeat(201), InvalidName::TooLong { limit: 200 }),
        ] {
            assert_eq!(UserId::parse(text), Err(why), "{text:?}");
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
            assert_eq!(AccountId::parse(text), Err(InvalidName::NotEightDigits), "{text:?}");
        }
    }

    #[test]
    fn label_names_of_the_exporter_are_taken() {
        for text in ["account", "account_id", "api", "user", "job", "le", "__meta"] {
            assert_eq!(LabelName::parse(text), Err(InvalidName::Reserved), "{text:?}");
        }
        for text in ["1a", "a-b", "ü", "a b"] {
            assert_eq!(LabelName::parse(text), Err(InvalidName::NotALabel), "{text:?}");
        }
        assert!(LabelName::parse("team").is_ok());
    }
}
