//! Whether the cooldown after the last reset is over, also where a clock was set.
//!
//! Within one boot of the machine the boot clock decides, which cannot be set. After another boot, or on
//! another machine, the wall clock says when the reset was, once: when this process learns of it. From then
//! on the boot clock counts here as well, so that a wall clock that jumps changes nothing. One that is behind
//! the last reset cannot say how much has passed; the whole cooldown begins then.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Stamp};

/// When a reset was, and its cooldown. Stored on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CooldownMark {
    /// Unix time in milliseconds.
    unix_ms: u64,
    /// Time since boot in milliseconds.
    uptime_ms: u64,
    /// Which boot that is.
    #[serde(default)]
    boot: Option<String>,
    /// The cooldown that was configured then; the longer of this and the current one counts.
    cooldown_ms: u64,
}

/// The cooldown after a reset, as this process counts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cooldown {
    began: Moment,
    /// When the reset was, in unix time.
    since: Duration,
    length: Duration,
    /// Whether the wall clock was behind the reset when this process learned of it.
    clock_behind: bool,
}

/// A cooldown that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CooldownLeft {
    pub(super) left: Duration,
    /// See [`Cooldown`].
    pub(super) since: Duration,
    /// See [`Cooldown`].
    pub(super) clock_behind: bool,
}

impl CooldownMark {
    pub(super) fn new(now: Stamp, boot: Option<String>, cooldown: Duration) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let [unix_ms, uptime_ms, cooldown_ms] = [now.unix, now.uptime, cooldown].map(millis);
        Self { unix_ms, uptime_ms, boot, cooldown_ms }
    }

    /// The cooldown, for a process that learns of the reset `now`, in this `boot`.
    pub(super) fn cooldown(&self, now: Stamp, boot: Option<&str>) -> Cooldown {
        let [since, uptime, length] =
            [self.unix_ms, self.uptime_ms, self.cooldown_ms].map(Duration::from_millis);
        let same_boot = self.boot.is_some() && self.boot.as_deref() == boot && uptime <= now.uptime;
        if same_boot {
            let began = Stamp { uptime, unix: since }.moment();
            return Cooldown { began, since, length, clock_behind: false };
        }
        let (by_wall_clock, now) = (Moment::of_unix(since, now), now.moment());
        let began = by_wall_clock.min(now);
        Cooldown { began, since, length, clock_behind: by_wall_clock > now }
    }
}

impl Cooldown {
    /// What is left of it.
    pub(super) fn left(&self, configured: Duration, now: Stamp) -> Option<CooldownLeft> {
        let Self { began, since, length, clock_behind } = *self;
        let left = length.max(configured).checked_sub(began.age(now));
        let left = left.filter(|left| !left.is_zero())?;
        Some(CooldownLeft { left, since, clock_behind })
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
        CooldownMark::new(stamp(EPOCH, 1000), Some("one".to_owned()), HOUR)
    }

    /// Seconds left at this moment, for a process that learns of the reset then or at `known_since`.
    fn left(boot: &str, at: Stamp, known_since: Option<Stamp>) -> Option<u64> {
        let cooldown = mark().cooldown(known_since.unwrap_or(at), Some(boot));
        cooldown.left(HOUR, at).map(|left| left.left.as_secs())
    }

    #[test]
    fn within_a_boot_the_wall_clock_does_not_matter() {
        for unix in [0, EPOCH - 100_000, EPOCH, EPOCH + 10, EPOCH + 3600, EPOCH * 3] {
            for (uptime, expected) in
                [(1000, Some(3600)), (1010, Some(3590)), (4599, Some(1)), (4600, None)]
            {
                assert_eq!(left("one", stamp(unix, uptime), None), expected, "{unix} {uptime}");
            }
        }
    }

    #[test]
    fn after_another_boot_the_wall_clock_decides() {
        assert_eq!(left("two", stamp(EPOCH + 10, 5), None), Some(3590));
        assert_eq!(left("two", stamp(EPOCH + 10, 900_000), None), Some(3590), "another machine");
        assert_eq!(left("two", stamp(EPOCH + 3600, 5), None), None);
        let mark = CooldownMark { boot: None, ..mark() };
        let at = stamp(EPOCH + 10, 90_000);
        assert!(mark.cooldown(at, None).left(HOUR, at).is_some(), "unknown boots are not the same");
    }

    #[test]
    fn a_wall_clock_that_is_set_while_the_process_runs_changes_nothing() {
        let began = stamp(EPOCH + 10, 5);
        for unix in [0, EPOCH - 1, EPOCH + 90_000] {
            assert_eq!(left("two", stamp(unix, 6), Some(began)), Some(3589), "{unix}");
            assert_eq!(left("two", stamp(unix, 5 + 3590), Some(began)), None, "{unix}");
        }
    }

    #[test]
    fn a_reset_in_the_future_blocks_no_longer_than_the_cooldown() {
        let began = stamp(EPOCH - 1_000_000, 50);
        assert_eq!(left("two", began, None), Some(3600));
        let later = |seconds| stamp(EPOCH - 1_000_000 + seconds, 50 + seconds);
        assert_eq!(left("two", later(3599), Some(began)), Some(1));
        assert_eq!(left("two", later(3600), Some(began)), None);
        for (boot, behind) in [("two", true), ("one", false)] {
            let at = stamp(EPOCH - 1_000_000, 1050);
            let left = mark().cooldown(at, Some(boot)).left(HOUR, at).unwrap();
            assert_eq!(left.clock_behind, behind, "{boot}");
        }
    }

    #[test]
    fn the_longer_cooldown_counts() {
        let left = |configured, uptime| {
            let at = stamp(EPOCH, uptime);
            mark().cooldown(at, Some("one")).left(configured, at)
        };
        assert_eq!(left(Duration::from_mins(1), 1000 + 3600), None);
        assert!(left(2 * HOUR, 1000 + 3600).is_some());
        assert!(left(Duration::from_mins(1), 1000 + 120).is_some());
    }

    #[test]
    fn what_an_earlier_version_has_stored_is_read() {
        let stored = format!(
            r#"{{"unix_ms":{},"uptime_ms":1000000,"boot":"one","server_time":{EPOCH},"cooldown_ms":3600000}}"#,
            EPOCH * 1000
        );
        assert_eq!(serde_json::from_str::<CooldownMark>(&stored).unwrap(), mark());
    }
}
