//! How figures, ages, times, lists and links are written on the status page.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A figure, or a dash where it is not known.
pub(super) fn figure(figure: Option<u64>) -> String {
    figure.map_or_else(|| "–".to_owned(), grouped)
}

/// A whole number; long ones in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.char_indices() {
        // Four digits read well without; the space is narrow and does not break.
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things: `1 user`, `2 users`.
pub(super) fn number_of(count: usize, thing: &str) -> String {
    format!("{} {thing}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// A duration, rounded down for reading.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    // A unit is used from two on, below that the smaller one is more exact; exactly one is shown as one.
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "d"),
        3600 | 7200.. => (seconds / 3600, "h"),
        60 | 120.. => (seconds / 60, "min"),
        _ => (seconds, "s"),
    };
    // No line break between the number and its unit.
    format!("{count}\u{a0}{unit}")
}

/// An age in seconds, as documents carry it.
pub(super) fn age_of(seconds: f64) -> String {
    age(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A configured duration in seconds, which may be a part of one.
pub(super) fn period(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0}\u{a0}ms", seconds * 1000.0) } else { age_of(seconds) }
}

/// A moment as an HTML `time`, both in unix time in seconds: of the day or, where it is another day than
/// `now`, with the date. UTC; the script puts it into the viewer's zone.
pub(super) fn clock(at: f64, now: f64, seconds: bool) -> Markup {
    let (at, now) = (moment(at), moment(now));
    let day = |moment: Timestamp| moment.strftime("%F").to_string();
    let form = match (day(at) == day(now), seconds) {
        (true, true) => "%H:%M:%S",
        (true, false) => "%H:%M",
        (false, _) => "%-d %b, %H:%M",
    };
    html! {
        time datetime=(format!("{at:.0}")) data-seconds[seconds] { (at.strftime(form)) }
    }
}

fn moment(unix: f64) -> Timestamp {
    Timestamp::from_second(unix as i64).unwrap_or_default()
}

/// The address of the page of one account.
pub(super) fn account_link(name: &str) -> String {
    format!("./?account={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// Texts with a dot between each two.
pub(super) fn joined<'a>(texts: impl IntoIterator<Item = &'a String>) -> Markup {
    html! {
        @for (index, text) in texts.into_iter().enumerate() {
            @if index > 0 { " · " }
            bdi { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_figures_are_a_dash_and_long_ones_are_grouped() {
        let figures = [None, Some(0), Some(9999), Some(10_000), Some(1_234_567)];
        let written = figures.map(figure);
        let expected = ["–", "0", "9999", "10\u{202f}000", "1\u{202f}234\u{202f}567"];
        assert_eq!(written, expected);
    }

    #[test]
    fn ages_are_shown_in_the_most_useful_unit() {
        let age = |seconds| age(Duration::from_secs(seconds)).replace('\u{a0}', " ");
        let ages = [0, 60, 119, 120, 3600, 7199, 7200, 172_799, 172_800].map(age);
        assert_eq!(
            ages,
            ["0 s", "1 min", "119 s", "2 min", "1 h", "119 min", "2 h", "47 h", "2 d"]
        );
    }

    #[test]
    fn moments_of_another_day_have_a_date() {
        let clock = |at, seconds| clock(at, 1_759_499_127.9, seconds).into_string();
        let [same, exact] = [false, true].map(|seconds| clock(1_759_499_127.9, seconds));
        assert_eq!(same, "<time datetime=\"2025-10-03T13:45:27Z\">13:45</time>");
        assert_eq!(exact, "<time datetime=\"2025-10-03T13:45:27Z\" data-seconds>13:45:27</time>");
        let before = clock(1_759_449_599.0, false);
        assert_eq!(before, "<time datetime=\"2025-10-02T23:59:59Z\">2 Oct, 23:59</time>");
    }
}
