//! The time on two clocks: one for ages, one for timestamps.
//!
//! A [`Stamp`] carries both. Ages come from the boot clock, which cannot be set and which counts
//! the time a machine was suspended: a laptop or a paused virtual machine must not wake up and show
//! yesterday's backlog as fresh. The wall clock is only for timestamps that leave the process.
//! Pure code takes stamps as values; code that does I/O calls [`Stamp::now`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The clock for ages: since boot, suspended time included.
#[cfg(target_os = "linux")]
const AGE_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const AGE_CLOCK: ClockId = ClockId::Monotonic;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Time since boot, suspended time included; comparable only within one process.
    pub uptime: Duration,
    /// Time since the unix epoch, as the wall clock had it.
    pub unix: Duration,
}

impl Stamp {
    /// This moment.
    pub fn now() -> Self {
        Self {
            uptime: read(AGE_CLOCK),
            unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
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

/// An id of this boot of the machine, so that uptimes can be compared across processes;
/// `None` where the system has none.
pub fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
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
    fn both_clocks_run() {
        let earlier = Stamp::now();
        let later = Stamp::now();
        assert!(earlier.uptime > Duration::ZERO && earlier.unix > Duration::from_secs(1 << 30));
        assert!(later.uptime >= earlier.uptime);
    }
}
