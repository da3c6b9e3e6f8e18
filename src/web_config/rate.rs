//! The section `rate_limit`: how many requests are answered.

use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::problems::place::{At, place};
use crate::problems::read::Written;
use crate::problems::report::Scope;

/// The section.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RateKeys {
    /// Time for one more request, as Go writes it; a bare number is nanoseconds.
    interval: Option<Spanned<Written>>,
    /// Requests at once.
    burst: Option<Spanned<Written>>,
}

/// A bucket of `burst` requests, which gets one back per `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// Time for one more request; more than nothing.
    pub interval: Duration,
    /// Requests that a full bucket holds; at 0 none is ever answered.
    pub burst: u32,
}

impl RateKeys {
    /// The limit of the section at `at`; an interval of 0 or less limits nothing.
    pub(super) fn check(&self, at: At, scope: &mut Scope<'_>) -> Option<RequestRate> {
        let nanos = self.interval.as_ref().map_or(Some(0), |written| {
            let nanos = match &written.value {
                Written::Number(nanos) => nanos.as_i64(),
                Written::String(text) => nanoseconds(text),
                _ => None,
            };
            let what = "is not a duration; write 1s, 1m30s or 200ms";
            nanos.or_else(|| scope.refuse(place(written), "interval", what))
        });
        let burst = self.burst.as_ref().map_or(Some(0), |written| {
            // A bucket of more than that is never empty.
            if let Some(burst) = written.value.as_number().filter(|number| !number.is_f64()) {
                let burst = burst.as_u64().or(burst.is_i64().then_some(0));
                return burst.map(|burst| u32::try_from(burst).unwrap_or(u32::MAX));
            }
            let what = "is not a whole number; write one, unquoted, as 20";
            scope.refuse(place(written), "burst", what)
        });
        let interval = Duration::from_nanos(u64::try_from(nanos?).unwrap_or_default());
        let burst = burst?;
        if interval.is_zero() {
            return None;
        }
        if burst == 0 {
            let what = "answers every request 429, because burst is 0; write burst: 20";
            scope.warn(at, "", what);
        }
        Some(RequestRate { interval, burst })
    }
}

/// The nanoseconds of `1s`, `-1.5h`, `1h30m` or `0`; nothing if it is no such text or too long for
/// Go's 64 bits.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut total = 0_i128;
    let mut rest = unsigned;
    if unsigned == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |letter| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = split(after, |letter| !letter.is_ascii_digit() && letter != '.');
        total = total.checked_add(part(number, scale(unit)?)?)?;
        rest = after;
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    if unsigned.is_empty() { None } else { i64::try_from(total * sign).ok() }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

fn scale(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A number with or without decimals, in nanoseconds.
fn part(number: &str, scale: i128) -> Option<i128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    // More digits than count are dropped, as in Go.
    let decimals = decimals.get(..decimals.len().min(15))?;
    let fraction = i128::from(digits(decimals)?) * scale / 10_i128.pow(decimals.len() as u32);
    i128::from(digits(whole)?).checked_mul(scale)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("1s", 1_000_000_000),
            ("+5ms", 5_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("1h30m0.5s", 5_400_500_000_000),
            (".5us", 500),
            ("1.\u{b5}s", 1_000),
            ("3\u{3bc}s7ns", 3_007),
            ("0.9999999999999999999s", 999_999_999),
            ("2562047h47m16.854775807s", i64::MAX),
        ] {
            assert_eq!(nanoseconds(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in [
            "",
            "-",
            "1",
            "s",
            ".s",
            "1.2.3s",
            "1 s",
            "1d",
            "s1",
            "1sec",
            "--1s",
            "3000000h",
            "1e3s",
            "99999999999999999999h",
        ] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }
}
