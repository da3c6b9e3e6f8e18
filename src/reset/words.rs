//! How times and foreign texts are written in answers and in the audit log.

use std::time::Duration;

use jiff::fmt::friendly::{Spacing, SpanPrinter};
use jiff::{SignedDuration, Timestamp};

/// Longest foreign text that is kept, in characters.
const TEXT_MAX: usize = 500;

/// A moment, as RFC 3339 has it, to the second.
pub(super) fn moment(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// A duration in whole seconds, rounded up: `59m30s`.
pub(super) fn shown(duration: Duration) -> String {
    let seconds =
        SignedDuration::from_secs(i64::try_from(seconds_up(duration)).unwrap_or(i64::MAX));
    SpanPrinter::new().spacing(Spacing::None).duration_to_string(&seconds)
}

/// Whole seconds, rounded up.
pub(super) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Makes foreign text fit for a log: one line, no control characters, not long.
pub(super) fn clean(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    letters.take(TEXT_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(moment(Duration::from_millis(1_759_499_127_900)), "2025-10-03T13:45:27Z");
        assert_eq!(shown(Duration::from_millis(3_569_001)), "59m30s");
        assert_eq!(moment(Duration::MAX), Timestamp::MAX.to_string());
        assert_eq!(clean(" a\nb\u{1b}[2J "), "a b [2J");
        assert_eq!(clean(&"x".repeat(600)).len(), 500);
    }
}
