//! Lists, row by row: where the list is in a response, and what a row holds.
//!
//! The response as a whole has to be JSON with the list in a known [`Place`]. A row that cannot be read
//! costs itself and nothing else, and is counted.

use std::fmt;

use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::counter::time_in;
use crate::transport::{JsonObject, Malformed, legible};

/// Most rows of one response that are looked at, those included that count for nothing: several for each of a hundred
/// thousand users. More would take a processor for seconds.
pub(super) const ROWS_MAX: usize = 400_000;

/// A list, as far as its rows can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What the rows hold that could be read and count, in the order of the response.
    pub list: T,
    /// How many rows there are, those that could not be read included.
    pub rows: usize,
    /// Those that could not be read.
    pub unreadable: UnreadableRows,
    /// The time of the server's clock in the response, in unix seconds, if it has one.
    pub server_time: Option<i64>,
}

/// The rows of a list that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnreadableRows {
    /// How many there are.
    pub count: usize,
    /// The position of the first of them, from 1, and what is wrong with it.
    pub first: Option<(usize, String)>,
}

/// Where a list may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// What the list holds, for messages.
    pub(super) what: &'static str,
    /// The keys that may hold it, at the top or below `data`.
    pub(super) names: &'static [&'static str],
    /// Whether it may also stand alone: as the whole response or as `data`.
    pub(super) bare: bool,
    /// Whether `null` under one of the names is an empty list.
    pub(super) null_is_empty: bool,
    /// Most rows that are kept.
    pub(super) max: usize,
}

impl Place {
    /// Reads a list; `read` makes something of each row, or nothing of one that does not count.
    ///
    /// # Errors
    /// When the response is not JSON, has no such list, holds more rows than are kept, or has rows none
    /// of which can be read.
    pub(super) fn read<T>(
        &self,
        body: &[u8],
        read: impl Fn(&JsonObject<'_>) -> Result<Option<T>, String>,
    ) -> Result<Listed<Vec<T>>, Malformed> {
        // Bytes that are no text cost no more than the text that they stand in.
        let text = legible(body);
        let (found, server_time) = if text.trim_ascii_start().starts_with('{') {
            let whole: JsonObject<'_> = serde_json::from_str(&text)?;
            (self.find(&whole), time_in(&whole))
        } else {
            let whole: &RawValue = serde_json::from_str(&text)?;
            (self.alone(whole.get()), None)
        };
        let found = found.ok_or(Malformed::NoList(self.what))?;
        let (mut list, mut rows, mut unreadable) = (Vec::new(), 0, UnreadableRows::default());
        let mut exceeded = None;
        let each = |row: &RawValue| {
            rows += 1;
            let object =
                JsonObject::parse(row.get()).ok_or_else(|| "it is not an object".to_owned());
            match object.and_then(|object| read(&object)) {
                Ok(item) => list.extend(item),
                Err(fault) => unreadable.add(rows, fault),
            }
            let limits = [(list.len(), self.max), (rows, ROWS_MAX)];
            exceeded = limits.into_iter().find_map(|(count, max)| (count > max).then_some(max));
            exceeded.is_none()
        };
        let all = serde_json::Deserializer::from_str(found).deserialize_seq(EachRow(each));
        if let Some(limit) = exceeded {
            return Err(Malformed::TooMany(limit));
        }
        all?;
        match &unreadable.first {
            Some((_, fault)) if unreadable.count == rows => {
                Err(Malformed::NoRow { what: self.what, problem: format!("row 1: {fault}") })
            }
            _ => Ok(Listed { list, rows, unreadable, server_time }),
        }
    }

    /// A value that is the list itself.
    fn alone<'a>(&self, value: &'a str) -> Option<&'a str> {
        Some(value).filter(|_| self.bare).filter(is_list)
    }

    /// The list in a response; nothing if it is in none of the known places.
    fn find<'a>(&self, whole: &JsonObject<'a>) -> Option<&'a str> {
        let named = |object: &JsonObject<'a>| {
            let is_null = |name: &&str| object.text_or_null(name) == Some(None);
            let empty = self.null_is_empty && self.names.iter().any(is_null);
            let list = object.value(self.names).map(RawValue::get).filter(is_list);
            list.or(empty.then_some("[]"))
        };
        let data = whole.value(&["data"]).map(RawValue::get);
        let in_data = || self.alone(data?).or_else(|| named(&JsonObject::parse(data?)?));
        // `data` comes first: a name beside it may be anything.
        in_data().or_else(|| named(whole))
    }
}

fn is_list(value: &&str) -> bool {
    value.starts_with('[')
}

impl<T> Listed<T> {
    /// The same with what `change` makes of the list.
    pub(in crate::api) fn map<U>(self, change: impl FnOnce(T) -> U) -> Listed<U> {
        let Self { list, rows, unreadable, server_time } = self;
        Listed { list: change(list), rows, unreadable, server_time }
    }
}

/// Hands the rows of a list over, one by one, for as long as this returns `true`.
struct EachRow<F>(F);

impl<'de, F: FnMut(&'de RawValue) -> bool> Visitor<'de> for EachRow<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            if !(self.0)(row) {
                return Err(A::Error::custom("too many rows"));
            }
        }
        Ok(())
    }
}

