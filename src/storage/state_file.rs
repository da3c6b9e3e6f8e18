//! The content of state files: JSON with the version of its format.
//!
//! A file without a version is of version 1. A later program may read earlier versions; an earlier program must not touch
//! what it would understand only in part, as it would write back less than it found.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why the content of a state file is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A later program has written it.
    #[error(
        "a newer version of the exporter has written it, in format {found}, and this one reads formats up to {known}; it is \
         left untouched: install the newer version again"
    )]
    Newer {
        /// The format of the file.
        found: u32,
        /// The latest one that this program reads.
        known: u32,
    },
    /// It is not what we write.
    #[error("it is not valid: {0}")]
    Invalid(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct StateVersion {
    #[serde(default = "first")]
    version: u32,
}

#[derive(Serialize)]
struct VersionedState<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

const fn first() -> u32 {
    1
}

/// Reads the content of a file, of which formats up to `known` can be read.
///
/// # Errors
/// When it is of a later format, or is not valid.
pub fn parse_state<T: DeserializeOwned>(bytes: &[u8], known: u32) -> Result<T, StateError> {
    let StateVersion { version: found } = serde_json::from_slice(bytes)?;
    if found > known {
        return Err(StateError::Newer { found, known });
    }
    Ok(serde_json::from_slice(bytes)?)
}

/// The bytes of a file with this content, a map, in this format.
pub fn state_bytes(content: &impl Serialize, version: u32) -> Vec<u8> {
    let state = VersionedState { version, content };
    serde_json::to_vec(&state).expect("strings and numbers can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Content {
        red: u64,
    }

    #[test]
    fn content_carries_its_version_and_reads_back() {
        let bytes = state_bytes(&Content { red: 7 }, 2);
        assert_eq!(bytes, br#"{"version":2,"red":7}"#);
        assert_eq!(parse_state::<Content>(&bytes, 2).unwrap(), Content { red: 7 });
        assert_eq!(parse_state::<Content>(&bytes, 3).unwrap(), Content { red: 7 });
        assert_eq!(parse_state::<Content>(br#"{"red":7}"#, 1).unwrap(), Content { red: 7 });
    }

    #[test]
    fn content_of_a_later_version_is_refused_whatever_else_it_holds() {
        let refused = parse_state::<Content>(br#"{"version":2,"blue":[]}"#, 1).unwrap_err();
        assert!(matches!(refused, StateError::Newer { found: 2, known: 1 }), "{refused}");
        assert!(refused.to_string().contains("install the newer version again"));
        for wrong in ["", "[]", "{}", r#"{"version":-1,"red":7}"#, r#"{"version":1,"red":"x"}"#] {
            let refused = parse_state::<Content>(wrong.as_bytes(), 1).unwrap_err();
            assert!(matches!(refused, StateError::Invalid(_)), "{wrong}");
        }
    }
}
