//! JSON of others, value by value: one that is not as documented costs itself and nothing else.
//!
//! Ids are read strictly; what only decorates is read as far as it can be.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Most fields that an object is read with: a few dozen are documented, and each costs more than it takes on the way.
const FIELDS_MAX: usize = 1000;

/// An object whose values are read only where they are asked for.
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a text; nothing where it is no object, or one of more than a thousand fields.
    pub fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value under the first of `names` that has one; two values under one name are none.
    pub fn value(&self, names: &[&str]) -> Option<&'a RawValue> {
        let present = |name: &&str| {
            let mut values =
                self.0.iter().filter(|(key, value)| key == name && value.get() != "null");
            let value = values.next()?.1;
            Some(values.next().map_or(Some(value), |_| None))
        };
        names.iter().find_map(present)?
    }

    /// A text that has to be exact, such as an id, which some systems write as a number.
    pub fn id(&self, names: &[&str]) -> Option<String> {
        let raw = self.value(names)?.get();
        let number = raw.bytes().all(|byte| byte.is_ascii_digit());
        let id = if number { Some(raw.to_owned()) } else { serde_json::from_str(raw).ok() };
        id.filter(|id| !id.is_empty())
    }

    /// A text that only decorates: whatever of it is text, numbers included.
    pub fn text(&self, names: &[&str]) -> Option<String> {
        let raw = self.value(names)?.get();
        if raw.starts_with('"') {
            return serde_json::from_str(raw).ok().map(|LossyText(text)| text);
        }
        raw.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-')
            .then(|| raw.to_owned())
    }

    /// The text under a name, or `Some(None)` for `null`; nothing for anything else.
    pub fn text_or_null(&self, name: &str) -> Option<Option<String>> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.get());
        match (values.next()?, values.next()) {
            ("null", None) => Some(None),
            (text, None) => serde_json::from_str(text).ok().map(|LossyText(text)| Some(text)),
            (_, Some(_)) => None,
        }
    }

    /// The object under a name.
    pub fn object(&self, name: &str) -> Option<Self> {
        Self::parse(self.value(&[name])?.get())
    }

    /// A switch, in the spellings that occur.
    pub fn flag(&self, names: &[&str]) -> bool {
        matches!(self.value(names).map(RawValue::get), Some("true" | "1" | "\"true\"" | "\"1\""))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'k>(#[serde(borrow)] Cow<'k, str>);
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some((Name(key), value)) = fields.next_entry()? {
                    if values.len() == FIELDS_MAX {
                        return Err(A::Error::custom("too many fields"));
                    }
                    values.push((key, value));
                }
                Ok(Object(values))
            }
        }
        source.deserialize_map(Fields)
    }
}

/// Text with halves of surrogate pairs in it, which JSON allows and Rust does not: JavaScript cuts
/// emoji in half.
struct LossyText(String);

impl<'de> Deserialize<'de> for LossyText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = LossyText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<LossyText, E> {
                // Half a pair is three bytes that are no text, and as many marks.
                let text = String::from_utf8_lossy(bytes);
                Ok(LossyText(text.replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}")))
            }
        }
        source.deserialize_bytes(Bytes)
    }
}

/// The body with a control character, which no id may hold, for every byte that is no text.
pub fn legible(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(body) {
        return text.into();
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{7f}'));
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decorates_is_read_as_far_as_it_can_be() {
        let text = |value: &str| {
            let json = format!(r#"{{"name":{value}}}"#);
            Object::parse(&json).unwrap().text(&["name"])
        };
        for (value, expected) in [
            (r#""Anna""#, Some("Anna")),
            (r#""Boris \ud83d""#, Some("Boris \u{fffd}")),
            (r#""\u0410\ud83d\ude00""#, Some("А😀")),
            ("77000000000", Some("77000000000")),
            ("null", None),
            ("true", None),
            (r#"["a"]"#, None),
        ] {
            assert_eq!(text(value).as_deref(), expected, "{value}");
        }
    }
}
