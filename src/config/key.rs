//! What stands under a key: [`Key`] for a single value, [`Nested`] for a mapping or a list.
//!
//! The types of the file are made of them. Both know their place; a [`Key`] was checked by its [`Value`] when
//! it was read, and what is wrong with it waits there until the section notes it, so that one run finds
//! everything.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_saphyr::Spanned;

use crate::problems::place::{At, place};
use crate::problems::report::Noted;
use crate::problems::scope::Scope;
use crate::problems::written::Written;

/// A type of values: what may be written, and what is wrong with everything else.
pub(super) trait Value: Sized {
    /// Makes a value of what is written. The error follows the name of the key, holds nothing of what is
    /// written that may be a secret, and says what to write.
    fn read(written: &Written) -> Result<Self, String>;
}

/// A single value under a key.
#[derive(Clone)]
pub(super) struct Key<T> {
    value: Option<Result<T, String>>,
    at: At,
}

impl<T> Key<T> {
    /// Neither given nor known by default.
    pub(super) const MISSING: Self = Self { value: None, at: None };

    /// A value that stands in no file: a default, or one in use.
    pub(super) fn of(value: T) -> Self {
        Self { value: Some(Ok(value)), at: None }
    }

    /// Likewise, where there may be none.
    pub(super) fn optional(value: Option<T>) -> Self {
        Self { value: value.map(Ok), at: None }
    }

    /// Whether there is neither a value nor a default.
    pub(super) fn is_missing(&self) -> bool {
        self.value.is_none()
    }

    /// Whether it stands in the file.
    pub(super) fn is_given(&self) -> bool {
        self.at.is_some()
    }

    /// Where it stands.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// The value, if it is good.
    pub(super) fn good(&self) -> Option<&T> {
        self.value.as_ref().and_then(|value| value.as_ref().ok())
    }
}

impl<T: Clone> Key<T> {
    /// The value, if it is good; notes what is wrong with it.
    pub(super) fn check(&self, name: &str, scope: &mut Scope<'_>) -> Result<Option<T>, Noted> {
        match &self.value {
            Some(Err(what)) => {
                scope.problem(self.at, name, what);
                Err(Noted)
            }
            Some(Ok(value)) => Ok(Some(value.clone())),
            None => Ok(None),
        }
    }

    /// The value of a key that has to be in the section at `section`, or has a default.
    pub(super) fn require(
        &self,
        name: &str,
        section: At,
        remedy: &str,
        scope: &mut Scope<'_>,
    ) -> Result<T, Noted> {
        self.check(name, scope)?.ok_or_else(|| missing(name, section, remedy, scope))
    }

    /// The value of a key that has a default.
    pub(super) fn value(&self, name: &str, scope: &mut Scope<'_>) -> Result<T, Noted> {
        self.require(name, None, "it has no default", scope)
    }
}

/// Notes that a section lacks a key.
pub(super) fn missing(name: &str, section: At, remedy: &str, scope: &mut Scope<'_>) -> Noted {
    scope.problem(section, "", format_args!("has no {name}; {remedy}"));
    Noted
}

impl<T> Default for Key<T> {
    fn default() -> Self {
        Self::MISSING
    }
}

impl<'de, T: Value> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<Written>::deserialize(deserializer)?;
        Ok(Self { value: Some(T::read(&written.value)), at: place(&written) })
    }
}

impl<T: Serialize> Serialize for Key<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.good().serialize(serializer)
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
    /// One that stands in no file.
    pub(super) fn of(keys: T) -> Self {
        Self { keys, at: None }
    }

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

impl<T: Serialize> Serialize for Nested<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.keys.serialize(serializer)
    }
}

/// A section that can be switched off.
pub(super) trait Switched: Serialize {
    /// Whether it is on.
    fn is_on(&self) -> bool;
}

/// Shows a section; of what is switched off nothing else counts.
pub(super) fn if_on<T: Switched, S: Serializer>(
    section: &Nested<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if section.keys.is_on() {
        section.serialize(serializer)
    } else {
        serializer.collect_map([("enabled", false)])
    }
}

/// Notes what is wrong with the items of a list, and gives them all if nothing is.
pub(super) fn check_items<I, T>(
    items: &[I],
    mut check: impl FnMut(usize, &I) -> Result<T, Noted>,
) -> Result<Vec<T>, Noted> {
    let checked: Vec<_> =
        items.iter().enumerate().map(|(index, item)| check(index, item)).collect();
    checked.into_iter().collect()
}
