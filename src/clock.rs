//! The time on two clocks: one for ages, one for timestamps.
//!
//! A [`Stamp`] carries both. Ages come from the boot clock, which cannot be set and which counts
//! the time a machine was suspended: a laptop or a paused virtual machine must not wake up and show
//! yesterday's backlog as fresh. The wall clock is only for timestamps that leave the process, and only
//! the difference between the two is taken from it: a timestamp that is shown for hours follows the
//! wall clock when that is set ([`Stamp::unix_at`]), and does not jitter with it in between.
//! Pure code takes stamps as values; code that does I/O calls [`Stamp::now`].

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The clock for ages: since boot, suspended time included.
#[cfg(target_os = "linux")]
const AGE_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const AGE_CLOCK: ClockId = ClockId::Monotonic;

/// By how much the difference of the clocks has to change for the wall clock to count as set.
const CLOCK_SET: Duration = Duration::from_secs(1);
/// Longest time between two readings of the clocks that count as one moment.
const ONE_MOMENT: Duration = Duration::from_millis(10);
/// How often the clocks are read for that, after which the last readings have to do.
const READINGS_MAX: u32 = 10;

/// The wall clock minus the clock for ages, in nanoseconds, as [`Stamp::now`] uses it.
static OFFSET: AtomicI64 = AtomicI64::new(i64::MIN);

/// A moment on the clock for ages, which may lie before the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    nanos: i128,
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Time since boot, suspended time included; comparable only within one process.
    pub uptime: Duration,
    /// Time since the unix epoch, as the wall clock had it; up to a second off where that was adjusted.
    pub unix: Duration,
}

impl Stamp {
    /// This moment.
    pub fn now() -> Self {
        let (uptime, wall) = read_both();
        let read = nanos(wall).saturating_sub(nanos(uptime));
        let offset = anchored(OFFSET.load(Relaxed), read);
        OFFSET.store(offset, Relaxed);
        let unix = u64::try_from(nanos(uptime).saturating_add(offset)).unwrap_or_default();
        Self { uptime, unix: Duration::from_nanos(unix) }
    }

    /// This moment on the clock for ages.
    pub fn moment(self) -> Moment {
        Moment { nanos: self.uptime.as_nanos() as i128 }
    }

    /// The unix time of this moment by the wall clock as it is `now`, which may have been set since.
    pub fn unix_at(self, now: Self) -> Duration {
        self.moment().unix_at(now)
    }

    /// The wall clock minus the clock for ages, in nanoseconds; it changes only where the wall clock is set.
    pub fn offset(self) -> i128 {
        self.unix.as_nanos() as i128 - self.uptime.as_nanos() as i128
    }

    /// How long before `now` this moment was; zero if it lies after it.
    pub fn age(self, now: Self) -> Duration {
        now.uptime.saturating_sub(self.uptime)
    }

    /// This moment moved by `later` on both clocks.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self { uptime: self.uptime.saturating_add(later), unix: self.unix.saturating_add(later) }
    }
}

impl Moment {
    /// The moment of a unix time by the wall clock as it is `now`.
    pub fn of_unix(unix: Duration, now: Stamp) -> Self {
        Self { nanos: unix.as_nanos() as i128 - now.offset() }
    }

    /// How long before `now` this moment was; zero if it lies after it.
    pub fn age(self, now: Stamp) -> Duration {
        let nanos = now.moment().nanos.saturating_sub(self.nanos);
        Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// The unix time of this moment by the wall clock as it is `now`.
    pub fn unix_at(self, now: Stamp) -> Duration {
        let nanos = u64::try_from(self.nanos + now.offset()).unwrap_or_default();
        Duration::from_nanos(nanos)
    }
}

/// The difference of the clocks to go on with: the one in use, unless that which was `read` shows that
/// the wall clock was set since.
fn anchored(used: i64, read: i64) -> i64 {
    let same = used.abs_diff(read) <= CLOCK_SET.as_nanos() as u64;
    if same { used } else { read }
}

/// Both clocks at one moment: the process may be stopped between two readings.
fn read_both() -> (Duration, Duration) {
    let mut readings = 1;
    loop {
        let uptime = read(AGE_CLOCK);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if read(AGE_CLOCK).saturating_sub(uptime) <= ONE_MOMENT || readings >= READINGS_MAX {
            return (uptime, wall);
        }
        readings += 1;
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// An id of this boot of the machine, so that uptimes can be compared across processes;
/// `None` where the system has none.
pub fn boot() -> Option<&'static str> {
    static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    });
    BOOT.as_deref()
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_never_negative() {
        let now = Stamp::now();
        assert_eq!(now.plus(Duration::from_secs(5)).age(now), Duration::ZERO);
        assert_eq!(now.age(now.plus(Duration::from_secs(5))), Duration::from_secs(5));
    }

    #[test]
    fn the_clocks_are_compared_anew_only_after_one_was_set() {
        const SECOND: i64 = 1_000_000_000;
        for (used, read, expected) in [
            (50 * SECOND, 50 * SECOND + 1, 50 * SECOND),
            (50 * SECOND, 51 * SECOND, 50 * SECOND),
            (50 * SECOND, 49 * SECOND, 50 * SECOND),
            (50 * SECOND, 51 * SECOND + 1, 51 * SECOND + 1),
            (50 * SECOND, 48 * SECOND, 48 * SECOND),
            (i64::MIN, 0, 0),
            (i64::MIN, i64::MAX, i64::MAX),
        ] {
            assert_eq!(anchored(used, read), expected, "{used} {read}");
        }
    }

    #[test]
    fn a_moment_follows_the_wall_clock_when_that_is_set() {
        let at = |uptime, unix| Stamp {
            uptime: Duration::from_secs(uptime),
            unix: Duration::from_secs(unix),
        };
        let earlier = at(100, 3);
        assert_eq!(earlier.unix_at(at(160, 63)), Duration::from_secs(3));
        assert_eq!(earlier.unix_at(at(160, 1_759_499_160)), Duration::from_mins(29_324_985));
        // Before the machine was started.
        let before = Moment::of_unix(Duration::from_secs(1_759_000_000), at(5, 1_759_499_000));
        assert_eq!(before.unix_at(at(65, 1_759_499_060)), Duration::from_secs(1_759_000_000));
        assert_eq!(before.unix_at(at(65, 60)), Duration::ZERO);
    }

    #[test]
    fn both_clocks_run() {
        let earlier = Stamp::now();
        let later = Stamp::now();
        assert!(earlier.uptime > Duration::ZERO && earlier.unix > Duration::from_secs(1 << 30));
        assert!(later.uptime >= earlier.uptime);
    }
}
