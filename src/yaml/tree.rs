//! YAML text as an ordered tree that still knows what a person wrote.
//!
//! A plain serde struct cannot distinguish `token:` from `token: ""` or `id: 7` from `id: "7"`, and quotes
//! the value in its messages. A [`Tree`] keeps the kind of every scalar, the order of entries and
//! duplicate keys; [`node`](super::node) reads it. Neither type derives `Debug`: a tree may hold
//! tokens anywhere.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, MapAccess, SeqAccess, Visitor};
use serde::de::{DeserializeSeed, Deserializer as _, EnumAccess, Error, IgnoredAny};
use serde_yaml::Deserializer;

/// Deepest nesting; the deepest key of a configuration needs seven levels.
const DEPTH_MAX: usize = 32;
/// Most brackets open at once. The library takes time by the square of the depth before it hands out
/// anything to refuse. Quoted ones count too, hence far more than names of users add up to.
const OPEN_MAX: usize = 10_000;
/// Largest tree, aliases followed: 200,000 users with names and labels take about half. The library
/// bounds only the number of aliases, not what they repeat.
const SIZE_MAX: usize = 4_000_000;
/// Bytes of text that weigh as much as one value.
const TEXT_UNIT: usize = 32;

/// One YAML value.
pub(crate) enum Tree {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number; no key takes one.
    Float,
    /// Text, quoted or plain.
    Text(String),
    /// A sequence.
    List(Vec<Tree>),
    /// A mapping in written order, duplicates included.
    Map(Vec<(Tree, Tree)>),
}

/// Why a text is not a tree.
pub(crate) struct SyntaxError {
    /// Line and column, from 1.
    pub(crate) at: Option<(usize, usize)>,
    /// What is wrong and what to do; holds nothing of the text.
    pub(crate) message: String,
}

impl Tree {
    /// What it is, for "is … where text is wanted".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Parses a text that is one YAML document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Tree, SyntaxError> {
    let text = decode(bytes)?;
    let limits = Limits { left: Cell::new(SIZE_MAX), refusal: Cell::new(None) };
    let grow = Grow { limits: &limits, depth: 0 };
    grow.deserialize(Deserializer::from_str(text)).map_err(|error| {
        let refusal = limits.refusal.get();
        let second = if refusal.is_none() { second_document(text) } else { None };
        second.unwrap_or_else(|| explain(text, &error, refusal))
    })
}

/// Parses the first YAML document of a text, and returns whether something follows it. What that is
/// remains unread.
pub(crate) fn parse_first(bytes: &[u8]) -> Result<(Tree, bool), SyntaxError> {
    let text = decode(bytes)?;
    let limits = Limits { left: Cell::new(SIZE_MAX), refusal: Cell::new(None) };
    let grow = Grow { limits: &limits, depth: 0 };
    let mut documents = Deserializer::from_str(text);
    let Some(first) = documents.next() else { return Ok((Tree::Null, false)) };
    let tree =
        grow.deserialize(first).map_err(|error| explain(text, &error, limits.refusal.get()))?;
    let follows = match documents.next() {
        None => false,
        Some(_) if text.lines().skip(1).any(|line| line.starts_with("---")) => true,
        // Nothing has begun a second one: the first goes on in a way that is no YAML.
        Some(rest) => match IgnoredAny::deserialize(rest) {
            Ok(_) => true,
            Err(syntax) => return Err(in_words(&syntax)),
        },
    };
    Ok((tree, follows))
}

/// Checks what the library reports without a place: the encoding and forbidden characters.
fn decode(bytes: &[u8]) -> Result<&str, SyntaxError> {
    let refuse = |offset: usize, message: String| {
        let before = String::from_utf8_lossy(bytes.get(..offset).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        SyntaxError { at: Some((line, column)), message }
    };
    let text = str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let message = format!("is not UTF-8 from byte {offset} on; save the file as UTF-8");
        refuse(offset, message)
    })?;
    if let Some((offset, letter)) = text.char_indices().find(|(_, letter)| !printable(*letter)) {
        let code = u32::from(letter);
        let what = format!("the character U+{code:04X} is not allowed in YAML; remove it");
        return Err(refuse(offset, what));
    }
    match too_many_open(bytes) {
        Some(offset) => Err(refuse(offset, TOO_DEEP.to_owned())),
        None => Ok(text),
    }
}

/// Where the brackets open at once become too many.
fn too_many_open(bytes: &[u8]) -> Option<usize> {
    let mut open = 0_usize;
    bytes.iter().position(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > OPEN_MAX
    })
}

/// The characters of YAML 1.2, section 5.1.
fn printable(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}')
        || letter >= '\u{10000}'
}

