//! What an account's red sum was over the last hours, for the chart on the status page.
//!
//! One task ([`app`](crate::app)) samples every slot at a fixed period, and is the only writer. It
//! does not ride on the pollers' publications: these come at the rhythm of each account, from many
//! times a minute to once in hours, and stop when a poller dies. A sample says what the page would
//! have shown at that moment, stale readings left out, so an account that is no longer polled turns
//! into a gap instead of a flat line.
//!
//! Bound: [`POINTS`] points of 8 bytes per account, 2.9 kB. Nothing of it survives the process.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::totals::Totals;
use crate::blocking::lock;
use crate::clock::Stamp;

/// Points kept per account: six hours of minutes.
pub const POINTS: usize = 360;

/// The last [`POINTS`] samples of one account. It outlives changes of the account's settings.
#[derive(Debug, Default)]
pub struct History(Mutex<Samples>);

#[derive(Debug, Default)]
struct Samples {
    points: VecDeque<Point>,
    /// When the last point was taken, and how long after the one before.
    newest: Option<(Stamp, Duration)>,
}

/// The samples at one moment, oldest first, evenly spaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySamples {
    /// Time from one point to the next.
    pub period: Duration,
    /// When the last point was taken.
    pub newest: Stamp,
    /// The points.
    pub points: Vec<Point>,
}

/// One sample: nothing, or a sum of red counters and whether it is sound. In one word, since there are
/// many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point(u64);

impl Point {
    /// Nothing was known.
    pub const GAP: Self = Self(u64::MAX);
    /// Set where the sum lacks users, or holds figures that may not count.
    const PARTIAL: u64 = 1 << 63;

    /// The sum of red counters in `totals`.
    pub fn of(totals: &Totals) -> Self {
        let Some(red) = totals.red else { return Self::GAP };
        let sound = totals.red_users_missing == 0 && totals.red_users_in_doubt == 0;
        let partial = if sound { 0 } else { Self::PARTIAL };
        // Sums that large do not occur; this one must not be read as a gap.
        Self(red.min(Self::PARTIAL - 2) | partial)
    }

    /// The sum of the red counters that were known; `None` in a gap.
    pub fn red(self) -> Option<u64> {
        (self != Self::GAP).then_some(self.0 & !Self::PARTIAL)
    }

    /// Whether the sum lacks users, or holds figures that may not count.
    pub fn partial(self) -> bool {
        self != Self::GAP && self.0 & Self::PARTIAL != 0
    }
}

impl History {
    /// Records a sample, due every `period`. Samples that were missed, as in a machine that was
    /// suspended, become gaps.
    pub fn record(&self, point: Point, now: Stamp, period: Duration) {
        let mut samples = lock(&self.0);
        if let Some((newest, _)) = samples.newest {
            let elapsed = newest.age(now).as_secs_f64() / period.as_secs_f64();
            // Over-long gaps would only push each other out.
            let missed = (elapsed.round() as usize).saturating_sub(1).min(POINTS);
            for _ in 0..missed {
                samples.push(Point::GAP);
            }
        }
        samples.push(point);
        samples.newest = Some((now, period));
    }

    /// All samples; `None` before the first.
    pub fn past(&self) -> Option<HistorySamples> {
        let samples = lock(&self.0);
        let (newest, period) = samples.newest?;
        Some(HistorySamples { period, newest, points: samples.points.iter().copied().collect() })
    }
}

impl Samples {
    fn push(&mut self, point: Point) {
        if self.points.len() >= POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn sum(red: u64) -> Point {
        Point::of(&Totals { red: Some(red), ..Totals::default() })
    }

    #[test]
    fn a_point_is_a_sum_a_partial_sum_or_nothing() {
        let read = |totals: Totals| {
            let point = Point::of(&totals);
            (point.red(), point.partial())
        };
        let totals = Totals { red: Some(7), grey: Some(1), ..Totals::default() };
        assert_eq!(read(totals), (Some(7), false));
        assert_eq!(read(Totals { red_users_missing: 2, ..totals }), (Some(7), true));
        assert_eq!(read(Totals { red_users_in_doubt: 2, ..totals }), (Some(7), true));
        // Who does not count may be missing.
        assert_eq!(read(Totals { users_missing: 2, ..totals }), (Some(7), false));
        assert_eq!(read(Totals { red: None, red_users_missing: 2, ..totals }), (None, false));
        let most = Totals { red: Some(u64::MAX), red_users_missing: 1, ..totals };
        assert_eq!(read(most), (Some(Point::PARTIAL - 2), true));
    }

    #[test]
    fn samples_that_were_missed_are_gaps() {
        let history = History::default();
        assert_eq!(history.past(), None);
        let start = Stamp::now();
        let mut at = start;
        // A little late, a little early, and once by three periods.
        for (later, red) in [(0, 1), (62, 2), (58, 3), (181, 4)] {
            at = at.plus(Duration::from_secs(later));
            history.record(sum(red), at, MINUTE);
        }
        let points = vec![sum(1), sum(2), sum(3), Point::GAP, Point::GAP, sum(4)];
        assert_eq!(history.past(), Some(HistorySamples { period: MINUTE, newest: at, points }));
    }

    #[test]
    fn the_oldest_points_make_room_and_a_long_pause_leaves_only_gaps() {
        let history = History::default();
        let start = Stamp::now();
        for minute in 0..POINTS as u32 + 5 {
            history.record(sum(minute.into()), start.plus(MINUTE * minute), MINUTE);
        }
        let points = history.past().unwrap().points;
        assert_eq!((points.len(), points[0]), (POINTS, sum(5)));
        let later = start.plus(MINUTE * 100_000);
        history.record(sum(9), later, MINUTE);
        let points = history.past().unwrap().points;
        assert_eq!((points.len(), points[POINTS - 1]), (POINTS, sum(9)));
        assert!(points[..POINTS - 1].iter().all(|point| *point == Point::GAP));
    }
}
