//! The rule files, read.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::deploy;

#[derive(Debug, Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

/// A recording or alerting rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) group: String,
    pub(super) record: Option<String>,
    pub(super) alert: Option<String>,
    pub(super) expr: String,
    #[serde(rename = "for")]
    pub(super) hold: Option<String>,
    #[serde(rename = "keep_firing_for")]
    pub(super) keep: Option<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Rule {
    /// What it records, or what it alerts.
    pub(super) fn name(&self) -> &str {
        self.record.as_ref().or(self.alert.as_ref()).unwrap()
    }
}

/// The names and texts of the rule files.
pub(super) fn files() -> Vec<(String, String)> {
    let folder = deploy().join("prometheus/rules");
    let files = std::fs::read_dir(folder).unwrap().map(|file| {
        let file = file.unwrap();
        (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// Every rule, in the order of the files.
pub(super) fn all() -> Vec<Rule> {
    let mut rules = Vec::new();
    for (name, text) in files() {
        let file: File = serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
        for group in file.groups {
            let of_group = |rule| Rule { group: group.name.clone(), ..rule };
            rules.extend(group.rules.into_iter().map(of_group));
        }
    }
    rules
}

pub(super) fn alerts() -> Vec<Rule> {
    all().into_iter().filter(|rule| rule.alert.is_some()).collect()
}
