//! Finds line and column of a value whose place in the tree is known.
//!
//! The YAML library gives places only in errors. So a text in which something was found wrong is
//! read once more, down to the value in question, which is then refused on purpose; good
//! configurations pay nothing. [`report`](super::report) asks for places, [`node`](super::node) for
//! the text of numbers that are meant as text.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;

use super::tree::{Anywhere, place_of};

/// Line and column, from 1, of what `steps` lead to: at each level the index of the list item or
/// of the mapping's entry. With `key` the last step means the entry's key instead of its value.
pub(crate) fn locate(bytes: &[u8], steps: &[usize], key: bool) -> Option<(usize, usize)> {
    let seek = Seek { steps, key, text: None };
    seek.deserialize(Deserializer::from_slice(bytes)).err().as_ref().and_then(place_of)
}

/// The scalar that `steps` lead to, as it is written: `0x1F` and not 31.
pub(crate) fn written(bytes: &[u8], steps: &[usize], key: bool) -> Option<String> {
    let text = RefCell::new(None);
    let seek = Seek { steps, key, text: Some(&text) };
    // It always ends in an error: what is found is refused, so that nothing else is read.
    let _ = seek.deserialize(Deserializer::from_slice(bytes));
    text.take()
}

#[derive(Clone, Copy)]
struct Seek<'a> {
    steps: &'a [usize],
    key: bool,
    /// Where to put the text that is found, if that is what is wanted.
    text: Option<&'a RefCell<Option<String>>>,
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
        match self.text {
            _ if !self.steps.is_empty() => source.deserialize_any(self),
            Some(text) => source.deserialize_str(Take(text)),
            None => source.deserialize_any(Anywhere),
        }
    }
}

/// Takes a scalar's text and refuses to go on.
struct Take<'a>(&'a RefCell<Option<String>>);

impl Visitor<'_> for Take<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.replace(Some(text.to_owned()));
        Err(E::custom("it is found"))
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
    fn scalars_are_given_as_they_are_written() {
        let text = b"0x1F: 1_0\nb: [true, 1.50, ~, {}]\n---\n0x1F: other\n";
        let written = |steps: &[usize], key| written(text, steps, key);
        assert_eq!(written(&[0], true).as_deref(), Some("0x1F"));
        assert_eq!(written(&[0], false).as_deref(), Some("1_0"));
        assert_eq!(written(&[1, 0], false).as_deref(), Some("true"));
        assert_eq!(written(&[1, 1], false).as_deref(), Some("1.50"));
        assert_eq!(written(&[1, 3], false), None);
    }

    #[test]
    fn what_an_alias_repeats_is_found_at_its_anchor() {
        assert_eq!(value(&[5, 0]), Some((8, 17)));
    }
}
