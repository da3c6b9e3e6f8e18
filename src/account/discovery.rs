//! What of an account's lists is read: its users, where they are to be found, and its channels.

use std::time::Duration;

use regex::Regex;
use serde::{Serialize, Serializer};

use super::names::Labels;
use super::shown;

/// How users are found in the account's own list, in addition to the configured ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discovery {
    /// Time between two readings of the list.
    #[serde(serialize_with = "shown::duration")]
    pub refresh_interval: Duration,
    /// A user is taken if one of these matches …
    pub include: Vec<Pattern>,
    /// … and none of these.
    pub exclude: Vec<Pattern>,
    /// Most users that are found; more are left out, which is logged.
    pub max_users: usize,
    /// Labels for those who match; of several rules that set the same label the last one counts.
    pub labels: Vec<LabelRule>,
}

/// How often the account's channels and its users' roles are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// Time between two readings.
    #[serde(serialize_with = "shown::duration")]
    pub refresh_interval: Duration,
}

/// Labels for users who match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelRule {
    /// Which users it is for.
    #[serde(rename = "match")]
    pub pattern: Pattern,
    /// What it sets.
    pub set: Labels,
}

/// A regular expression over a user's id and name, anchored at both ends as Prometheus does it.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it may be written in the configuration.
    text: String,
    field: Field,
    regex: Regex,
}

/// What a pattern is matched with.
#[derive(Debug, Clone, Copy)]
enum Field {
    Any,
    Id,
    Name,
}

impl Discovery {
    /// Whether a user with this id and name belongs to those who are polled.
    pub fn includes(&self, id: &str, name: Option<&str>) -> bool {
        let matches = |pattern: &Pattern| pattern.matches(id, name);
        self.include.iter().any(matches) && !self.exclude.iter().any(matches)
    }

    /// The labels that the rules give a user.
    pub fn labels_of(&self, id: &str, name: Option<&str>) -> Labels {
        let rules = self.labels.iter().filter(|rule| rule.pattern.matches(id, name));
        rules.flat_map(|rule| rule.set.clone()).collect()
    }
}

impl Pattern {
    /// Reads `name: .*Sales.*`, `id: 7.*`, or an expression without a prefix for both.
    ///
    /// # Errors
    /// What the expression breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (field, prefix, expression) = match text.split_once(':') {
            Some(("id", rest)) => (Field::Id, "id: ", rest.trim_start()),
            Some(("name", rest)) => (Field::Name, "name: ", rest.trim_start()),
            _ => (Field::Any, "", text),
        };
        // What a person wrote has to be whole by itself, so that it cannot end the group.
        let invalid = |error: regex::Error| {
            let words = error.to_string();
            format!(
                "is not a regular expression: {}",
                words.lines().last().unwrap_or(&words).trim()
            )
        };
        Regex::new(expression).map_err(invalid)?;
        let regex = Regex::new(&format!("^(?s:{expression})$")).map_err(invalid)?;
        Ok(Self { text: format!("{prefix}{expression}"), field, regex })
    }

    fn matches(&self, id: &str, name: Option<&str>) -> bool {
        let in_name = || name.is_some_and(|name| self.regex.is_match(name));
        match self.field {
            Field::Id => self.regex.is_match(id),
            Field::Name => in_name(),
            Field::Any => self.regex.is_match(id) || in_name(),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn patterns_are_anchored_and_may_name_their_field() {
        for (text, id, name, matches) in [
            (".*", "7", None, true),
            ("Anna", "7", Some("Anna"), true),
            ("Ann", "7", Some("Anna"), false),
            ("7|8", "78", None, false),
            ("id: 7.*", "78", Some("x"), true),
            ("id: 7.*", "8", Some("78"), false),
            ("name: .*Sales.*", "Sales", None, false),
            ("name: .*Sales.*", "1", Some("Olga (Sales)"), true),
            ("name:(?i).*продаж.*", "1", Some("Отдел ПРОДАЖ"), true),
            ("a:b", "a:b", None, true),
            (".*", "7", Some("two\nlines"), true),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!(pattern.matches(id, name), matches, "{text} on {id} {name:?}");
        }
    }

    #[test]
    fn a_pattern_is_written_as_it_is_read() {
        for text in [".*", "id: 7.*", "name: (?i).*продаж.*", "a:b", "()$", "", "id: "] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!(pattern.text, text);
            assert_eq!(Pattern::parse(&pattern.text), Ok(pattern));
        }
        assert_eq!(Pattern::parse("name:x").unwrap().text, "name: x");
    }

    #[test]
    fn an_expression_is_whole_by_itself() {
        for text in ["(", "a)(?:b", "[", "*", "name: ("] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exclusion_wins_and_the_last_label_counts() {
        let set = |value: &str| {
            Labels::from([(super::super::LabelName::parse("team").unwrap(), value.to_owned())])
        };
        let [all, one] = [".*", "id: 1"].map(|text| Pattern::parse(text).unwrap());
        let discovery = Discovery {
            refresh_interval: Duration::from_secs(1),
            include: patterns(&["id: \\d+", "Anna"]),
            exclude: patterns(&["name: .*bot"]),
            max_users: 10,
            labels: vec![
                LabelRule { pattern: all, set: set("all") },
                LabelRule { pattern: one, set: set("one") },
            ],
        };
        assert!(discovery.includes("1", None) && discovery.includes("x", Some("Anna")));
        assert!(!discovery.includes("x", None) && !discovery.includes("1", Some("chat bot")));
        assert_eq!(discovery.labels_of("1", None), set("one"));
        assert_eq!(discovery.labels_of("2", None), set("all"));
    }
}
