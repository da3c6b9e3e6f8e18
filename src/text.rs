//! How durations, times, paths and foreign text are written in logs, pages and messages.
//!
//! Foreign text is whatever another machine or a client sent. It may hold line breaks and escape
//! sequences, so it passes through [`one_line`] before it reaches a log, a page or a terminal.

use std::path::Path;
use std::time::Duration;

use jiff::fmt::friendly::{Spacing, SpanParser, SpanPrinter};
use jiff::{SignedDuration, Timestamp};

/// Whether a letter is a control character, among them the eight-bit ones that terminals obey, or breaks lines or
/// turns the direction of writing.
pub fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Foreign text on one line: what [`is_unseen`] becomes spaces, and what is longer than `max`
/// characters ends in an ellipsis.
pub fn one_line(text: &str, max: usize) -> String {
    let visible = |letter: char| if is_unseen(letter) { ' ' } else { letter };
    let mut letters = text.trim().chars().map(visible);
    let mut line: String = letters.by_ref().take(max).collect();
    if letters.next().is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

/// Foreign text without a secret that it may repeat, in whatever case: the host of a URL is in small letters.
pub fn mask(text: &str, secret: &str) -> String {
    if secret.is_empty() || text.len() < secret.len() {
        return text.to_owned();
    }
    // As long as the text itself, letter by letter.
    let lower = text.to_ascii_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for (start, found) in lower.match_indices(&secret.to_ascii_lowercase()) {
        masked.push_str(text.get(rest..start).unwrap_or_default());
        masked.push_str("<secret>");
        rest = start + found.len();
    }
    masked.push_str(text.get(rest..).unwrap_or_default());
    masked
}

/// Lists up to `max` names, and says how many more there are.
pub fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>, max: usize) -> String {
    let more = names.len().saturating_sub(max);
    let shown = names.take(max).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// A path on one line, whatever its bytes.
pub fn path(path: &Path) -> String {
    let mut shown = String::new();
    for letter in path.to_string_lossy().chars() {
        if is_unseen(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A duration as the configuration has it: `1m30s`.
pub fn duration(duration: Duration) -> String {
    match SignedDuration::try_from(duration) {
        Ok(signed) => SpanPrinter::new().spacing(Spacing::None).duration_to_string(&signed),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

/// An age as Prometheus' programs log it: `5m30s`; whole seconds, or milliseconds below one.
pub fn elapsed(age: Duration) -> String {
    let whole = if age < Duration::from_secs(1) {
        Duration::from_millis(age.as_millis() as u64)
    } else {
        Duration::from_secs(age.as_secs())
    };
    duration(whole)
}

/// A duration in whole seconds, rounded up, so that a client that waits as long as it says is not early.
pub fn duration_up(value: Duration) -> String {
    duration(Duration::from_secs(seconds_up(value)))
}

/// Whole seconds, rounded up.
pub fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// A duration as the configuration has it: numbers each with a unit of h, m, s or ms, the largest
/// first. The library's own grammar is far wider: it takes signs, `ago`, spaces, fractions, clock times
/// and names of units.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut units = text.split(|letter: char| letter.is_ascii_digit()).filter(|u| !u.is_empty());
    let plain = text.starts_with(|letter: char| letter.is_ascii_digit())
        && units.all(|unit| matches!(unit, "h" | "m" | "s" | "ms"));
    let parsed = plain.then(|| SpanParser::new().parse_duration(text))?.ok()?;
    Duration::try_from(parsed).ok()
}

/// A unix time in RFC 3339, to the second.
pub fn timestamp(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// Has `Debug` show the name of these types and nothing of what they hold.
macro_rules! opaque {
    ($($type:ty),+) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($type))
            }
        }
    )+};
}
pub(crate) use opaque;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_short_line() {
        assert_eq!(one_line(" a\nb\u{1b}[2J ", 200), "a b [2J");
        assert_eq!(one_line(&"x".repeat(300), 200).chars().count(), 201);
        assert_eq!(one_line(&"ü".repeat(200), 200), "ü".repeat(200));
        assert_eq!(one_line("\u{1b}\n", 3), "");
    }

    #[test]
    fn a_secret_is_taken_out_in_whatever_case() {
        let masked = "ä <secret>/<secret>.Ж <secret>";
        assert_eq!(mask("ä s3Cr.eT/S3CR.ET.Ж s3cr.et", "S3cr.et"), masked);
        assert_eq!(
            (&*mask("text", ""), &*mask("", "text"), &*mask("tex", "text")),
            ("text", "", "tex")
        );
    }

    #[test]
    fn durations_and_times_read_well() {
        assert_eq!(duration(Duration::from_secs(90)), "1m30s");
        assert_eq!(duration(Duration::MAX), format!("{}s", u64::MAX));
        assert_eq!(duration_up(Duration::from_millis(3_569_001)), "59m30s");
        assert_eq!(timestamp(Duration::from_millis(1_759_499_127_900)), "2025-10-03T13:45:27Z");
    }
}
