//! Extra labels: the mappings `labels` of accounts and users, and `set` of rules.

use crate::account::{LABEL_VALUE_MAX, LabelName, Labels};
use crate::problems::entries::Entries;
use crate::problems::hint::tellable;
use crate::problems::scope::Scope;

use super::key::{Key, Nested};
use super::value::Line;

/// Label values by label names.
pub(super) type LabelsKeys = Nested<Entries<Key<Line<LABEL_VALUE_MAX>>>>;

impl LabelsKeys {
    /// The labels under `key` that are good.
    pub(super) fn check(&self, key: &str, scope: &mut Scope<'_>) -> Labels {
        let mut labels = Labels::new();
        if self.is_empty() {
            return labels;
        }
        let scope = &mut scope.within(key);
        for entry in &self.keys.0 {
            let shown = tellable(&entry.key).unwrap_or("…");
            let value = entry.value.get(shown, scope);
            match (LabelName::parse(&entry.key), value) {
                (Ok(name), Some(value)) => drop(labels.insert(name, value)),
                (Ok(_), None) => {}
                (Err(why), _) => scope.problem(entry.at, shown, why),
            }
        }
        labels
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
