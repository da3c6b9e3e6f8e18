//! Guesses which key was meant, and decides which words of a file may be repeated in a message.
//!
//! Used by [`read`](super::read) for unknown keys, and for names in which a hurried person may have put a
//! secret itself.

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
