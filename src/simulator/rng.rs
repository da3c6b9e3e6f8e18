//! A small seeded random number generator.
//!
//! [`Rng`] is splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! 2014). It is not for secrets: it makes one seed always give the same simulated day. The model
//! draws arrivals and replies from it, the fault list its dice, and the presets ids and tokens.

use std::time::Duration;

/// The increment of splitmix64, 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A splitmix64 generator.
#[derive(Debug, Clone)]
pub(super) struct Rng {
    state: u64,
}

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for a named thing, independent of how many others exist.
    pub(super) fn named(seed: u64, parts: &[&str]) -> Self {
        let mut hash = mix(seed ^ GAMMA);
        for part in parts {
            for byte in part.bytes() {
                hash = mix(hash ^ u64::from(byte));
            }
            // The separator keeps ("ab", "c") apart from ("a", "bc").
            hash = mix(hash ^ 0x100);
        }
        Self::new(hash)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with the probability given; always for 1 and above, never for 0 and below.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in `low..=high`; `low` when the range is empty. The bias of the remainder is below
    /// 2^-50 for the small ranges used here.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.next() % width)
    }

    pub(super) fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.unit())
    }
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_sequence() {
        let mut rng = Rng::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn names_separate_streams() {
        let first = |parts: &[&str]| Rng::named(1, parts).next();
        assert_eq!(first(&["ab", "c"]), first(&["ab", "c"]));
        assert_ne!(first(&["ab", "c"]), first(&["a", "bc"]));
        assert_ne!(first(&["ab"]), Rng::named(2, &["ab"]).next());
    }

    #[test]
    fn stays_inside_its_ranges() {
        let mut rng = Rng::new(7);
        for _ in 0..1_000 {
            assert!((3..=5).contains(&rng.between(3, 5)));
            assert!((0.0..1.0).contains(&rng.unit()));
        }
        assert_eq!(rng.between(9, 2), 9);
        assert!(rng.chance(1.0) && !rng.chance(0.0));
    }
}
