//! Finds line and column of a value whose place in the tree is known.
//!
//! The YAML library tells places only in errors. So a text in which something was found wrong is
//! read once more, down to the value in question, which is then refused on purpose; good
//! configurations pay nothing. [`report`](super::report) is the only caller.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;

use super::tree::{Anywhere, place_of};

/// Line and column, from 1, of what `steps` lead to: at each level the index of the list item or
/// of the mapping's entry. With `key` the last step means the entry's key instead of its value.
pub(crate) fn locate(bytes: &[u8], steps: &[usize], key: bool) -> Option<(usize, usize)> {
    let seek = Seek { steps, key };
    seek.deserialize(Deserializer::from_slice(bytes)).err().as_ref().and_then(place_of)
}

#[derive(Clone, Copy)]
struct Seek<'a> {
    steps: &'a [usize],
    key: bool,
}

impl Seek<'_> {
    /// How many children come before the one on the way, and what to seek in it.
    fn next<E: Error>(self) -> Result<(usize, Self), E> {
        match self.steps.split_first() {
            Some((index, steps)) => Ok((*index, Self { steps, ..self })),
            None => Err(E::custom("the way ended above")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        if self.steps.is_empty() {
            source.deserialize_any(Anywhere)
        } else {
            source.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a mapping")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (before, seek) = self.next()?;
        for _ in 0..before {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(seek)?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (before, seek) = self.next()?;
        for _ in 0..before {
            entries.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if seek.key && seek.steps.is_empty() {
            entries.next_key_seed(seek)?;
        } else if entries.next_key::<IgnoredAny>()?.is_some() {
            entries.next_value_seed(seek)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a: 1
list:
  - x
  - {k: v, ü: [1, 22]}
map:
    inner: text
\"quoted\" :   'q'
alias: &anchor [1]
again: *anchor
";

    fn value(steps: &[usize]) -> Option<(usize, usize)> {
        locate(TEXT.as_bytes(), steps, false)
    }

    fn key(steps: &[usize]) -> Option<(usize, usize)> {
        locate(TEXT.as_bytes(), steps, true)
    }

    #[test]
    fn values_are_found_where_they_start() {
        assert_eq!(value(&[]), Some((1, 1)));
        assert_eq!(value(&[0]), Some((1, 4)));
        assert_eq!(value(&[1]), Some((3, 3)));
        assert_eq!(value(&[1, 0]), Some((3, 5)));
        assert_eq!(value(&[1, 1]), Some((4, 5)));
        assert_eq!(value(&[1, 1, 1, 1]), Some((4, 19)));
        assert_eq!(value(&[2]), Some((6, 5)));
        assert_eq!(value(&[2, 0]), Some((6, 12)));
        assert_eq!(value(&[3]), Some((7, 14)));
    }

    #[test]
    fn keys_are_found_where_they_start() {
        assert_eq!(key(&[0]), Some((1, 1)));
        assert_eq!(key(&[1, 1, 1]), Some((4, 12)));
        assert_eq!(key(&[2, 0]), Some((6, 5)));
        assert_eq!(key(&[3]), Some((7, 1)));
    }

    #[test]
    fn what_an_alias_repeats_is_found_at_its_anchor() {
        assert_eq!(value(&[5, 0]), Some((8, 17)));
    }
}
