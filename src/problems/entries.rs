//! Mappings whose keys are a person's own: labels, partners, users, headers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

use super::place::{At, place};

/// The entries of a mapping in the order of the file, each key once. A key is text as it is written, and
/// empty where it is null.
#[derive(Clone)]
pub(crate) struct Entries<T>(pub(crate) Vec<Entry<T>>);

/// One of them.
#[derive(Clone)]
pub(crate) struct Entry<T> {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) at: At,
    pub(crate) value: T,
}

impl<T> Entries<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<Option<String>>, T>()? {
            let at = place(&key);
            entries.push(Entry { key: key.value.unwrap_or_default(), at, value });
        }
        Ok(Entries(entries))
    }
}
