//! Extra labels: the mappings `labels` of accounts and users, and `set` of rules.

use crate::account::{LABEL_VALUE_MAX, LabelName, Labels};
use crate::problems::entries::Entries;
use crate::problems::hint::tellable;
use crate::problems::report::{Checked, Noted};
use crate::problems::scope::Scope;

use super::key::{Key, Nested};
use super::value::Line;

/// Label values by label names.
pub(super) type LabelsKeys = Nested<Entries<Key<Line<LABEL_VALUE_MAX>>>>;

impl LabelsKeys {
    /// The labels under `key`.
    pub(super) fn check(&self, key: &str, scope: &mut Scope<'_>) -> Checked<Labels> {
        if self.keys.is_empty() {
            return Ok(Labels::new());
        }
        let mut scope = scope.within(key);
        let mut labels = Ok(Labels::new());
        for entry in &self.keys.0 {
            let shown = tellable(&entry.key).unwrap_or("…");
            let name = LabelName::parse(&entry.key).map_err(|why| {
                scope.problem(entry.at, shown, why);
                Noted
            });
            let value = entry.value.require(shown, None, "", &mut scope);
            match (name, value) {
                (Ok(name), Ok(value)) => {
                    if let Ok(labels) = &mut labels {
                        labels.insert(name, value);
                    }
                }
                _ => labels = Err(Noted),
            }
        }
        labels
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
