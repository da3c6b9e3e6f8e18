//! Whether the cooldown after the last reset is over, also where a clock was set.
//!
//! Within one boot of the machine the boot clock decides, which cannot be set. After a restart of the
//! machine, or on another one, only the wall clock is left; the cooldown is over if it says so *and*
//! upstream's clock, read before a reset anyway, does not contradict. A wall clock behind the last reset,
//! or a last reset in the far future, extends the cooldown by no more than its own length from when this
//! process has learned of the reset: that much time has then certainly passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// The time of a reset on every available clock. Stored on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CooldownMark {
    /// Unix time in milliseconds.
    pub(super) unix_ms: u64,
    /// Time since boot in milliseconds.
    pub(super) uptime_ms: u64,
    /// Which boot that is.
    #[serde(default)]
    pub(super) boot: Option<String>,
    /// Upstream's clock, in unix seconds.
    #[serde(default)]
    pub(super) server_time: Option<i64>,
    /// The cooldown that was configured then; the longer of this and the current one counts.
    pub(super) cooldown_ms: u64,
}

/// The current time on every available clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) stamp: Stamp,
    pub(super) boot: Option<&'a str>,
    /// When this process learned of the last reset.
    pub(super) known_since: Stamp,
}

/// Why a cooldown counts as over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CooldownOver {
    /// Enough time has passed for certain.
    Certainly,
    /// The wall clock says so; upstream's clock may contradict.
    ByWallClock,
}

/// A cooldown that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CooldownLeft {
    /// How long it takes at most.
    pub(super) left: Duration,
    /// When the last reset was, in unix time.
    pub(super) since: Duration,
    /// Clocks that contradict each other, if any.
    pub(super) conflict: Option<ClockConflict>,
}

/// How the clocks contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockConflict {
    /// The wall clock is behind the last reset.
    WallClockBehind,
    /// The wall clock says that the cooldown is over, upstream's does not.
    UpstreamDenies,
}

