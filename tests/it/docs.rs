//! The documentation says what the program does, and nothing else.

pub(crate) mod configuration;
mod dashboards;
mod metrics;
mod texts;

use std::path::{Path, PathBuf};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The content of a file of the repository.
fn page(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The cells of all tables of a page, without heads.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = page.lines().collect();
    let mut rows = Vec::new();
    for (line, next) in lines.iter().zip(lines.iter().skip(1).chain([&""])) {
        let cells = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        let rule = |line: &str| line.starts_with("| ---");
        if let (Some(cells), false, false) = (cells, rule(line), rule(next)) {
            rows.push(cells.split('|').map(str::trim).collect());
        }
    }
    rows
}

/// The words of a cell that are marked as code.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A cell that consists of one word marked as code.
fn one_code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|word| !word.contains('`'))
}

#[test]
fn tables_are_read_without_heads_and_rules() {
    let page = "| a | b |\n| --- | --- |\n| `x`, `y` | 1 |\n|  | |\n\n| not a row\n";
    assert_eq!(rows(page), [vec!["`x`, `y`", "1"], vec!["", ""]]);
    assert_eq!(code("`x`, `y` z"), ["x", "y"]);
    assert_eq!([one_code("`x`"), one_code("`x`, `y`"), one_code("x")], [Some("x"), None, None]);
}
