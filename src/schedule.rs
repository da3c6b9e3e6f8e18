//! When to poll and when a reading is too old, as arithmetic on values.
//!
//! Nothing here looks at a clock or waits; [`config`](crate::config) takes the defaults from here,
//! [`poller`](crate::poller) and [`auth`](crate::auth) the times.

mod hours;

use std::time::Duration;

pub use self::hours::WorkingHours;

/// Period between two readings of a user, unless configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// Time limit of a request, unless configured.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Least default for the age at which a reading is no longer shown: a short interval does not make
/// series flicker over one slow minute of upstream.
const LEAST_DEFAULT_STALE_AFTER: Duration = Duration::from_mins(2);

/// Share of what may be sent that is sent. The rest absorbs that requests travel unequally long.
const SHARE: f64 = 0.97;
/// By how much of the window a request may be sent before its place in the spacing, to make up for
/// coarse timers; less than what [`SHARE`] leaves unused.
const TOLERANCE: f64 = 0.01;
/// Sweeps in a row in which no user could be read, after which single requests go out.
const FAILURES_BEFORE_PROBING: u32 = 3;
/// Part of the interval over which the requests of a sweep are spread, so that they do not take a
/// credential's limit in bursts.
const SWEEP_SPREAD: f64 = 0.8;
/// Longest time over which the first sweeps of accounts are spread: a restart must leave no account
/// without figures for long, however rarely it is polled. The requests of a sweep are spread by
/// [`sweep_spacing`] anyway.
const SPREAD_MAX: Duration = Duration::from_secs(10);
/// Longest time between two single requests to an account that refuses its token.
const PROBE_MAX: Duration = Duration::from_mins(5);

/// How a limit of so many requests per window is kept: evenly spaced, whatever the window's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spacing {
    /// Time from one request to the next.
    pub between: Duration,
    /// How much earlier a request may be sent.
    pub tolerance: Duration,
}

impl Spacing {
    /// The spacing for `requests` in any window of `per`; for fewer than one, of one in several windows.
    ///
    /// n + 1 requests take at least n × between − tolerance. With n = requests that is
    /// per / 0.97 − 0.01 × per, more than the window, so no window holds more than `requests`.
    pub fn new(requests: f64, per: Duration) -> Self {
        let between = per.div_f64(requests.max(f64::MIN_POSITIVE) * SHARE);
        Self { between, tolerance: per.mul_f64(TOLERANCE) }
    }
}

/// When the next sweep is due, and whether the one before it outlasted its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextSweep {
    /// The due time, on the same scale as the arguments of [`Backoff::next`].
    pub due: Duration,
    /// Whether the sweep took longer than the interval.
    pub overrun: bool,
}

/// The consecutive failures of an account, which decide what to poll next and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    /// Sweeps that ended with the token refused.
    refusals: u32,
    /// Sweeps in which no user could be read for any reason.
    failures: u32,
}

impl Backoff {
    /// Records the end of a sweep: whether upstream refused the token and whether no user could be
    /// read.
    pub fn record(&mut self, refused: bool, failing: bool) {
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        self.failures = if failing { self.failures.saturating_add(1) } else { 0 };
    }

    /// Whether to poll one user only until upstream responds: at once after the token was refused, and
    /// after a run of sweeps in which no user could be read.
    pub fn probing(&self) -> bool {
        self.refusals > 0 || self.failures >= FAILURES_BEFORE_PROBING
    }

    /// Whether upstream refuses the token, so that sweeps become rarer.
    pub fn refused(&self) -> bool {
        self.refusals > 0
    }

    /// Whether this may still be a passing failure, so that trying again in the same sweep helps.
    pub fn is_new(&self) -> bool {
        self.failures == 0
    }

    /// When to start after the sweep that was `due` and ended at `finished`: at the interval, or at
    /// growing intervals while the token is refused.
    pub fn next(&self, due: Duration, finished: Duration, interval: Duration) -> NextSweep {
        match self.refusals {
            0 => next_sweep(due, finished, interval),
            refusals => NextSweep {
                due: finished.saturating_add(probe_pause(interval, refusals)),
                overrun: false,
            },
        }
    }
}

