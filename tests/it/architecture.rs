//! Who may import whom: between rooms by the table, between files without circles. A new edge is added
//! here together with the reason, in its commit.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::graph::{Graph, production_code};

/// A room and what it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // Leaves: one helper each for what several rooms need.
    ("text", &[]),
    ("net", &[]),
    ("blocking", &[]),
    ("files", &[]),
    // Values.
    ("clock", &[]),
    // Since when red has been above 0 is a moment on the clock for ages.
    ("counter", &["clock"]),
    ("channel", &[]),
    ("schedule", &[]),
    // Working hours are part of an account's settings, which are shown without their secrets.
    ("account", &["net", "schedule", "text"]),
    ("metrics", &["blocking"]),
    ("storage", &["blocking", "files"]),
    // When a pause that upstream asked for ends, for people.
    ("limit", &["account", "blocking", "clock", "metrics", "schedule"]),
    ("transport", &["account", "blocking", "counter", "metrics", "net", "text"]),
    (
        "auth",
        &[
            "account",
            "blocking",
            "clock",
            "files",
            "limit",
            "metrics",
            // When tokens are renewed, and the pauses after failures.
            "schedule",
            // A refresh token is good once: the next one must survive the process.
            "storage",
            "text",
            "transport",
        ],
    ),
    (
        "api",
        &[
            "account",
            "auth",
            "blocking",
            "channel",
            "clock",
            "counter",
            "limit",
            "metrics",
            "text",
            "transport",
        ],
    ),
    // One way of reading YAML with located errors, for two kinds of files.
    ("problems", &["text"]),
    ("config", &["account", "files", "net", "problems", "schedule", "text"]),
    // How secrets are hidden in debug output.
    ("web_config", &["files", "problems", "text"]),
    ("snapshot", &["account", "blocking", "channel", "clock", "counter", "metrics"]),
    // Documents are made away from the async threads.
    ("exposition", &["account", "blocking", "channel", "clock", "counter", "metrics", "snapshot"]),
    ("health", &["blocking"]),
    ("shutdown", &[]),
    // Which accounts a process polls, and what becomes of limits that they have in common.
    ("shard", &["account", "schedule", "text"]),
    // It reports to the service manager that the process is ready, alive and stopping.
    ("systemd", &["health", "shutdown"]),
    (
        "poller",
        &[
            "account",
            "api",
            "auth",
            "blocking",
            "channel",
            "clock",
            "counter",
            "health",
            "metrics",
            "schedule",
            "shutdown",
            "snapshot",
            // Since when users are red survives a restart.
            "storage",
            "text",
            "transport",
        ],
    ),
    (
        "reset",
        &[
            "account",
            "api",
            "blocking",
            "clock",
            // What the counters of all users add up to.
            "counter",
            "files",
            "metrics",
            "poller",
            // What is not decided yet is given up.
            "shutdown",
            "storage",
            "text",
            "transport",
        ],
    ),
    ("supervisor", &["account", "health", "poller", "schedule", "shutdown", "snapshot"]),
    // The service manager waits for the end of a reload.
    ("reload", &["clock", "config", "metrics", "shutdown", "systemd", "text"]),
    (
        "doctor",
        &["account", "api", "auth", "channel", "clock", "metrics", "snapshot", "text", "transport"],
    ),
    // Only what `fuzz/` reaches in no other way, and only in its builds.
    ("fuzzing", &["auth", "exposition", "poller", "reset"]),
    (
        "http",
        &[
            "blocking",
            "channel",
            "clock",
            "exposition",
            "health",
            "metrics",
            // Clients are told apart by their networks.
            "net",
            // The services that requests are handed to.
            "reload",
            "reset",
            "shutdown",
            "snapshot",
            "web_config",
        ],
    ),
    // The only place that wires things.
    (
        "app",
        &[
            "account",
            "api",
            "auth",
            "blocking",
            "clock",
            "config",
            "counter",
            "doctor",
            "exposition",
            "files",
            "health",
            "http",
            "limit",
            "metrics",
            "net",
            "poller",
            "reload",
            "reset",
            "shard",
            "shutdown",
            "snapshot",
            "storage",
            "supervisor",
            "systemd",
            "text",
            "transport",
            "web_config",
        ],
    ),
    (
        "cli",
        &[
            // The folder of an account in the storage.
            "account",
            "app",
            "blocking",
            "config",
            "doctor",
            "files",
            "metrics",
            "reload",
            "shard",
            "shutdown",
            "simulator",
            "storage",
            "systemd",
            "text",
            "web_config",
        ],
    ),
    // Why a command failed. Sockets are taken over before there are threads.
    ("main", &["app", "cli", "systemd"]),
    ("simulator", &[]),
];

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table = table();
    let mut wrong = Vec::new();
    for (room, imports) in graph().rooms() {
        let allowed = table.get(room.as_str());
        for (import, file) in imports {
            if !allowed.is_some_and(|allowed| allowed.contains(&*import)) {
                wrong.push(format!("{}: {room} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_row_and_no_edge_that_is_not_used() {
    let rooms = graph().rooms();
    for (room, allowed) in table() {
        let used: BTreeSet<&str> = match rooms.get(room) {
            Some(used) => used.keys().map(String::as_str).collect(),
            None => panic!("the table names {room}, which does not exist"),
        };
        let unused: Vec<_> = allowed.difference(&used).collect();
        assert!(unused.is_empty(), "{room} may import {unused:?} and does not");
    }
}

#[test]
fn no_room_imports_itself_through_others() {
    let edges = table().into_iter().map(|(room, imports)| {
        (room.into(), imports.into_iter().map(PathBuf::from).collect::<BTreeSet<_>>())
    });
    assert_eq!(circles(&edges.collect()), Vec::<Vec<PathBuf>>::new());
}

#[test]
fn no_file_imports_itself_through_others() {
    let circles = circles(&graph().files());
    assert!(circles.is_empty(), "circles of files: {circles:#?}");
}

#[test]
fn circles_are_found_and_lines_are_not() {
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for (from, to) in pairs {
            edges.entry(from.into()).or_default().insert(to.into());
        }
        circles(&edges)
    };
    assert!(edges(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    let found = edges(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]);
    assert_eq!(found, [["b", "c"].map(PathBuf::from)]);
}

#[test]
fn paths_are_followed_to_the_file_that_defines_the_name() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("a/mod.rs", "mod b;\nmod c;\npub use self::b::{B, Other as O};\n"),
        ("a/b.rs", "use super::c::C;\npub struct B;\npub struct Other;\n"),
        ("a/c.rs", "pub struct C;\n#[cfg(test)]\nuse super::B;\n"),
        ("d.rs", "use std::fmt;\nuse crate::a::{self, O};\nfn f() { crate::e::g(); }\n"),
        ("e.rs", "// crate::d\npub fn g() { super::a::B; }\n"),
    ] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let graph = Graph::read(folder.path());
    let edges: BTreeMap<_, Vec<_>> =
        graph.files().into_iter().map(|(file, to)| (file, to.into_iter().collect())).collect();
    let expect = |file: &str, to: &[&str]| {
        let found: Vec<_> = edges[Path::new(file)].iter().map(|to| to.to_str().unwrap()).collect();
        assert_eq!(found, to, "{file}");
    };
    expect("a/mod.rs", &[]);
    expect("a/b.rs", &["a/c.rs"]);
    expect("a/c.rs", &[]);
    expect("d.rs", &["a/b.rs", "a/mod.rs", "e.rs"]);
    expect("e.rs", &["a/b.rs"]);
    let rooms: Vec<_> = graph.rooms()["d"].keys().cloned().collect();
    assert_eq!(rooms, ["a", "e"]);
}

#[test]
fn only_what_is_for_tests_is_left_out() {
    let text = "#[cfg(test)]\nmod tests;\nuse crate::a;\n#[cfg(test)]\nfn f() {\n    b();\n}\nc();";
    assert_eq!(production_code(text), "use crate::a;\nc();");
}

#[test]
fn the_library_root_exports_modules_and_nothing_else() {
    let root = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let code = root.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//"));
    for line in code {
        let module = line.starts_with("pub mod ") && line.ends_with(';');
        assert!(module || line == "#[cfg(fuzzing)]", "in lib.rs: {line}");
    }
}

fn table() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    MAY_IMPORT.iter().map(|(room, imports)| (*room, imports.iter().copied().collect())).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn graph() -> Graph {
    Graph::read(&source())
}

/// Groups of nodes each of which reaches all others of its group.
fn circles(edges: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> Vec<Vec<PathBuf>> {
    let reach = |from: &Path| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(node) = next.pop() {
            for to in edges.get(node).into_iter().flatten() {
                if reached.insert(to.as_path()) {
                    next.push(to);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        edges.keys().map(|node| (node.as_path(), reach(node))).collect();
    let mut found: Vec<Vec<PathBuf>> = Vec::new();
    for (node, to) in &reached {
        let back = |other: &&&Path| reached.get(**other).is_some_and(|to| to.contains(node));
        let group: Vec<PathBuf> = to.iter().filter(back).map(|other| other.to_path_buf()).collect();
        if to.contains(node) && !found.contains(&group) {
            found.push(group);
        }
    }
    found
}