/// An id without which a row means nothing; the first of `names` is the documented one.
pub(super) fn id(row: &JsonObject<'_>, names: &[&'static str]) -> Result<String, String> {
    row.id(names).ok_or_else(|| {
        let name = names.first().copied().unwrap_or_default();
        format!("`{name}` is missing or not of the documented kind")
    })
}

impl UnreadableRows {
    /// What is wrong with them, in words; nothing if there are none.
    pub fn words(&self) -> Option<String> {
        let (row, fault) = self.first.as_ref()?;
        Some(match self.count {
            1 => format!("row {row}: {fault}"),
            count => format!("{count}, the first is row {row}: {fault}"),
        })
    }

    fn add(&mut self, row: usize, fault: String) {
        self.count += 1;
        self.first.get_or_insert((row, fault));
    }

    /// Adds those of the next page, before which there were `rows`.
    pub(in crate::api) fn extend(&mut self, page: Self, rows: usize) {
        self.count += page.count;
        if self.first.is_none() {
            self.first = page.first.map(|(row, fault)| (rows + row, fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place =
        Place { what: "things", names: &["things"], bare: true, null_is_empty: false, max: 3 };

    /// The ids, how many rows could not be read, and the first problem.
    fn read(place: &Place, body: &[u8]) -> Result<(Vec<String>, usize, String), String> {
        let rows = place.read(body, |row| id(row, &["id", "guid"]).map(Some));
        let rows = rows.map_err(|error| error.to_string())?;
        let problem = rows.unreadable.first.map(|(row, fault)| format!("row {row}: {fault}"));
        let problem = problem.unwrap_or_default();
        Ok((rows.list, rows.unreadable.count, problem))
    }

    #[test]
    fn a_list_is_found_in_every_known_place_and_beside_anything() {
        for body in [
            r#"[{"id":"1"}]"#,
            r#"{"data":[{"id":"1"}],"count":"1","meta":{"odd":"\ud83d"}}"#,
            r#"{"count":-1.5e9,"things":null,"data":{"things":[{"id":"1"}],"more":[7]}}"#,
            r#"{"data":null,"things":[{"id":"1"}]}"#,
            r#"{"things":[{"id":"1"}],"data":7}"#,
        ] {
            assert_eq!(read(&PLACE, body.as_bytes()).unwrap().0, ["1"], "{body}");
        }
        let named = Place { bare: false, null_is_empty: true, ..PLACE };
        assert_eq!(read(&named, br#"{"things":null}"#).unwrap().0, [""; 0]);
        for body in ["[]", r#"{"data":[]}"#, "null", "{}", r#"{"data":null}"#, "7"] {
            let expected = "it holds no list of things";
            assert_eq!(read(&named, body.as_bytes()).unwrap_err(), expected, "{body}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_costs_itself_and_is_named() {
        let body = br#"[{"id":"1"},7,{"id":null},{"id":"b\ud83d"},{"id":2},["x"]]"#;
        let (items, unreadable, problem) = read(&PLACE, body).unwrap();
        assert_eq!(
            (items.as_slice(), unreadable),
            (["1".to_owned(), "2".to_owned()].as_slice(), 4)
        );
        assert_eq!(problem, "row 2: it is not an object");
        let (items, _, problem) = read(&PLACE, br#"[{"id":[]},{"guid":"g","id":null}]"#).unwrap();
        assert_eq!(items, ["g"]);
        assert_eq!(problem, "row 1: `id` is missing or not of the documented kind");
        let bytes = b"[{\"id\":\"1\",\"name\":\"\xff\xd0\"},{\"id\":\"a\xff\"}]";
        assert_eq!(read(&PLACE, bytes).unwrap().0, ["1", "a\u{7f}"]);
        let (items, unreadable, _) =
            read(&PLACE, br#"[{"guid":"g","id":"i"},{"id":"1","id":"2"}]"#).unwrap();
        assert_eq!((items, unreadable), (vec!["i".to_owned()], 1));
        let none = read(&PLACE, br#"[{"name":"Anna"}]"#).unwrap_err();
        assert!(none.contains("row 1: `id` is missing"), "{none}");
    }

    #[test]
    fn more_rows_than_are_kept_and_what_is_no_json_are_no_list() {
        assert_eq!(read(&PLACE, br#"[{"id":"1"},{"id":"1"},{"id":"1"}]"#).unwrap().0.len(), 3);
        let many = format!("[{}]", [r#"{"id":"1"}"#; 9].join(","));
        assert_eq!(read(&PLACE, many.as_bytes()).unwrap_err(), "it lists more than 3");
        let nothing = format!("[{}]", vec!["7"; ROWS_MAX + 1].join(","));
        assert_eq!(read(&PLACE, nothing.as_bytes()).unwrap_err(), "it lists more than 400000");
        for body in ["", "[", r#"[{"id":"1"}]x"#, r#"{"data":[{"id":"1"}]"#, "<html>"] {
            assert!(read(&PLACE, body.as_bytes()).is_err(), "{body}");
        }
    }
}
