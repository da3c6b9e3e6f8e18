//! From YAML to serde types, or to the first thing that stands against it; and single values as they are
//! written, whatever they should be.
//!
//! The library's own words are used only for syntax errors, because theirs are fixed: all others may quote a
//! value. Which key was meant is guessed, and a word of the file is repeated in a message only if it is
//! [`tellable`]: a hurried person may have put a secret there.

use serde::de::DeserializeOwned;
use serde_saphyr::options::{MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Options};

use super::place::{At, at};

/// Deepest nesting; the deepest key of a configuration needs eight levels.
const DEPTH_MAX: usize = 32;
/// Most values of a file: 200,000 users with names and labels.
const VALUES_MAX: usize = 2_000_000;
/// Most that aliases may repeat together, values and the ends of lists and mappings.
const REPEATED_MAX: usize = 1_000_000;
/// Most bytes of text in a file, of which a file of 16 MiB has no more.
const TEXT_MAX: usize = 16 << 20;

/// Which words are switches, unquoted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switches {
    /// `true` and `false`, as in YAML 1.2.
    TrueFalse,
    /// `yes`, `no`, `on` and `off` as well, as in YAML 1.1.
    YesNo,
}

/// Reads a text that is one YAML document; nothing if there is nothing in it.
pub(crate) fn read<T: DeserializeOwned>(
    bytes: &[u8],
    switches: Switches,
) -> Result<Option<T>, (At, String)> {
    let text = decode(bytes)?;
    serde_saphyr::from_str_with_options(text, options(switches)).map_err(|error| {
        let error = innermost(&error);
        (error.location().as_ref().and_then(at), explain(error))
    })
}

fn options(switches: Switches) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: VALUES_MAX,
            max_events: 4 * VALUES_MAX,
            max_aliases: REPEATED_MAX,
            max_anchors: REPEATED_MAX,
            max_recorded_anchor_events: 4 * VALUES_MAX,
            max_total_scalar_bytes: TEXT_MAX,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED_MAX },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: switches == Switches::TrueFalse,
        // 007 and 1_000 are text.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        with_snippet: false,
    }
}

/// Checks what the library reports without a place: the encoding and forbidden characters.
fn decode(bytes: &[u8]) -> Result<&str, (At, String)> {
    let place = |before: &str| {
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        u32::try_from(line).ok().zip(u32::try_from(column).ok())
    };
    let text = str::from_utf8(bytes).map_err(|error| {
        let (good, _) = bytes.split_at(error.valid_up_to());
        let message = format!("is not UTF-8 from byte {} on; save the file as UTF-8", good.len());
        (place(&String::from_utf8_lossy(good)), message)
    })?;
    match text.char_indices().find(|(_, letter)| !printable(*letter)) {
        None => Ok(text),
        Some((offset, letter)) => {
            let (before, _) = text.split_at(offset);
            let code = u32::from(letter);
            let what = format!("the character U+{code:04X} is not allowed in YAML; remove it");
            Err((place(before), what))
        }
    }
}

/// The characters of YAML 1.2, section 5.1.
fn printable(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}')
        || letter >= '\u{10000}'
}

/// The error itself where it was found in what an alias repeats.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => innermost(error),
        error => error,
    }
}

