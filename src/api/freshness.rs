//! Whether a reading is as new as it claims, by upstream's own times.
//!
//! Something on the way may answer from a cache. Upstream's clock may be off by any amount, which is
//! skew and no reason to refuse anything; but once one reading has shown its time, a much older one is
//! an old answer. One answer alone whose time is far ahead changes nothing: all right ones would be old.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{AGE, DATE, HeaderMap};

use crate::clock::Stamp;

/// How far times of one clock may be from each other: they are whole seconds, and requests take time.
const TOLERANCE: Duration = Duration::from_secs(10);

/// The newest time of upstream that was seen.
#[derive(Debug, Default)]
pub(super) struct UpstreamClock {
    newest: Option<Seen>,
    /// The first of the times that are far from it, which all may be those of a clock that was set.
    other: Option<Seen>,
}

/// A time of upstream, in unix seconds, and when it was received.
#[derive(Debug, Clone, Copy)]
struct Seen {
    unix: Duration,
    at: Stamp,
}

impl Seen {
    /// What the clock should show now.
    fn now(self, now: Stamp) -> Duration {
        self.unix + self.at.age(now)
    }
}

impl UpstreamClock {
    /// Judges an answer that says it was made at `unix`.
    ///
    /// # Errors
    /// How old the answer is, if that is more than `stale_after`. A clock that was set back is followed
    /// once it has run on for that long without an answer of the earlier time; one that was set forward with
    /// the second answer.
    pub(super) fn check(
        &mut self,
        unix: Duration,
        now: Stamp,
        stale_after: Duration,
    ) -> Result<(), Duration> {
        let seen = Seen { unix, at: now };
        let age = self.age(unix, now);
        let ahead = self.now(now).map_or(Duration::ZERO, |theirs| unix.saturating_sub(theirs));
        if age > stale_after && !self.was_set(seen, stale_after) {
            return Err(age);
        }
        if ahead > stale_after && !self.was_set(seen, TOLERANCE) {
            return Ok(());
        }
        self.other = None;
        if age.is_zero() || age > stale_after {
            self.newest = Some(seen);
        }
        Ok(())
    }

    /// Upstream's time, if one was seen.
    pub(super) fn now(&self, now: Stamp) -> Option<Duration> {
        self.newest.map(|newest| newest.now(now))
    }

    /// How old an answer is that says it was made at `unix`.
    pub(super) fn age(&self, unix: Duration, now: Stamp) -> Duration {
        self.newest.map_or(Duration::ZERO, |newest| newest.now(now).saturating_sub(unix))
    }

    /// Whether the clock was set: it has run on from the first other time for so `long`, and was `seen` now.
    fn was_set(&mut self, seen: Seen, long: Duration) -> bool {
        let runs_on = |first: Seen| first.now(seen.at).abs_diff(seen.unix) <= TOLERANCE;
        match self.other {
            Some(first) if first.at.age(seen.at) < long => false,
            Some(first) if runs_on(first) => true,
            _ => {
                self.other = Some(seen);
                false
            }
        }
    }
}

/// How long an answer was in a cache by its `Age`; the largest, where several caches have added theirs.
pub(super) fn cached_for(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(AGE).iter().filter_map(|value| value.to_str().ok());
    let ages = values.flat_map(|value| value.split(',')).map(str::trim);
    let ages = ages.filter(|age| !age.is_empty() && age.bytes().all(|byte| byte.is_ascii_digit()));
    // Of more digits than there is room for only the size matters (RFC 9111, section 1.2.2).
    ages.map(|age| Duration::from_secs(age.parse().map_or(u32::MAX, |age: u32| age).into())).max()
}

/// When an answer was made by its `Date`, since 1970; a cache keeps that of the first time.
pub(super) fn made_at(headers: &HeaderMap) -> Option<Duration> {
    let date = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_AFTER: Duration = Duration::from_mins(2);
    const HOUR: u64 = 3600;

    /// The age of a refused answer that comes after `seconds` with the time `unix`.
    fn refused(clock: &mut UpstreamClock, seconds: u64, unix: u64) -> Option<u64> {
        let now = Stamp { uptime: Duration::from_secs(seconds), unix: Duration::ZERO };
        let checked = clock.check(Duration::from_secs(unix), now, STALE_AFTER);
        checked.err().map(|age| age.as_secs())
    }

    #[test]
    fn an_old_answer_is_refused_whatever_the_offset_of_the_clocks() {
        for offset in [5 * HOUR, 90_000 * HOUR] {
            let clock = &mut UpstreamClock::default();
            assert_eq!(refused(clock, 0, offset), None);
            assert_eq!(refused(clock, 30, offset + 30), None);
            assert_eq!(refused(clock, 60, offset - 3 * HOUR), Some(3 * HOUR + 60));
            assert_eq!(refused(clock, 90, offset), None, "not older than stale_after");
            assert_eq!(refused(clock, 121, offset), Some(121));
            assert_eq!(refused(clock, 150, offset + 150), None);
        }
    }

    #[test]
    fn a_cache_stays_refused_and_a_clock_that_was_set_back_is_followed() {
        let clock = &mut UpstreamClock::default();
        assert_eq!(refused(clock, 0, 9 * HOUR), None);
        for seconds in (30..20 * 60).step_by(30) {
            assert!(refused(clock, seconds, HOUR).is_some(), "cached for {seconds} s");
        }
        let clock = &mut UpstreamClock::default();
        assert_eq!(refused(clock, 0, 9 * HOUR), None);
        for seconds in (30..150).step_by(30) {
            assert!(refused(clock, seconds, HOUR + seconds).is_some(), "{seconds} s");
        }
        assert_eq!(refused(clock, 150, HOUR + 150), None);
        assert_eq!(refused(clock, 180, HOUR + 180), None);
    }

    #[test]
    fn an_answer_of_the_earlier_time_keeps_the_clock() {
        let clock = &mut UpstreamClock::default();
        assert_eq!(refused(clock, 0, 9 * HOUR), None);
        for seconds in (30..600).step_by(30) {
            assert!(refused(clock, seconds, HOUR + seconds).is_some());
            assert_eq!(refused(clock, seconds + 1, 9 * HOUR + seconds), None);
        }
    }

    #[test]
    fn a_time_ahead_counts_once_a_second_answer_has_it() {
        let clock = &mut UpstreamClock::default();
        assert_eq!(refused(clock, 0, 9 * HOUR), None);
        for seconds in (30..600).step_by(30) {
            assert_eq!(refused(clock, seconds, 90_000 * HOUR), None);
            assert_eq!(refused(clock, seconds + 1, 9 * HOUR + seconds), None);
        }
        assert_eq!(refused(clock, 600, 12 * HOUR), None);
        assert_eq!(refused(clock, 610, 12 * HOUR + 10), None);
        assert_eq!(refused(clock, 611, 9 * HOUR + 611), Some(3 * HOUR - 600));
    }

    #[test]
    fn no_way_to_write_an_age_hides_it() {
        let cached = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AGE, value.parse().unwrap());
            }
            cached_for(&headers).map(|age| age.as_secs())
        };
        assert_eq!(cached(&[]), None);
        assert_eq!(cached(&["10800"]), Some(10_800));
        assert_eq!(cached(&["0", " 10800 "]), Some(10_800), "another cache is in front");
        assert_eq!(cached(&["0, 10800"]), Some(10_800));
        assert_eq!(cached(&["99999999999999999999999"]), Some(u32::MAX.into()));
        assert_eq!(cached(&["-5", "soon", ""]), None);
    }
}