/// The shortest `stale_after` that does not hide good readings: a reading at the start of one sweep
/// may be followed by one at the very end of the next, whose request may use its whole time limit.
pub fn least_stale_after(interval: Duration, timeout: Duration) -> Duration {
    interval.saturating_mul(2).saturating_add(timeout)
}

/// `stale_after` unless configured: two minutes, three intervals or [`least_stale_after`], whichever
/// is longest.
pub fn default_stale_after(interval: Duration, timeout: Duration) -> Duration {
    LEAST_DEFAULT_STALE_AFTER
        .max(interval.saturating_mul(3))
        .max(least_stale_after(interval, timeout))
}

/// The time from one request of a sweep over `users` to the next, where the limit does not make it
/// longer.
pub fn sweep_spacing(users: usize, interval: Duration) -> Duration {
    interval.mul_f64(SWEEP_SPREAD).div_f64(users.max(1) as f64)
}

/// How long after the start an account is swept for the first time, so that accounts spread over the
/// interval, or ten seconds of it, and each has the same place after every restart.
pub fn phase(account: &str, interval: Duration) -> Duration {
    let spread_over = interval.min(SPREAD_MAX);
    let spread = mix(fnv1a(account.as_bytes())) >> 32;
    spread_over.mul_f64(spread as f64 / f64::from(u32::MAX))
}

/// When to start the sweep after the one that was `due` and ended at `finished`, in the normal case.
///
/// Sweeps never overlap. One that outlasts its interval is followed at once by the next, and the
/// schedule restarts from there instead of catching up on what was missed. One that came before it was due,
/// because of a new token, restarts it as well.
fn next_sweep(due: Duration, finished: Duration, interval: Duration) -> NextSweep {
    let next = due.min(finished).saturating_add(interval);
    if finished > next {
        NextSweep { due: finished, overrun: true }
    } else {
        NextSweep { due: next, overrun: false }
    }
}

/// How long to wait before an account that refused its token `refusals` times in a row is asked
/// again: an interval, doubling up to five minutes, or the interval where that is longer.
fn probe_pause(interval: Duration, refusals: u32) -> Duration {
    doubled([interval, PROBE_MAX.max(interval)], refusals)
}

/// How long after a failure to try again within the same sweep, from 100 to 500 milliseconds:
/// `seed` spreads those who failed together.
pub fn retry_pause(seed: u64) -> Duration {
    Duration::from_millis(100 + mix(seed) % 401)
}

/// How long to wait before a poller that has died `deaths` times in a row is restarted: a second,
/// doubling up to a minute.
pub fn restart_pause(deaths: u32) -> Duration {
    doubled([Duration::from_secs(1), Duration::from_mins(1)], deaths)
}

/// FNV-1a, 64 bits: small, and unlike the standard library's hasher the same in every release.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_on(0xcbf2_9ce4_8422_2325, bytes)
}

