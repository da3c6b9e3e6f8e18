//! Whatever the bytes, the parser answers.

use proptest::prelude::*;

use super::*;

const WORDS: [&str; 34] = [
    "accounts",
    "name",
    "auth",
    "token",
    "token_env",
    "users",
    "id",
    "labels",
    "poll",
    "interval",
    "export",
    "<<",
    "30s",
    "7",
    "~",
    "''",
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!t ",
    "!!int ",
    "---\n",
    "? ",
    "|\n",
    "\u{feff}",
];

/// `parse`, and that its answer can be shown. Names that would search the disk are left out.
fn survives(bytes: &[u8]) {
    if String::from_utf8_lossy(bytes).contains("_file") {
        return;
    }
    match parse(bytes, Path::new("no-such-folder/c.yaml")) {
        Ok(config) => assert!(!config.accounts.is_empty()),
        Err(error) => {
            assert!(!error.problems.is_empty());
            let located = error.problems.iter().filter_map(|problem| problem.spot.at);
            assert!(located.into_iter().all(|(line, column)| line > 0 && column > 0));
            assert!(!error.to_string().is_empty());
        }
    }
}

/// The example with the names of files taken out, to be mutated.
fn example() -> Vec<u8> {
    include_str!("../../../config.example.yaml").replace("_file", "_fool").into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn arbitrary_text_is_answered(text in "\\PC{0,200}") {
        survives(text.as_bytes());
    }

    #[test]
    fn pieces_of_configurations_are_answered(
        words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..60),
    ) {
        survives(words.concat().as_bytes());
    }

    #[test]
    fn mutated_configurations_are_answered(
        edits in proptest::collection::vec(
            (any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut bytes = example();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        survives(&bytes);
    }

    #[test]
    fn cut_configurations_are_answered(from in any::<proptest::sample::Index>(), to in any::<proptest::sample::Index>()) {
        let bytes = example();
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        survives(&bytes[from.min(to)..from.max(to)]);
    }
}

#[test]
fn a_byte_order_mark_is_no_obstacle() {
    assert!(read(&format!("\u{feff}{ACME}")).is_ok());
}
