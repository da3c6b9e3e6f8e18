//! Who may import whom. A new edge is added here together with the reason, in its commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module and what it may import. `app` wires everything and may import all but the simulator.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // Working hours are part of an account's settings.
    ("account", &["schedule"]),
    ("counter", &[]),
    // Channels and roles, which upstream reads, the snapshot keeps and the exposition shows.
    ("channel", &[]),
    ("schedule", &[]),
    ("shutdown", &[]),
    ("clock", &[]),
    ("storage", &[]),
    ("metrics", &[]),
    ("simulator", &[]),
    ("health", &[]),
    // One way of reading YAML with located errors, for two kinds of files.
    ("yaml", &[]),
    ("limit", &["account", "metrics", "schedule"]),
    ("snapshot", &["account", "channel", "counter", "clock", "metrics"]),
    ("config", &["account", "schedule", "yaml"]),
    (
        "upstream",
        &[
            "account", "channel", "counter", "clock", "limit", "metrics",
            // When tokens are renewed, and the pauses after failures.
            "schedule",
            // A refresh token is good once: the next one must survive the process.
            "storage",
        ],
    ),
    ("exposition", &["account", "channel", "counter", "snapshot", "metrics", "clock"]),
    (
        "poller",
        &[
            "account",
            "channel",
            "counter",
            "schedule",
            "clock",
            "upstream",
            "snapshot",
            "exposition",
            "health",
            "metrics",
            "shutdown",
            // Since when users are red survives a restart.
            "storage",
        ],
    ),
    // The schedule for phases and pauses between restarts.
    ("supervisor", &["account", "poller", "snapshot", "health", "shutdown", "schedule"]),
    // Messages with replies; figures and codes are plain data.
    ("control", &[]),
    (
        "reset",
        &[
            "account", "clock", "control", "metrics", "poller", "storage",
            // What was not decided yet is given up.
            "shutdown", // What upstream said of the one request is told apart.
            "upstream",
        ],
    ),
    // What upstream says is put into words beside what an account is configured for.
    ("doctor", &["account", "channel", "clock", "metrics", "upstream"]),
    (
        "http",
        &[
            // Channels and roles are part of what the page shows.
            "channel",
            // Reloads and resets are asked for here.
            "control",
            "snapshot",
            "exposition",
            "health",
            "web_config",
            "metrics",
            "clock",
            "shutdown",
        ],
    ),
    // The stamp of a success.
    (
        "reload",
        &[
            "clock", "config", "control", "metrics", "shutdown",
            // The service manager waits for the end of a reload.
            "systemd",
        ],
    ),
    ("web_config", &["yaml"]),
    // It is told that the process is ready, alive and stopping.
    ("systemd", &["health", "shutdown"]),
    (
        "app",
        &[
            "account",
            "clock",
            "config",
            "control",
            // `login` says in words what it sees first.
            "counter",
            "doctor",
            "exposition",
            "health",
            "http",
            "limit",
            "metrics",
            "poller",
            "reload",
            // Resets, and for the command line what is on record of them.
            "reset",
            "shutdown",
            "snapshot",
            "storage",
            "supervisor",
            "systemd",
            "upstream",
            "web_config",
        ],
    ),
    // Signals become a shutdown, the version is that of the metrics, and flags say what is reloaded.
    (
        "bin",
        &[
            // Whether one of them has something to keep, which needs a storage.
            "account",
            "app",
            "config",
            "doctor",
            "simulator",
            "shutdown",
            "metrics",
            "reload",
            "storage",
            // Sockets are taken over before there are threads.
            "systemd",
            "web_config",
        ],
    ),
];

#[test]
fn modules_import_only_what_the_table_allows() {
    let table = table();
    let mut wrong = Vec::new();
    for (module, imports) in imports() {
        let allowed = table.get(module.as_str());
        for (import, file) in imports {
            if import != module && !allowed.is_some_and(|allowed| allowed.contains(&*import)) {
                wrong.push(format!("{}: {module} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_row_and_no_edge_that_is_not_used() {
    let imports = imports();
    for (module, allowed) in table() {
        let used: BTreeSet<&str> = match imports.get(module) {
            Some(used) => used.keys().map(String::as_str).collect(),
            None => panic!("the table names {module}, which does not exist"),
        };
        let unused: Vec<_> = allowed.difference(&used).collect();
        assert!(unused.is_empty(), "{module} may import {unused:?} and does not");
    }
}

#[test]
fn no_module_depends_on_itself_through_others() {
    let table = table();
    for module in table.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = table[module].iter().copied().collect();
        while let Some(import) = next.pop() {
            assert_ne!(import, *module, "{module} depends on itself");
            if reached.insert(import) {
                next.extend(table.get(import).into_iter().flatten());
            }
        }
    }
}

#[test]
fn only_what_is_for_tests_is_left_out() {
    let text = "#[cfg(test)]\nmod tests;\nuse crate::a;\n#[cfg(test)]\nfn f() {\n    crate::b();\n}\nuse crate::c; // crate::c\n";
    assert_eq!(paths(&production_code(text)), ["a".to_owned(), "c".to_owned()].into());
}

#[test]
fn the_library_root_exports_modules_and_nothing_else() {
    let root = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let code = root.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//"));
    for line in code {
        assert!(line.starts_with("pub mod ") && line.ends_with(';'), "in lib.rs: {line}");
    }
}

fn table() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    MAY_IMPORT
        .iter()
        .map(|(module, imports)| (*module, imports.iter().copied().collect()))
        .collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// What each module imports, and a file in which it does.
fn imports() -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let mut imports: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for file in rust_files(&source()) {
        let relative = file.strip_prefix(source()).unwrap().to_owned();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let found = imports.entry(module.to_owned()).or_default();
        for name in paths(&production_code(&text)) {
            found.insert(name, relative.clone());
        }
    }
    imports
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            files.push(path);
        }
    }
    files
}

/// Without comments, which may mention anything, and without what is compiled for tests only.
fn production_code(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // One item: a line, or everything up to the brace that closes it.
            let indent = line.len() - line.trim_start().len();
            let closes = |line: &str| line.trim() == "}" && line.len() - 1 == indent;
            let _ = lines.by_ref().find(|line| line.ends_with(';') || closes(line));
        } else if !line.trim_start().starts_with("//") {
            code.push(line);
        }
    }
    code.join("\n")
}

/// The modules behind `crate::` or, in the binary, behind the name of the library.
fn paths(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "wazzup_exporter::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            assert!(!name.is_empty(), "write out `use {root}…` one module a line: {rest:.40}");
            found.insert(name.to_owned());
        }
    }
    found
}
