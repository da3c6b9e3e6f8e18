//! Values of labels: what is rendered reads back as the same, and ends no line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wazzup_exporter::fuzzing::label;

fuzz_target!(|value: &str| {
    let rendered = label("name", value);
    assert!(!rendered.contains('\n'), "{rendered:?}");
    let inside = rendered.strip_prefix("name=\"").and_then(|rest| rest.strip_suffix('"')).unwrap();
    let mut read = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        read.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some(letter @ ('\\' | '"')) => letter,
                other => panic!("{other:?} is escaped in {rendered:?}"),
            },
            '"' => panic!("{rendered:?} ends early"),
            letter => letter,
        });
    }
    assert_eq!(read, value);
});
