//! docs/configuration.md, docs/config.schema.json and config.example.yaml have the keys of the program.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use wazzup_exporter::config;

use super::keys::known;
use super::{one_code, page, rows};

/// The first cells of the tables with five columns.
fn documented(page: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for row in rows(page) {
        if let ([key, _, _, _, _], Some(name)) = (row.as_slice(), one_code(row[0])) {
            assert!(keys.insert(name.to_owned()), "{key} is documented twice");
        }
    }
    keys
}

#[test]
fn every_key_is_documented_and_no_other() {
    assert_eq!(documented(&page("docs/configuration.md")), known());
}

#[test]
fn the_configurations_in_the_documentation_have_good_keys() {
    for name in ["docs/configuration.md", "README.md"] {
        let page = page(name);
        let mut blocks = 0;
        for block in page.split("```yaml\n").skip(1) {
            let (yaml, _) = block.split_once("```").unwrap();
            // A comment for an editor, and what Prometheus reads.
            if yaml.starts_with('#') || yaml.contains("scrape_configs:") {
                continue;
            }
            blocks += 1;
            // Files that are not there and parts that are left out are no fault of the keys.
            let problems = config::parse(yaml.as_bytes(), Path::new("test.yaml"));
            let problems = problems.map_or_else(|error| error.problems, |_| Vec::new());
            for problem in problems {
                let message = problem.message;
                let expected = message.contains("cannot be read")
                    || message.contains("configures no account")
                    || message.contains("is no name under partners")
                    || message.contains("matches no file");
                assert!(expected, "{name}: {message}\n{yaml}");
            }
        }
        assert!(blocks > 0, "{name}");
    }
}

#[test]
fn the_schema_has_every_key_and_no_other() {
    let schema: Value = serde_json::from_str(&page("docs/config.schema.json")).unwrap();
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys);
    assert_eq!(keys, known());
}

/// The keys below a place of the schema. Everything that is a mapping must say that it knows no
/// other ones.
fn collect(schema: &Value, place: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(reference) = place["$ref"].as_str() {
        let target = schema.pointer(reference.strip_prefix('#').unwrap());
        return collect(schema, target.unwrap_or_else(|| panic!("{reference}")), path, keys);
    }
    for below in place["anyOf"].as_array().into_iter().flatten() {
        collect(schema, below, path, keys);
    }
    if place["items"].is_object() && place["items"]["type"] != "string" {
        collect(schema, &place["items"], &format!("{path}[]"), keys);
    }
    let more = &place["additionalProperties"];
    if more.is_object() {
        keys.insert(format!("{path}.*"));
        collect(schema, more, &format!("{path}.*"), keys);
    } else if place["properties"].is_object() {
        assert_eq!(*more, Value::Bool(false), "{path} takes unknown keys");
    }
    for (name, below) in place["properties"].as_object().into_iter().flatten() {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(schema, below, &key, keys);
        assert!(below["description"].is_string() || below["$ref"].is_string(), "{key}");
        keys.insert(key);
    }
}
