//! Whether enough time has passed since the last reset, whatever anybody does to the clocks.
//!
//! Within one boot of the machine the boot clock decides, which nobody can set. After a restart of the
//! machine, or on another one, there is only the wall clock; it is believed if it says that the
//! cooldown is over *and* upstream's clock, read before a reset anyway, does not object. A wall clock
//! that stands before the last reset, or a last reset in the far future, closes for no longer than the
//! cooldown from when this process has looked first: that much has then certainly passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// When a reset was decided, on every clock that there is. Kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
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
    /// The cooldown that was configured then; a later, longer one counts as well.
    pub(super) cooldown_ms: u64,
}

/// Now, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) stamp: Stamp,
    pub(super) boot: Option<&'a str>,
    /// When this process has learned of the mark.
    pub(super) known_since: Stamp,
}

/// Why a cooldown counts as over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// So much time has passed for certain.
    Certainly,
    /// The wall clock says so, which upstream's clock may deny.
    ByTheWallClock,
}

/// A cooldown that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    /// How long it takes at most.
    pub(super) left: Duration,
    /// When the last reset was, in unix time.
    pub(super) since: Duration,
    /// Which clock contradicts that.
    pub(super) odd: Option<Odd>,
}

/// What is odd about the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    /// The wall clock stands before the last reset.
    BeforeTheReset,
    /// The wall clock says that the cooldown is over, upstream's does not.
    UpstreamDenies,
}

impl Mark {
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
    pub(super) fn over(&self, configured: Duration, now: Now<'_>) -> Result<Over, Wait> {
        let cooldown = self.cooldown(configured);
        let wait = |left, odd| Err(Wait { left, since: self.unix(), odd });
        let same_boot = self.boot.is_some() && self.boot.as_deref() == now.boot;
        let uptime = Duration::from_millis(self.uptime_ms);
        if let Some(passed) = now.stamp.uptime.checked_sub(uptime).filter(|_| same_boot) {
            return match cooldown.checked_sub(passed).filter(|left| !left.is_zero()) {
                Some(left) => wait(left, None),
                None => Ok(Over::Certainly),
            };
        }
        let certain = now.known_since.age(now.stamp);
        let Some(at_most) = cooldown.checked_sub(certain).filter(|left| !left.is_zero()) else {
            return Ok(Over::Certainly);
        };
        match now.stamp.unix.checked_sub(self.unix()) {
            None => wait(at_most, Some(Odd::BeforeTheReset)),
            Some(passed) if passed >= cooldown => Ok(Over::ByTheWallClock),
            Some(passed) => wait(at_most.min(cooldown.saturating_sub(passed)), None),
        }
    }

    /// Whether upstream's clock objects, where the wall clock alone has said that it is over.
    pub(super) fn denied_by(
        &self,
        server_time: Option<i64>,
        configured: Duration,
        now: Now<'_>,
    ) -> Option<Wait> {
        if self.over(configured, now) != Ok(Over::ByTheWallClock) {
            return None;
        }
        let cooldown = self.cooldown(configured);
        let passed = server_time?.saturating_sub(self.server_time?);
        let passed = Duration::from_secs(u64::try_from(passed).unwrap_or(0));
        let at_most = cooldown.saturating_sub(now.known_since.age(now.stamp));
        let left = cooldown.checked_sub(passed).filter(|left| !left.is_zero())?.min(at_most);
        Some(Wait { left, since: self.unix(), odd: Some(Odd::UpstreamDenies) })
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

    fn mark() -> Mark {
        let boot = Some("one".to_owned());
        Mark::new(stamp(EPOCH, 1000), boot, Some(EPOCH as i64), HOUR)
    }

    /// Seconds left, or over, at this moment of a process that has just begun or at `known_since`.
    fn over(boot: &str, at: Stamp, known_since: Option<Stamp>) -> Result<Over, u64> {
        let known_since = known_since.unwrap_or(at);
        let now = Now { stamp: at, boot: Some(boot), known_since };
        mark().over(HOUR, now).map_err(|wait| wait.left.as_secs())
    }

    #[test]
    fn within_a_boot_no_wall_clock_opens_or_closes_it() {
        for unix in [0, EPOCH - 100_000, EPOCH, EPOCH + 10, EPOCH + 3600, EPOCH * 3] {
            assert_eq!(over("one", stamp(unix, 1000), None), Err(3600), "{unix}");
            assert_eq!(over("one", stamp(unix, 1010), None), Err(3590), "{unix}");
            assert_eq!(over("one", stamp(unix, 4599), None), Err(1), "{unix}");
            assert_eq!(over("one", stamp(unix, 4600), None), Ok(Over::Certainly), "{unix}");
        }
    }

    #[test]
    fn after_another_boot_the_wall_clock_decides() {
        assert_eq!(over("two", stamp(EPOCH + 10, 5), None), Err(3590));
        assert_eq!(over("two", stamp(EPOCH + 10, 900_000), None), Err(3590), "another machine");
        assert_eq!(over("two", stamp(EPOCH + 3600, 5), None), Ok(Over::ByTheWallClock));
        let mark = Mark { boot: None, ..mark() };
        let at = stamp(EPOCH + 10, 90_000);
        let now = Now { stamp: at, boot: None, known_since: at };
        assert!(mark.over(HOUR, now).is_err(), "unknown boots are not the same one");
    }

    #[test]
    fn a_reset_in_the_future_closes_no_longer_than_the_cooldown() {
        let began = stamp(EPOCH - 1_000_000, 50);
        assert_eq!(over("two", began, None), Err(3600));
        let later = |seconds| stamp(EPOCH - 1_000_000 + seconds, 50 + seconds);
        assert_eq!(over("two", later(3599), Some(began)), Err(1));
        assert_eq!(over("two", later(3600), Some(began)), Ok(Over::Certainly));
        let wait = mark().over(HOUR, Now { stamp: began, boot: None, known_since: began });
        assert_eq!(wait.unwrap_err().odd, Some(Odd::BeforeTheReset));
    }

    #[test]
    fn a_wall_clock_set_forward_across_a_boot_is_denied_by_upstream() {
        let began = stamp(EPOCH + 90_000, 5);
        let now = Now { stamp: began, boot: Some("two"), known_since: began };
        let denied = |server: Option<i64>| mark().denied_by(server, HOUR, now);
        let upstream = EPOCH as i64 + 60;
        let wait = denied(Some(upstream)).unwrap();
        assert_eq!((wait.left.as_secs(), wait.odd), (3540, Some(Odd::UpstreamDenies)));
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
        assert_eq!(mark().over(Duration::from_mins(1), now), Ok(Over::Certainly));
        assert!(mark().over(2 * HOUR, now).is_err());
        let earlier = Now { stamp: stamp(EPOCH, 1000 + 120), ..now };
        assert!(mark().over(Duration::from_mins(1), earlier).is_err());
    }
}
