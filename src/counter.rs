//! The counter of a user: its readings, and what follows from them.
//!
//! A [`Reading`] is made only by [`api`](crate::api) from a well-formed response, so a number
//! in it is a number that Wazzup24 said. [`Reading::values`] is the one place that decides which
//! figures such a response justifies, and a [`Trend`] is derived from consecutive readings: since when
//! red has been above 0, and how many messages arrived and were answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::clock::{Moment, Stamp};

/// Largest counter that is accepted: above it a gauge (a 64-bit float) would no longer be exact.
pub const COUNT_MAX: u64 = 1 << 53;

/// Whose customers the unanswered messages of a counter are.
///
/// One user has one counter with one type at a time (docs/upstream.md, "Unanswered counter").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CounterType {
    /// The user is responsible for the customers; only red notifies.
    Red,
    /// The user only looks on.
    Grey,
    /// Neither word: upstream said `null` or something never documented.
    Other,
}

/// One good answer to "how many messages wait for this user's reply".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Unanswered messages over all chats of the user, at most [`COUNT_MAX`].
    pub count: u64,
    /// The type of the counter.
    pub kind: CounterType,
    /// The server's clock in unix seconds, where the answer carried it.
    pub server_time: Option<i64>,
    /// When the last message arrived, since 1970, where the response says it; v3 only.
    pub last_message: Option<Duration>,
}

/// The figures that a reading justifies; `None` means: nothing is known, show no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterValues {
    /// Messages of the user's own customers.
    pub red: Option<u64>,
    /// Messages the user only looks on.
    pub grey: Option<u64>,
    /// Messages of an unknown type.
    pub other: Option<u64>,
}

/// What follows from consecutive readings of a user's red messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trend {
    /// Since when red has been above 0 without a break, as observed. On the clock for ages: the wall
    /// clock may be wrong at the first reading and be set later.
    pub red_since: Option<Moment>,
    /// Messages that came between two readings of red.
    pub increase: u64,
    /// Messages that were answered between two readings of red.
    pub decrease: u64,
    last: Option<LastRed>,
}

/// The last reading that held the number of red messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastRed {
    red: u64,
    /// Whether the counter itself was red; otherwise red was 0 because the counter was grey.
    was_red: bool,
    at: Moment,
    /// Until when, on the clock for ages, the next reading still belongs to it.
    gap_until: Duration,
}

/// The part of a [`Trend`] that is stored for the next process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTrend {
    /// See [`Trend::red_since`]; unix time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub red_since: Option<u64>,
    /// The last red counter.
    pub red: u64,
    /// When that was read; unix time in milliseconds.
    pub at: u64,
}

impl StoredTrend {
    /// Moves its times by so many milliseconds.
    pub fn shift(&mut self, by: i64) {
        self.at = self.at.saturating_add_signed(by);
        self.red_since = self.red_since.map(|since| since.saturating_add_signed(by));
    }
}

impl CounterType {
    /// The value of the label `type`.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

impl Reading {
    /// Splits the one counter into the figures per type.
    ///
    /// A known type carries the counter and the other one is 0, because a user has only one of
    /// them. Zero messages are zero of either type. Messages of an unknown type are neither red nor
    /// grey, and claiming 0 for these would be a guess.
    pub fn values(&self) -> CounterValues {
        match (self.kind, self.count) {
            (CounterType::Red, count) => CounterValues::known(count, 0),
            (CounterType::Grey, count) => CounterValues::known(0, count),
            (CounterType::Other, 0) => CounterValues::known(0, 0),
            (CounterType::Other, count) => {
                CounterValues { red: None, grey: None, other: Some(count) }
            }
        }
    }
}

impl CounterValues {
    /// No figure at all: the user has no live reading.
    pub const NOTHING: Self = Self { red: None, grey: None, other: None };

    fn known(red: u64, grey: u64) -> Self {
        Self { red: Some(red), grey: Some(grey), other: None }
    }
}

impl Trend {
    /// Takes into account a reading that was made `at` this time. Readings further apart than `gap_max`
    /// are not compared.
    ///
    /// Only the difference between two counters that are not grey counts as messages that came or were
    /// answered: when a counter turns to grey and back, no message was written or answered. While messages are
    /// of an unknown type, nothing is known of red, which neither continues nor ends a row above 0.
    pub fn observe(&mut self, reading: &Reading, at: Stamp, gap_max: Duration) {
        let Some(red) = reading.values().red else { return };
        let was_red = reading.kind != CounterType::Grey;
        let last = self.last.filter(|last| at.uptime <= last.gap_until);
        if let Some(last) = last.filter(|last| last.was_red && was_red) {
            self.increase = self.increase.saturating_add(red.saturating_sub(last.red));
            self.decrease = self.decrease.saturating_add(last.red.saturating_sub(red));
        }
        let unbroken = last.filter(|last| last.red > 0).and(self.red_since);
        self.red_since = (red > 0).then(|| unbroken.unwrap_or(at.moment()));
        let gap_until = at.uptime.saturating_add(gap_max);
        self.last = Some(LastRed { red, was_red, at: at.moment(), gap_until });
    }

