//! As much of `PromQL` as tells which metrics and labels an expression names. Prometheus itself judges
//! whether it is an expression at all.

use std::collections::BTreeSet;

use regex::Regex;

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Names {
    /// Metrics, each with the labels that are matched.
    pub(super) selectors: Vec<(String, BTreeSet<String>)>,
    /// Labels in `by`, `on` and the like.
    pub(super) grouped: BTreeSet<String>,
}

pub(super) fn names(expression: &str) -> Names {
    let strings = regex(r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"#);
    let bare = strings.replace_all(expression, "''");
    let groupings = regex(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)");
    let mut names = Names::default();
    for found in groupings.captures_iter(&bare) {
        let labels = found[1].split(',').map(str::trim).filter(|label| !label.is_empty());
        names.grouped.extend(labels.map(str::to_owned));
    }
    let bare = groupings.replace_all(&bare, " ");
    let bare = regex(r"\[[^\]]*\]|\b[0-9][0-9a-z.]*").replace_all(&bare, " ");
    let words = regex(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{[^}]*\})?");
    let label = regex(r"(\w+)\s*(?:=~|!~|!=|=)");
    for found in words.captures_iter(&bare) {
        let after = found.get(2).map_or("", |after| after.as_str());
        let keyword = matches!(&found[1], "and" | "or" | "unless" | "bool" | "offset");
        if after == "(" || keyword {
            continue;
        }
        let labels = label.captures_iter(after).map(|label| label[1].to_owned()).collect();
        names.selectors.push((found[1].to_owned(), labels));
    }
    names
}

/// The selectors of an expression as they are written, without ranges.
pub(super) fn selectors(expression: &str) -> BTreeSet<String> {
    let wanted: BTreeSet<_> =
        names(expression).selectors.into_iter().map(|(name, _)| name).collect();
    let words = regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^}]*\})?");
    let found = words.find_iter(expression).map(|word| word.as_str().to_owned());
    found.filter(|word| wanted.contains(word.split('{').next().unwrap_or_default())).collect()
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

#[test]
fn metrics_labels_and_groupings_are_told_apart() {
    let expression = r#"sum by (account, user) (rate(a_total{x="by (z)",y=~'b'}[5m])) > on (account) group_left () 2 * a:b
        and bool_metric offset 3m unless c{d!="{"}"#;
    let found = names(expression);
    let metric = |name: &str, labels: &[&str]| {
        (name.to_owned(), labels.iter().map(|&label| label.to_owned()).collect())
    };
    let selectors = vec![
        metric("a_total", &["x", "y"]),
        metric("a:b", &[]),
        metric("bool_metric", &[]),
        metric("c", &["d"]),
    ];
    assert_eq!(found.selectors, selectors);
    assert_eq!(found.grouped.into_iter().collect::<Vec<_>>(), ["account", "user"]);
}