impl CooldownMark {
    pub(super) fn new(
        now: Stamp,
        boot: Option<String>,
        server_time: Option<i64>,
        cooldown: Duration,
    ) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            unix_ms: millis(now.unix),
            uptime_ms: millis(now.uptime),
            boot,
            server_time,
            cooldown_ms: millis(cooldown),
        }
    }

    pub(super) fn unix(&self) -> Duration {
        Duration::from_millis(self.unix_ms)
    }

    fn cooldown(&self, configured: Duration) -> Duration {
        configured.max(Duration::from_millis(self.cooldown_ms))
    }

    /// Whether the cooldown after this reset is over.
    pub(super) fn over(
        &self,
        configured: Duration,
        now: Now<'_>,
    ) -> Result<CooldownOver, CooldownLeft> {
        let cooldown = self.cooldown(configured);
        let wait = |left, conflict| Err(CooldownLeft { left, since: self.unix(), conflict });
        let same_boot = self.boot.is_some() && self.boot.as_deref() == now.boot;
        let uptime = Duration::from_millis(self.uptime_ms);
        if let Some(passed) = now.stamp.uptime.checked_sub(uptime).filter(|_| same_boot) {
            return match cooldown.checked_sub(passed).filter(|left| !left.is_zero()) {
                Some(left) => wait(left, None),
                None => Ok(CooldownOver::Certainly),
            };
        }
        let certain = now.known_since.age(now.stamp);
        let Some(at_most) = cooldown.checked_sub(certain).filter(|left| !left.is_zero()) else {
            return Ok(CooldownOver::Certainly);
        };
        match now.stamp.unix.checked_sub(self.unix()) {
            None => wait(at_most, Some(ClockConflict::WallClockBehind)),
            Some(passed) if passed >= cooldown => Ok(CooldownOver::ByWallClock),
            Some(passed) => wait(at_most.min(cooldown.saturating_sub(passed)), None),
        }
    }

    /// Whether upstream's clock contradicts, where only the wall clock says that it is over.
    pub(super) fn denied_by(
        &self,
        server_time: Option<i64>,
        configured: Duration,
        now: Now<'_>,
    ) -> Option<CooldownLeft> {
        if self.over(configured, now) != Ok(CooldownOver::ByWallClock) {
            return None;
        }
        let cooldown = self.cooldown(configured);
        let passed = server_time?.saturating_sub(self.server_time?);
        let passed = Duration::from_secs(u64::try_from(passed).unwrap_or(0));
        let at_most = cooldown.saturating_sub(now.known_since.age(now.stamp));
        let left = cooldown.checked_sub(passed).filter(|left| !left.is_zero())?.min(at_most);
        Some(CooldownLeft {
            left,
            since: self.unix(),
            conflict: Some(ClockConflict::UpstreamDenies),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const EPOCH: u64 = 1_759_499_000;

    fn stamp(unix: u64, uptime: u64) -> Stamp {
        Stamp { unix: Duration::from_secs(unix), uptime: Duration::from_secs(uptime) }
    }

    fn mark() -> CooldownMark {
        let boot = Some("one".to_owned());
        CooldownMark::new(stamp(EPOCH, 1000), boot, Some(EPOCH as i64), HOUR)
    }

    /// Seconds left, or over, at this moment of a process that has just begun or at `known_since`.
    fn over(boot: &str, at: Stamp, known_since: Option<Stamp>) -> Result<CooldownOver, u64> {
        let known_since = known_since.unwrap_or(at);
        let now = Now { stamp: at, boot: Some(boot), known_since };
        mark().over(HOUR, now).map_err(|wait| wait.left.as_secs())
    }

    #[test]
    fn within_a_boot_the_wall_clock_does_not_matter() {
        for unix in [0, EPOCH - 100_000, EPOCH, EPOCH + 10, EPOCH + 3600, EPOCH * 3] {
            assert_eq!(over("one", stamp(unix, 1000), None), Err(3600), "{unix}");
            assert_eq!(over("one", stamp(unix, 1010), None), Err(3590), "{unix}");
            assert_eq!(over("one", stamp(unix, 4599), None), Err(1), "{unix}");
            assert_eq!(over("one", stamp(unix, 4600), None), Ok(CooldownOver::Certainly), "{unix}");
        }
    }

    #[test]
    fn after_another_boot_the_wall_clock_decides() {
        assert_eq!(over("two", stamp(EPOCH + 10, 5), None), Err(3590));
        assert_eq!(over("two", stamp(EPOCH + 10, 900_000), None), Err(3590), "another machine");
        assert_eq!(over("two", stamp(EPOCH + 3600, 5), None), Ok(CooldownOver::ByWallClock));
        let mark = CooldownMark { boot: None, ..mark() };
        let at = stamp(EPOCH + 10, 90_000);
        let now = Now { stamp: at, boot: None, known_since: at };
        assert!(mark.over(HOUR, now).is_err(), "unknown boots are not the same one");
    }

    #[test]
    fn a_reset_in_the_future_blocks_no_longer_than_the_cooldown() {
        let began = stamp(EPOCH - 1_000_000, 50);
        assert_eq!(over("two", began, None), Err(3600));
        let later = |seconds| stamp(EPOCH - 1_000_000 + seconds, 50 + seconds);
        assert_eq!(over("two", later(3599), Some(began)), Err(1));
        assert_eq!(over("two", later(3600), Some(began)), Ok(CooldownOver::Certainly));
        let wait = mark().over(HOUR, Now { stamp: began, boot: None, known_since: began });
        assert_eq!(wait.unwrap_err().conflict, Some(ClockConflict::WallClockBehind));
    }

    #[test]
    fn a_wall_clock_set_forward_across_a_boot_is_denied_by_upstream() {
        let began = stamp(EPOCH + 90_000, 5);
        let now = Now { stamp: began, boot: Some("two"), known_since: began };
        let denied = |server: Option<i64>| mark().denied_by(server, HOUR, now);
        let upstream = EPOCH as i64 + 60;
        let wait = denied(Some(upstream)).unwrap();
        assert_eq!(
            (wait.left.as_secs(), wait.conflict),
            (3540, Some(ClockConflict::UpstreamDenies))
        );
        assert_eq!(denied(Some(i64::MIN)).unwrap().left, HOUR);
        assert_eq!(denied(Some(EPOCH as i64 + 3600)), None);
        assert_eq!(denied(None), None);
        let certain = Now { boot: Some("one"), stamp: stamp(0, 1000 + 3600), known_since: began };
        assert_eq!(mark().denied_by(Some(upstream), HOUR, certain), None);
    }

    #[test]
    fn the_longer_cooldown_counts() {
        let at = stamp(EPOCH, 1000 + 3600);
        let now = Now { stamp: at, boot: Some("one"), known_since: at };
        assert_eq!(mark().over(Duration::from_mins(1), now), Ok(CooldownOver::Certainly));
        assert!(mark().over(2 * HOUR, now).is_err());
        let earlier = Now { stamp: stamp(EPOCH, 1000 + 120), ..now };
        assert!(mark().over(Duration::from_mins(1), earlier).is_err());
    }
}
