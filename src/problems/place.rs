//! Places in files, mappings whose keys are a person's own and have places, too (labels, partners, users,
//! headers), and the names of the files that a configuration mentions.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::text;

/// A place within a file: line and column, from 1. Nothing is the file as a whole.
pub(crate) type At = Option<(u32, u32)>;

/// Where the YAML library places something.
pub(crate) fn at(location: &Location) -> At {
    let line = u32::try_from(location.line()).ok().filter(|line| *line > 0);
    line.zip(u32::try_from(location.column()).ok())
}

/// Where a value stands; one that an alias repeats stands at its anchor.
pub(crate) fn place<T>(value: &Spanned<T>) -> At {
    at(&value.defined)
}

/// A place in one of the files; as text `config.yaml:3:7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file.
    pub file: Arc<Path>,
    /// Line and column in it, in characters and from 1. Nothing is the file as a whole.
    pub at: Option<(u32, u32)>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::path(&self.file))?;
        self.at.map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))
    }
}

/// The folder against which the relative paths in a file count.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

/// What to call the file at `path` in a message, where `written` stands in the configuration. A secret put
/// there by mistake, with or without slashes in it, is no file and names no folder that exists, and is not repeated.
pub(crate) fn name_of(written: &str, path: &Path) -> String {
    let mut folders = Path::new(written).ancestors().zip(path.ancestors()).skip(1);
    let in_folder = folders.any(|(named, at)| named.file_name().is_some() && at.is_dir());
    if in_folder || path.exists() { text::path(path) } else { "the file".to_owned() }
}

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
