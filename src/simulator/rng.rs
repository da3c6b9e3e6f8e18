//! Random numbers that repeat with the seed. Those for secrets are in `tokens`.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use fastrand::Rng;

use super::latency::Latency;

/// A generator of its own for a named thing, independent of how many others exist.
pub(super) fn named(seed: u64, name: impl Hash) -> Rng {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    Rng::with_seed(hasher.finish())
}

/// A delay, without drawing where there is no choice.
pub(super) fn delay(rng: &mut Rng, latency: Latency) -> Duration {
    let Latency { min, max } = latency;
    if min == max { min } else { min + max.saturating_sub(min).mul_f64(rng.f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_separate_streams() {
        let first = |seed, name: (&str, &str)| named(seed, name).u64(..);
        assert_eq!(first(1, ("ab", "c")), first(1, ("ab", "c")));
        assert_ne!(first(1, ("ab", "c")), first(1, ("a", "bc")));
        assert_ne!(first(1, ("ab", "c")), first(2, ("ab", "c")));
    }

    #[test]
    fn delays_stay_inside_their_range() {
        let mut rng = named(7, "ranges");
        let latency: Latency = "3ms..5ms".parse().unwrap();
        for _ in 0..1_000 {
            assert!((latency.min..=latency.max).contains(&delay(&mut rng, latency)));
        }
    }
}
