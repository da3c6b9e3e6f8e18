//! How an event becomes a line: as Prometheus 3 and its exporters write theirs, in logfmt or JSON.
//!
//! The keys are `time`, `level`, `source` and `msg`, then the fields of the event. Text is escaped the
//! same way in both formats, as JSON does it, which parsers of logfmt read, too: whatever upstream
//! has put into an error, an event is one line and nothing in it reaches a terminal as a command.

use std::fmt::{Debug, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use wazzup_exporter::text::is_unseen;

use super::super::flags::LogFormat;

/// A line that is being composed.
pub(super) struct LogLine {
    format: LogFormat,
    text: String,
}

impl LogLine {
    /// The line of an event that happens now.
    pub(super) fn of(format: LogFormat, event: &Event<'_>) -> String {
        let about = event.metadata();
        let mut line = Self::new(format, *about.level(), &source(about));
        // The message is the first field.
        event.record(&mut line);
        line.finish()
    }

    /// A line without a message yet.
    pub(super) fn new(format: LogFormat, level: Level, source: &str) -> Self {
        let text = if format == LogFormat::Json { "{" } else { "" };
        let mut line = Self { format, text: text.to_owned() };
        line.add("time", &format!("{:.3}", Timestamp::now()));
        line.add("level", level.as_str());
        line.add("source", source);
        line
    }

    /// Adds a text.
    pub(super) fn add(&mut self, key: &str, value: &str) {
        self.key(key);
        match self.format {
            LogFormat::Logfmt if is_plain(value) => self.text.push_str(value),
            _ => quote(&mut self.text, value),
        }
    }

    /// Adds a number or a truth value.
    pub(super) fn add_bare(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.text, "{value}");
    }

    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(if self.format == LogFormat::Json { ',' } else { ' ' });
        }
        match self.format {
            LogFormat::Json => {
                quote(&mut self.text, key);
                self.text.push(':');
            }
            LogFormat::Logfmt => {
                // Only a library may have such keys.
                let plain = |letter| if needs_quotes(letter) { '_' } else { letter };
                self.text.extend(key.chars().map(plain));
                self.text.push('=');
            }
        }
    }

    /// The finished line, with its end.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
        self.text
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(key(field), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(key(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_bare(key(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_bare(key(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_bare(key(field), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.add_bare(key(field), value);
        } else {
            // JSON has no such numbers.
            self.add(key(field), &value.to_string());
        }
    }
}

/// The key of a field; one with the name of what a line begins with gets an underscore.
fn key(field: &Field) -> &'static str {
    match field.name() {
        "message" => "msg",
        "time" => "time_",
        "level" => "level_",
        "source" => "source_",
        "msg" => "msg_",
        name => name,
    }
}

/// The place in the code: the path below `src`, after the name of the library if it is one. The path of
/// the build is left out.
fn source(about: &Metadata<'_>) -> String {
    let file = about.file().unwrap_or_default();
    let file = file.rsplit_once("src/").map_or(file, |(_, below)| below);
    let file = if file.starts_with('/') { file.rsplit('/').next().unwrap_or(file) } else { file };
    let of_library = about.target().split("::").next().filter(|name| *name != OUR_CRATE);
    let place = of_library.map_or_else(String::new, |name| format!("{name}/"));
    format!("{place}{file}:{}", about.line().unwrap_or_default())
}

/// The name of the library and of this program, as the compiler sees them.
pub(super) const OUR_CRATE: &str = "wazzup_exporter";

fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(needs_quotes)
}

fn needs_quotes(letter: char) -> bool {
    letter <= ' ' || letter == '"' || letter == '=' || is_unseen(letter)
}

/// A string of JSON.
fn quote(text: &mut String, value: &str) {
    let quoted = serde_json::to_string(value).expect("every text can be written in JSON");
    for letter in quoted.chars() {
        if is_unseen(letter) {
            // All of them have four digits.
            let _ = write!(text, "\\u{:04x}", u32::from(letter));
        } else {
            text.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: [&str; 9] = [
        "",
        "two words",
        "a=b",
        "line\nfeed\r\n\ttab",
        "\" quoted \\\" \\",
        "\u{1b}[31mred\u{1b}[0m \u{9b}2J \u{7f}\0\u{7}",
        "\u{202e}turned\u{2028}line\u{feff}",
        "Данияр \u{1f600}",
        "\\n",
    ];

    fn lines(format: LogFormat) -> Vec<String> {
        let line = |value: &&str| {
            let mut line = LogLine::new(format, Level::WARN, "a/b.rs:7");
            line.add("msg", value);
            line.add("problem", value);
            line.add_bare("users", 7);
            line.finish()
        };
        HOSTILE.iter().map(line).collect()
    }

    #[test]
    fn json_is_one_object_a_line_with_every_text_as_it_was() {
        for (line, value) in lines(LogFormat::Json).iter().zip(HOSTILE) {
            let mut read: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
            let time = read.remove("time").unwrap();
            assert_eq!(time.as_str().unwrap().len(), "2026-11-25T12:34:56.789Z".len());
            let expected = serde_json::json!({
                "level": "WARN", "source": "a/b.rs:7", "msg": value, "problem": value, "users": 7,
            });
            assert_eq!(serde_json::Value::Object(read), expected);
        }
    }

    #[test]
    fn a_line_is_a_line_and_holds_nothing_that_a_terminal_obeys() {
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            for line in lines(format) {
                let line = line.strip_suffix('\n').unwrap();
                assert!(!line.chars().any(is_unseen), "{line:?}");
            }
        }
    }

    #[test]
    fn logfmt_is_quoted_where_it_must_be() {
        let line = |value| {
            let mut line = LogLine::new(LogFormat::Logfmt, Level::INFO, "a.rs:1");
            line.add("key", value);
            line.finish().split_once("source=a.rs:1 ").unwrap().1.trim_end().to_owned()
        };
        assert_eq!(line("127.0.0.1:80"), "key=127.0.0.1:80");
        assert_eq!(line("a\\b"), "key=a\\b");
        assert_eq!(line(""), r#"key="""#);
        assert_eq!(line("a b"), r#"key="a b""#);
        assert_eq!(line("\u{1b}[1m\n\"\\"), r#"key="\u001b[1m\n\"\\""#);
    }
}