/// The hash of what `hash` is of, followed by `bytes`.
pub fn fnv1a_on(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of `MurmurHash3`: FNV leaves the upper bits of short, similar names alike.
pub fn mix(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// Share of a token's life after which it may be renewed.
const EARLIEST: f64 = 0.70;
/// Share of a token's life after which it is renewed at the latest; what remains is for trying again.
const LATEST: f64 = 0.85;
/// How long to wait after a first refusal, and at most.
const REFUSED: [Duration; 2] = [Duration::from_secs(30), Duration::from_mins(5)];
/// How long to wait after a first failure that may pass, and at most.
const UNREACHED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How long after it was obtained a token that lives for `life` is renewed: at 70 to 85 % of its
/// life. The owner and the number of earlier tokens spread those that were obtained together.
pub fn renewal_after(life: Duration, holder: &str, earlier: u64) -> Duration {
    let spread = mix(fnv1a(holder.as_bytes()).wrapping_add(earlier)) >> 32;
    let share = spread as f64 / f64::from(u32::MAX);
    life.mul_f64(EARLIEST + (LATEST - EARLIEST) * share)
}

/// How long to wait before a renewal that was refused `times` in a row is tried again: half a
/// minute, doubling up to five minutes.
pub fn refused_pause(times: u32) -> Duration {
    doubled(REFUSED, times)
}

/// How long to wait before a renewal that got no good answer `times` in a row is tried again: a
/// second, doubling up to half a minute.
pub fn unreached_pause(times: u32) -> Duration {
    doubled(UNREACHED, times)
}

fn doubled([first, longest]: [Duration; 2], times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sweeps_keep_their_rhythm() {
        let next = next_sweep(10 * SECOND, 15 * SECOND, 30 * SECOND);
        assert_eq!(next, NextSweep { due: 40 * SECOND, overrun: false });
    }

    #[test]
    fn a_sweep_that_outlasts_its_interval_is_followed_at_once() {
        let next = next_sweep(10 * SECOND, 41 * SECOND, 30 * SECOND);
        assert_eq!(next, NextSweep { due: 41 * SECOND, overrun: true });
    }

    #[test]
    fn a_sweep_before_it_was_due_is_followed_by_one_after_an_interval() {
        let mut backoff = Backoff::default();
        (0..5).for_each(|_| backoff.record(true, true));
        let due = backoff.next(Duration::ZERO, SECOND, 30 * SECOND).due;
        assert_eq!(due, 301 * SECOND);
        // The token is replaced, and accepted.
        backoff.record(false, false);
        let next = backoff.next(due, 20 * SECOND, 30 * SECOND);
        assert_eq!(next, NextSweep { due: 50 * SECOND, overrun: false });
    }

    #[test]
    fn default_staleness_covers_the_least_that_works() {
        assert_eq!(default_stale_after(30 * SECOND, 10 * SECOND), 120 * SECOND);
        assert_eq!(default_stale_after(60 * SECOND, 10 * SECOND), 180 * SECOND);
        assert_eq!(default_stale_after(30 * SECOND, 90 * SECOND), 150 * SECOND);
    }

    /// Requests within each hour of a day in which a hundred users are polled every 30 s, each sweep
    /// takes 10 s, and `fails` says for each second whether everything fails then, and how.
    fn requests_per_hour(fails: impl Fn(u64) -> Option<&'static str>) -> [u64; 24] {
        let (mut backoff, mut due, mut requests) = (Backoff::default(), 7 * SECOND, [0; 24]);
        while due < 86_400 * SECOND {
            let failure = fails(due.as_secs());
            let asked = if backoff.probing() && failure.is_some() { 1 } else { 100 };
            requests[(due.as_secs() / 3600) as usize] += asked;
            backoff.record(failure == Some("refused"), failure.is_some());
            due = backoff.next(due, due + 10 * SECOND, 30 * SECOND).due;
        }
        requests
    }

    #[test]
    fn a_day_with_an_outage_costs_few_requests_and_recovers_at_once() {
        let outage = 10 * 3600..13 * 3600;
        let down = |second| outage.contains(&second).then_some("down");
        let hours = requests_per_hour(down);
        assert_eq!(hours[9], 12_000);
        // Three whole sweeps, then one request per interval.
        assert_eq!(hours[10], 3 * 100 + 117);
        assert_eq!(hours[11..13], [120, 120]);
        assert_eq!(hours[13], 12_000);
    }

    #[test]
    fn a_day_with_a_refused_token_costs_a_request_every_five_minutes() {
        let hours = requests_per_hour(|second| (second >= 3600).then_some("refused"));
        assert_eq!(hours[0], 12_000);
        assert!(hours[1] <= 100 + 16, "{hours:?}");
        assert!(hours[2..].iter().all(|requests| (11..=12).contains(requests)), "{hours:?}");
    }

    #[test]
    fn probes_become_rarer_up_to_five_minutes() {
        let pauses = [1, 2, 3, 4, 5, 6, 1000].map(|refusals| probe_pause(30 * SECOND, refusals));
        assert_eq!(pauses, [30, 60, 120, 240, 300, 300, 300].map(Duration::from_secs));
        assert_eq!(probe_pause(600 * SECOND, 7), 600 * SECOND);
    }

    #[test]
    fn restarts_become_rarer_up_to_one_a_minute() {
        let pauses = [1, 2, 3, 6, 7, 1000].map(restart_pause);
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60].map(Duration::from_secs));
    }

    #[test]
    fn a_sweep_takes_four_fifths_of_its_interval() {
        assert_eq!(sweep_spacing(400, 10 * SECOND), 20 * SECOND / 1000);
        assert_eq!(sweep_spacing(0, 10 * SECOND), 8 * SECOND);
    }

    #[test]
    fn accounts_spread_over_the_interval() {
        let mut quarters = [0; 4];
        for number in 0..400 {
            let phase = phase(&format!("acct-{number:04}"), 8 * SECOND);
            quarters[(phase.as_secs() / 2).min(3) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| *count > 50), "{quarters:?}");
    }

    proptest! {
        #[test]
        fn no_window_has_room_for_one_request_too_many(
            requests in 1_u32..100_000, millis in 100_u64..3_600_000,
        ) {
            let per = Duration::from_millis(millis);
            let spacing = Spacing::new(f64::from(requests), per);
            let shortest = spacing.between.mul_f64(f64::from(requests));
            prop_assert!(shortest > per + spacing.tolerance);
        }

        #[test]
        fn retries_wait_from_a_tenth_to_half_a_second(seed in any::<u64>()) {
            let pause = retry_pause(seed).as_millis();
            prop_assert!((100..=500).contains(&pause));
        }

        #[test]
        fn a_phase_lies_within_the_interval(name in ".*", millis in 1_u64..86_400_000) {
            let interval = Duration::from_millis(millis);
            prop_assert!(phase(&name, interval) <= interval.min(10 * SECOND));
            prop_assert_eq!(phase(&name, interval), phase(&name, interval));
        }

        #[test]
        fn the_next_sweep_is_within_an_interval_from_the_end_of_this_one(
            due in 0_u64..1 << 40, finished in 0_u64..1 << 40, interval in 1_u64..1 << 40,
        ) {
            let [due, finished, interval] = [due, finished, interval].map(Duration::from_millis);
            let next = next_sweep(due, finished, interval);
            prop_assert!((finished..=finished + interval).contains(&next.due));
            prop_assert_eq!(next.overrun, finished > due + interval);
        }
    }

    #[test]
    fn fnv1a_gives_the_values_of_its_authors() {
        // Test vectors of draft-eastlake-fnv.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn mix_is_the_finalizer_of_murmurhash3() {
        assert_eq!(mix(0), 0);
        assert_eq!(mix(1), 0xb456_bcfc_34c2_cb2c);
        assert_eq!(mix(fnv1a(b"acme")), 0x3a25_b665_6ba9_cfc6);
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn tokens_that_were_obtained_together_are_renewed_spread_over_minutes() {
        for earlier in 0..3 {
            // Nine minutes of an hour.
            let mut minutes = [0; 9];
            for number in 0..500 {
                let after = renewal_after(HOUR, &format!("acct-{number}"), earlier);
                minutes[((after.as_secs() / 60) as usize - 42).min(8)] += 1;
            }
            assert!(minutes.iter().all(|count| (25..90).contains(count)), "{minutes:?}");
        }
    }

    #[test]
    fn the_same_account_is_not_always_late() {
        let after: Vec<_> = (0..4).map(|earlier| renewal_after(HOUR, "acme", earlier)).collect();
        assert!(after.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > HOUR / 200), "{after:?}");
    }

    #[test]
    fn pauses_double_up_to_their_limit() {
        let seconds = |pause: fn(u32) -> Duration| [1, 2, 5, 6, 1000].map(|n| pause(n).as_secs());
        assert_eq!(seconds(refused_pause), [30, 60, 300, 300, 300]);
        assert_eq!(seconds(unreached_pause), [1, 2, 16, 30, 30]);
    }

    proptest! {
        #[test]
        fn a_renewal_leaves_time_for_more(
            holder in ".*", earlier in any::<u64>(), millis in 1_000_u64..1 << 40,
        ) {
            let life = Duration::from_millis(millis);
            let after = renewal_after(life, &holder, earlier);
            prop_assert!(after >= life.mul_f64(0.69) && after <= life.mul_f64(0.86));
        }
    }
}