/// Turns a failure of the library into words.
///
/// Only a syntax error is quoted, because its words are fixed: all others may quote the value. A
/// syntax error is one that remains when no value is looked at.
fn explain(text: &str, error: &serde_yaml::Error, refusal: Option<&'static str>) -> SyntaxError {
    let at = place_of(error);
    if let Some(refusal) = refusal {
        return SyntaxError { at, message: refusal.to_owned() };
    }
    let first = Deserializer::from_str(text).next();
    match first.map_or(Ok(IgnoredAny), IgnoredAny::deserialize) {
        Err(syntax) => in_words(&syntax),
        Ok(_) if at.is_none() => SyntaxError { at, message: TOO_LARGE.to_owned() },
        Ok(_) => {
            let message = "the value does not fit its tag (!!…); remove the tag".to_owned();
            SyntaxError { at, message }
        }
    }
}

/// A syntax error of the library, whose words are fixed.
fn in_words(syntax: &serde_yaml::Error) -> SyntaxError {
    let at = place_of(syntax);
    let mut message = syntax.to_string();
    if let Some((line, column)) = at {
        message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
    }
    SyntaxError { at, message: format!("is not YAML: {message}") }
}

/// The complaint about a further document, unless the first one is broken already.
fn second_document(text: &str) -> Option<SyntaxError> {
    let mut documents = Deserializer::from_str(text);
    IgnoredAny::deserialize(documents.next()?).ok()?;
    let at = documents.next()?.deserialize_any(Anywhere).err().as_ref().and_then(place_of);
    let message = "starts a second document; keep one, without a further ---".to_owned();
    Some(SyntaxError { at, message })
}

/// Line and column that the library attached to an error.
pub(crate) fn place_of(error: &serde_yaml::Error) -> Option<(usize, usize)> {
    error.location().map(|place| (place.line(), place.column()))
}

/// A visitor that refuses every value, so that the error has the place of the value.
pub(crate) struct Anywhere;

impl Visitor<'_> for Anywhere {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

const TOO_DEEP: &str = "is nested too deeply; no key of the configuration needs that";
const TOO_LARGE: &str =
    "is too large once its aliases are followed; split it into files or use fewer aliases";
const TAGGED: &str = "has a tag (!…), which means nothing here; remove the tag";

struct Limits {
    left: Cell<usize>,
    /// Why our own visitor stopped; the library's error only carries the place.
    refusal: Cell<Option<&'static str>>,
}

impl Limits {
    fn refuse<T, E: Error>(&self, why: &'static str) -> Result<T, E> {
        self.refusal.set(Some(why));
        Err(E::custom(why))
    }

    fn spend<E: Error>(&self, amount: usize) -> Result<(), E> {
        match self.left.get().checked_sub(amount) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.refuse(TOO_LARGE),
        }
    }
}

#[derive(Clone, Copy)]
struct Grow<'a> {
    limits: &'a Limits,
    depth: usize,
}

impl Grow<'_> {
    fn scalar<E: Error>(self, tree: Tree) -> Result<Tree, E> {
        self.limits.spend(1)?;
        Ok(tree)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        self.limits.spend(1)?;
        if self.depth == DEPTH_MAX {
            return self.limits.refuse(TOO_DEEP);
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Grow<'_> {
    type Value = Tree;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Tree, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Grow<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        self.scalar(Tree::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        self.scalar(Tree::Int(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        self.scalar(Tree::Int(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Tree, E> {
        self.scalar(Tree::Int(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Tree, E> {
        self.scalar(Tree::Int(value.try_into().unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        self.scalar(Tree::Float)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        self.limits.spend(value.len() / TEXT_UNIT)?;
        self.scalar(Tree::Text(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        self.scalar(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        self.scalar(Tree::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let seed = self.deeper()?;
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry_seed(seed, seed)? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Tree, A::Error> {
        self.limits.refuse(TAGGED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_document_is_read_and_what_follows_is_told() {
        let first = |text: &str| match parse_first(text.as_bytes()) {
            Ok((tree, follows)) => Ok((tree.kind(), follows)),
            Err(error) => Err((error.at, error.message)),
        };
        for empty in ["", "# nothing\n", "---\n", "~"] {
            assert_eq!(first(empty), Ok(("empty", false)), "{empty}");
        }
        assert_eq!(first("a: 1\n"), Ok(("a mapping", false)));
        assert_eq!(first("---\na: 1\n...\n"), Ok(("a mapping", false)));
        assert_eq!(first("a: 1\n---\nb: [\n"), Ok(("a mapping", true)));
        let (at, message) = first("a: 1\n]\n").unwrap_err();
        assert_eq!(at, Some((2, 1)));
        assert!(message.starts_with("is not YAML: "), "{message}");
        let (at, _) = first("a: [1\n---\nb: 1\n").unwrap_err();
        assert_eq!(at, Some((2, 1)));
    }
}
