//! What stands under a key: [`Key`] for a single value, [`Nested`] for a mapping or a list.
//!
//! The types of the file are made of them. Both know their place; a [`Key`] was checked by its [`Value`] when
//! it was read, and what is wrong with it waits there until the section notes it, so that one run finds
//! everything.

use serde::de::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::problems::place::{At, place};
use crate::problems::read::Written;
use crate::problems::report::Scope;

/// A type of values: what may be written, and what is wrong with everything else.
pub(super) trait Value {
    /// What a good one stands for.
    type Of: Clone;

    /// Reads what is written. The error follows the name of the key, holds nothing of what is written that may be
    /// a secret, and says what to write.
    fn read(written: &Written) -> Result<Self::Of, String>;
}

/// A single value under a key.
#[derive(Clone)]
pub(super) struct Key<T: Value> {
    value: Option<Result<T::Of, String>>,
    pub(super) at: At,
}

impl<T: Value> Key<T> {
    /// Whether it stands in the file.
    pub(super) fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// The value, if it is good.
    pub(super) fn good(&self) -> Option<&T::Of> {
        self.value.as_ref().and_then(|value| value.as_ref().ok())
    }

    /// The value, if it is given and good; notes what is wrong with it.
    pub(super) fn get(&self, name: &str, scope: &mut Scope<'_>) -> Option<T::Of> {
        match self.value.as_ref()? {
            Ok(value) => Some(value.clone()),
            Err(what) => scope.refuse(self.at, name, what),
        }
    }

    /// The same, or a default.
    pub(super) fn or(&self, default: impl Into<T::Of>, name: &str, scope: &mut Scope<'_>) -> T::Of {
        self.get(name, scope).unwrap_or_else(|| default.into())
    }

    /// The value of a key that has to be in the section at `section`.
    pub(super) fn require(
        &self,
        name: &str,
        section: At,
        remedy: &str,
        scope: &mut Scope<'_>,
    ) -> Option<T::Of> {
        if !self.is_given() {
            missing(name, section, remedy, scope);
        }
        self.get(name, scope)
    }
}

/// Notes that a section lacks a key.
pub(super) fn missing(name: &str, section: At, remedy: &str, scope: &mut Scope<'_>) {
    scope.problem(section, "", format_args!("has no {name}; {remedy}"));
}

/// The items of the list `name`, if all are good; notes what is wrong with them.
pub(super) fn items<T: Value>(
    list: &[Key<T>],
    name: &str,
    scope: &mut Scope<'_>,
) -> Option<Vec<T::Of>> {
    let items = list.iter().enumerate();
    let items = items.map(|(index, item)| item.get(&format!("{name}[{index}]"), scope));
    // All of them, before the first that is not good ends it.
    items.collect::<Vec<_>>().into_iter().collect()
}

impl<T: Value> Default for Key<T> {
    fn default() -> Self {
        Self { value: None, at: None }
    }
}

impl<'de, T: Value> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<Written>::deserialize(deserializer)?;
        Ok(Self { value: Some(T::read(&written.value)), at: place(&written) })
    }
}

/// A mapping or a list under a key, or an item of a list. Nothing at all stands for an empty one: its keys
/// are often all commented out.
#[derive(Clone, Default)]
pub(super) struct Nested<T> {
    pub(super) keys: T,
    pub(super) at: At,
}

impl<T> Nested<T> {
    /// Whether it stands in the file.
    pub(super) fn is_given(&self) -> bool {
        self.at.is_some()
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Nested<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<Option<T>>::deserialize(deserializer)?;
        let at = place(&written);
        Ok(Self { keys: written.value.unwrap_or_default(), at })
    }
}