/// What is wrong and what to do, without anything that may be a secret.
fn explain(error: &Error) -> String {
    let what = match error {
        Error::ExternalMessage { msg, .. } => return format!("is not YAML: {msg}"),
        Error::SerdeUnknownField { field, expected, .. } => return unknown_key(field, expected),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().and_then(tellable).unwrap_or("a key");
            return format!("{key} is given twice; remove one of them");
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            "must be a mapping, keys with a value each: {key: value}"
        }
        Error::Unexpected { expected: "sequence start", .. } => "must be a list: [one, two]",
        Error::Unexpected { .. } => "must be a single value, no list and no mapping",
        Error::NonFiniteFloat { .. } => NUMBER,
        Error::NullIntoString { .. } => "is empty; write a value or remove the key",
        Error::MultipleDocuments { .. } => {
            "starts a second document; keep one, without a further ---"
        }
        Error::UnknownAnchor { .. }
        | Error::MergeKeyNotAllowed { .. }
        | Error::UnsupportedTag { .. }
        | Error::TaggedStructFieldName { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::InvalidScalar { .. } => {
            "has a tag (!…), a merge key (<<) or an alias (*…) without its anchor (&…) before it, which do \
             not work here; write the value itself"
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "is too large or nested too deeply once its aliases are followed; split it into files or use \
             fewer aliases"
        }
        _ => "does not belong here; compare it with the documentation",
    };
    what.to_owned()
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let shown = tellable(key).map(|key| format!(" {key:?}")).unwrap_or_default();
    let remedy = match similar(key, known) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("known here: {}", known.join(", ")),
    };
    format!("unknown key{shown}; {remedy}")
}

/// A value of any kind.
pub(crate) type Written = serde_json::Value;

/// Text with something in it. The error follows the name of the key.
pub(crate) fn text(written: &Written) -> Result<&str, String> {
    let what = match written {
        Written::String(text) if !text.is_empty() => return Ok(text),
        Written::String(_) | Written::Null => "is empty; write a value or remove the key",
        Written::Number(_) => NUMBER,
        Written::Bool(_) => "is true or false where text is wanted; quote it (\"true\")",
        Written::Array(_) => "is a list where text is wanted",
        Written::Object(_) => "is a mapping where text is wanted",
    };
    Err(what.to_owned())
}

/// What is wrong with a number in place of text.
pub(super) const NUMBER: &str = "is a number where text is wanted; quote it (\"7\"), \
                                 because YAML would turn 007 or 0x1F into something else";

/// Longest word that is compared or repeated.
const WORD_MAX: usize = 32;

/// The known key that `word` most likely means, if one is close.
pub(crate) fn similar<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let word = plain(word);
    let near = |key: &&str| if key.len() < 4 { 1 } else { 2 };
    known
        .iter()
        .map(|key| (strsim::levenshtein(&word, &plain(key)), *key))
        .filter(|(distance, key)| *distance <= near(key))
        .min()
        .map(|(_, key)| key)
}

/// `word`, if it looks like a key that a person typed and not like a pasted secret: lower case, and
/// digits only as a short number at the end.
pub(crate) fn tellable(word: &str) -> Option<&str> {
    let stem = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let harmless = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-');
    (word.len() <= WORD_MAX && word.len() - stem.len() <= 2 && stem.bytes().all(harmless))
        .then_some(word)
}

/// `name`, if it looks like an environment variable and not like a pasted secret.
pub(crate) fn tellable_variable(name: &str) -> Option<&str> {
    let usual = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (name.contains('_') && name.bytes().all(usual)).then_some(name)
}

/// The word without what people vary: `baseUrl`, `base-url` and `base_url` are one.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['_', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_words_are_hinted_at_and_distant_ones_are_not() {
        let known = ["name", "base_url", "users", "id"];
        for (word, meant) in [
            ("usrs", Some("users")),
            ("nmae", Some("name")),
            ("baseUrl", Some("base_url")),
            ("base-url", Some("base_url")),
            ("ids", Some("id")),
            ("colour", None),
            ("xy", None),
        ] {
            assert_eq!(similar(word, &known), meant, "{word}");
        }
    }

    #[test]
    fn words_that_may_be_secrets_are_not_repeated() {
        for word in ["4f2a77c0", "pin123", "aVeryLongSecret", "eyJhbGciOi.x", &"a".repeat(33)] {
            assert_eq!(tellable(word), None, "{word}");
        }
        assert_eq!(tellable("shard_count2"), Some("shard_count2"));
        assert_eq!(tellable_variable("ACME_TOKEN"), Some("ACME_TOKEN"));
        assert_eq!(tellable_variable("4F2A77C0"), None);
        assert_eq!(tellable_variable("abc_def"), None);
    }
}
