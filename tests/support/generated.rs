//! Files of the repository that are made from something else. Tests compare them with what they
//! should hold; with `GENERATE=1`, as `make generated` and `make goldens` have it, they write them.

use std::path::Path;

/// Whether files are to be written.
pub(crate) fn writing() -> bool {
    std::env::var_os("GENERATE").is_some()
}

/// Fails unless a file, named from the root of the repository, holds this text; `command` writes it.
pub(crate) fn check(file: impl AsRef<Path>, text: &str, command: &str) {
    let file = file.as_ref();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if writing() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != text {
        let difference = difference(&found, text);
        panic!("{} is out of date: run `{command}`; {difference}", file.display());
    }
}

/// The first line that differs.
pub(crate) fn difference(found: &str, expected: &str) -> String {
    let (mut found, mut expected) = (found.lines(), expected.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (found.next(), expected.next()) {
            (Some(one), Some(other)) if one == other => {}
            (None, None) => return "line ends differ".to_owned(),
            (one, other) => {
                let [one, other] = [one, other].map(|line| line.unwrap_or("(its end)"));
                return format!("line {number} is\n  {one}\nand should be\n  {other}");
            }
        }
    }
}