    /// Takes into account that the counter was cleared: what was red was not answered, and what is red
    /// next has come since.
    pub fn mark_cleared(&mut self) {
        self.red_since = None;
        self.last = None;
    }

    /// Takes into account that the counter may have been cleared: the difference to the next reading
    /// says nothing about answers, and red lasts if that still shows it.
    pub fn mark_doubtful(&mut self) {
        if let Some(last) = &mut self.last {
            last.was_red = false;
        }
    }

    /// What to store, by the wall clock as it is `now`, if the last counter was red.
    pub fn to_stored(&self, now: Stamp) -> Option<StoredTrend> {
        let last = self.last.filter(|last| last.was_red)?;
        let millis = |moment: Moment| moment.unix_at(now).as_millis() as u64;
        let red_since = self.red_since.map(millis);
        Some(StoredTrend { red_since, red: last.red, at: millis(last.at) })
    }

    /// Continues from what was stored, unless it is older than `gap_max` or from the future.
    pub fn restore(kept: StoredTrend, now: Stamp, gap_max: Duration) -> Self {
        let age = now.unix.checked_sub(Duration::from_millis(kept.at));
        let Some(left) = age.and_then(|age| gap_max.checked_sub(age)) else {
            return Self::default();
        };
        let gap_until = now.uptime.saturating_add(left);
        let moment = |unix| Moment::of_unix(Duration::from_millis(unix), now);
        let last = LastRed { red: kept.red, was_red: true, at: moment(kept.at), gap_until };
        let red_since = kept.red_since.filter(|_| kept.red > 0).map(moment);
        Self { red_since, last: Some(last), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(count: u64, kind: CounterType) -> CounterValues {
        Reading { count, kind, server_time: None, last_message: None }.values()
    }

    #[test]
    fn the_reported_type_carries_the_counter_and_the_other_is_zero() {
        assert_eq!(
            shown(5, CounterType::Red),
            CounterValues { red: Some(5), grey: Some(0), other: None }
        );
        assert_eq!(
            shown(5, CounterType::Grey),
            CounterValues { red: Some(0), grey: Some(5), other: None }
        );
    }

    #[test]
    fn an_unknown_type_is_neither_red_nor_grey() {
        assert_eq!(
            shown(5, CounterType::Other),
            CounterValues { red: None, grey: None, other: Some(5) }
        );
    }

    #[test]
    fn zero_of_an_unknown_type_is_zero_of_both() {
        assert_eq!(
            shown(0, CounterType::Other),
            CounterValues { red: Some(0), grey: Some(0), other: None }
        );
    }

    const GAP_MAX: Duration = Duration::from_mins(2);
    const EPOCH: u64 = 1_759_499_000;

    /// A machine that was started at [`EPOCH`].
    fn at(seconds: u64) -> Stamp {
        let unix = Duration::from_secs(EPOCH + seconds);
        Stamp { uptime: Duration::from_secs(seconds), unix }
    }

    fn since(trend: &Trend, now: Stamp) -> Option<u64> {
        trend.red_since.map(|since| since.unix_at(now).as_secs() - EPOCH)
    }

    /// The trend after readings at these seconds.
    fn trend(readings: &[(u64, CounterType, u64)]) -> Trend {
        let mut trend = Trend::default();
        for (seconds, kind, count) in readings {
            let reading =
                Reading { count: *count, kind: *kind, server_time: None, last_message: None };
            trend.observe(&reading, at(*seconds), GAP_MAX);
        }
        trend
    }

    /// Since when (in seconds of the readings), came, answered.
    fn outcome(readings: &[(u64, CounterType, u64)]) -> (Option<u64>, u64, u64) {
        let trend = trend(readings);
        (since(&trend, at(0)), trend.increase, trend.decrease)
    }

    #[test]
    fn a_wall_clock_that_is_set_later_dates_the_same_row() {
        let mut trend = Trend::default();
        let reading =
            Reading { count: 5, kind: CounterType::Red, server_time: None, last_message: None };
        // The clock of a machine without a battery, until it learns the time from the network.
        let wrong = Stamp { unix: Duration::from_secs(10), ..at(10) };
        trend.observe(&reading, wrong, GAP_MAX);
        trend.observe(&reading, at(40), GAP_MAX);
        assert_eq!(since(&trend, at(40)), Some(10));
        let kept = trend.to_stored(at(41)).unwrap();
        let unix = |seconds| (EPOCH + seconds) * 1000;
        assert_eq!((kept.red_since, kept.at), (Some(unix(10)), unix(40)));
    }

    #[test]
    fn a_row_above_zero_lasts_until_the_first_zero() {
        use CounterType::Red;
        assert_eq!(outcome(&[(0, Red, 0)]), (None, 0, 0));
        assert_eq!(outcome(&[(0, Red, 0), (30, Red, 2), (60, Red, 5)]), (Some(30), 5, 0));
        assert_eq!(outcome(&[(0, Red, 2), (30, Red, 5), (60, Red, 1)]), (Some(0), 3, 4));
        assert_eq!(outcome(&[(0, Red, 2), (30, Red, 0)]), (None, 0, 2));
        assert_eq!(outcome(&[(0, Red, 2), (30, Red, 0), (60, Red, 3)]), (Some(60), 3, 2));
    }

    #[test]
    fn a_turn_to_grey_is_a_break_and_no_answer() {
        use CounterType::{Grey, Red};
        assert_eq!(outcome(&[(0, Red, 5), (30, Grey, 5)]), (None, 0, 0));
        assert_eq!(outcome(&[(0, Red, 5), (30, Grey, 5), (60, Red, 5)]), (Some(60), 0, 0));
    }

    #[test]
    fn an_unknown_type_neither_continues_nor_breaks_a_row() {
        use CounterType::{Other, Red};
        assert_eq!(outcome(&[(0, Red, 5), (30, Other, 9), (60, Red, 6)]), (Some(0), 1, 0));
        assert_eq!(outcome(&[(0, Red, 5), (60, Other, 9), (180, Red, 6)]), (Some(180), 0, 0));
        assert_eq!(outcome(&[(0, Red, 5), (30, Other, 0), (60, Red, 3)]), (Some(60), 3, 5));
    }

    #[test]
    fn a_row_survives_gaps_up_to_the_bridge() {
        use CounterType::Red;
        assert_eq!(outcome(&[(0, Red, 5), (120, Red, 6)]), (Some(0), 1, 0));
        assert_eq!(outcome(&[(0, Red, 5), (121, Red, 6)]), (Some(121), 0, 0));
    }

    #[test]
    fn a_row_survives_a_restart_that_is_no_longer_than_the_bridge() {
        let before = trend(&[(0, CounterType::Red, 0), (30, CounterType::Red, 5)]);
        let second = Duration::from_secs;
        let kept = before.to_stored(at(30)).unwrap();
        assert_eq!(kept.at, (EPOCH + 30) * 1000);
        let after = |down: u64| {
            // The machine was restarted, too: its clock for ages has only just begun.
            let now = Stamp { unix: second(EPOCH + 30 + down), uptime: second(10) };
            let mut trend = Trend::restore(kept, now, GAP_MAX);
            let reading =
                Reading { count: 7, kind: CounterType::Red, server_time: None, last_message: None };
            trend.observe(&reading, now, GAP_MAX);
            (since(&trend, now), trend.increase)
        };
        assert_eq!(after(120), (Some(30), 2));
        assert_eq!(after(121), (Some(151), 0));
        let future = Trend::restore(kept, at(0), GAP_MAX);
        assert_eq!(future, Trend::default());
    }

    #[test]
    fn what_was_cleared_was_not_answered_and_what_is_red_next_has_come_since() {
        use CounterType::Red;
        let observe = |trend: &mut Trend, seconds: u64, count: u64| {
            let reading = Reading { count, kind: Red, server_time: None, last_message: None };
            trend.observe(&reading, at(seconds), GAP_MAX);
            (since(trend, at(seconds)), trend.increase, trend.decrease)
        };
        let before = trend(&[(0, Red, 2), (30, Red, 500)]);
        assert!(before.to_stored(at(30)).is_some());
        let mut cleared = before;
        cleared.mark_cleared();
        assert_eq!((cleared.red_since, cleared.to_stored(at(30))), (None, None));
        assert_eq!(observe(&mut cleared, 60, 0), (None, 498, 0));
        let mut cleared = before;
        cleared.mark_cleared();
        assert_eq!(observe(&mut cleared, 60, 3), (Some(60), 498, 0));
        assert_eq!(observe(&mut cleared, 90, 4), (Some(60), 499, 0));
        let mut doubted = before;
        doubted.mark_doubtful();
        assert_eq!(doubted.to_stored(at(30)), None, "a restart must not count it either");
        assert_eq!(observe(&mut doubted, 60, 500), (Some(0), 498, 0));
        let mut doubted = before;
        doubted.mark_doubtful();
        assert_eq!(observe(&mut doubted, 60, 0), (None, 498, 0));
    }

    proptest! {
        #[test]
        fn came_minus_answered_is_the_change_of_an_unbroken_red_counter(
            counts in proptest::collection::vec(0_u64..1000, 1..50),
        ) {
            let readings = counts.iter().zip(0..);
            let readings: Vec<_> =
                readings.map(|(count, at)| (at, CounterType::Red, *count)).collect();
            let trend = trend(&readings);
            let (first, last) = (counts[0], counts[counts.len() - 1]);
            prop_assert_eq!(first + trend.increase, last + trend.decrease);
            prop_assert_eq!(trend.red_since.is_some(), last > 0);
        }
    }
}
