//! Every key of the configuration, from the program's own errors: for an unknown key at any place, it
//! lists those that it knows there.

use std::collections::BTreeSet;
use std::path::Path;

use wazzup_exporter::config;

/// A key that exists nowhere and resembles none.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzz";

/// What stands at a place, as far as an unknown key reveals it.
enum Kind {
    /// These keys.
    Mapping(Vec<String>),
    /// Items with these keys.
    List(Vec<String>),
    /// Names of the user's choice, each with these keys.
    Named(Vec<String>),
    /// Names of the user's choice, each with a text.
    Texts,
    Leaf,
}

/// Paths of all keys: `accounts[].auth.token`, with `*` for a name of the user's choice.
pub(crate) fn known() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    descend("", &mut keys);
    keys
}

fn descend(path: &str, keys: &mut BTreeSet<String>) {
    let (path, names) = match kind(path) {
        Kind::Mapping(names) => (path.to_owned(), names),
        Kind::List(names) => (format!("{path}[]"), names),
        Kind::Named(names) => {
            keys.insert(format!("{path}.*"));
            (format!("{path}.*"), names)
        }
        Kind::Texts => {
            keys.insert(format!("{path}.*"));
            return;
        }
        Kind::Leaf => return,
    };
    for name in names {
        let key = if path.is_empty() { name } else { format!("{path}.{name}") };
        descend(&key, keys);
        keys.insert(key);
    }
}

fn kind(path: &str) -> Kind {
    let unknown = format!("{{{UNKNOWN}: 1}}");
    if let Some(names) = known_keys(path, &unknown) {
        Kind::Mapping(names)
    } else if let Some(names) = known_keys(path, &format!("[{unknown}]")) {
        Kind::List(names)
    } else if let Some(names) = known_keys(path, &format!("{{x: {unknown}}}")) {
        Kind::Named(names)
    } else if messages(path, "{x: {}}")
        .iter()
        .any(|message| message.contains(".x: ") && message.contains("where text is wanted"))
    {
        Kind::Texts
    } else {
        Kind::Leaf
    }
}

/// The keys that are known where `value` puts the unknown one.
fn known_keys(path: &str, value: &str) -> Option<Vec<String>> {
    let place = format!("unknown key \"{UNKNOWN}\"; known here: ");
    messages(path, value).iter().find_map(|message| {
        let (_, names) = message.split_once(&place)?;
        Some(names.split(", ").map(str::to_owned).collect())
    })
}

/// What the program says of a configuration that has nothing but `value` at `path`.
fn messages(path: &str, value: &str) -> Vec<String> {
    let mut yaml = value.to_owned();
    for part in path.rsplit('.').filter(|part| !part.is_empty()) {
        yaml = match part.strip_suffix("[]") {
            Some(list) => format!("{{{list}: [{yaml}]}}"),
            None if part == "*" => format!("{{x: {yaml}}}"),
            None => format!("{{{part}: {yaml}}}"),
        };
    }
    let error = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap_err();
    error.problems.into_iter().map(|problem| problem.message).collect()
}

#[test]
fn the_program_names_its_keys_at_every_depth() {
    let known = known();
    for key in [
        "poll.interval",
        "partners.*.email",
        "accounts[].auth.oauth.partner",
        "accounts[].discover_users.labels[].set.*",
        "accounts[].users[].labels.*",
    ] {
        assert!(known.contains(key), "{key} is not in {known:#?}");
    }
    assert!(
        !known.contains("accounts[].name.*") && !known.contains("account_files[]"),
        "{known:#?}"
    );
}
