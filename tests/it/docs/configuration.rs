//! The keys of the configuration, as the tables of docs/configuration.md have them, which are made from the types.

use std::collections::BTreeSet;
use std::path::Path;

use wazzup_exporter::config;

use super::{one_code, page, rows};

/// Paths of all keys: `accounts[].auth.token`, with `*` for a name of the user's choice.
pub(crate) fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for row in rows(&page("docs/configuration.md")) {
        if let ([key, _, _, _, _], Some(name)) = (row.as_slice(), one_code(row[0])) {
            assert!(keys.insert(name.to_owned()), "{key} is documented twice");
        }
    }
    keys
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
