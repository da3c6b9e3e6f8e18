//! When tokens are renewed, and how long to wait after a renewal that failed.

use std::time::Duration;

use super::hash::{fnv1a, mix};

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
    use super::*;
    use proptest::prelude::*;

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
