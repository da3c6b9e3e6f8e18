//! A delay as a flag or a fault has it: [`Latency`], and how it is written.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A delay, uniform between two bounds. Written as `100ms`, or as a range `10ms..300ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// The shortest delay.
    pub min: Duration,
    /// The longest delay, not below the shortest.
    pub max: Duration,
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let delay = |text: &str| Duration::try_from(text.parse::<SignedDuration>().ok()?).ok();
        let latency = delay(min).zip(delay(max)).filter(|(min, max)| min <= max);
        let (min, max) = latency.ok_or_else(|| LatencyError(text.to_owned()))?;
        Ok(Self { min, max })
    }
}

/// Why a [`Latency`] could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no delay; write a number with us, ms, s or m, or two, as in `10ms..300ms`")]
pub struct LatencyError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_latencies() {
        let ms = Duration::from_millis;
        assert_eq!("10ms..0.3s".parse(), Ok(Latency { min: ms(10), max: ms(300) }));
        assert_eq!("2s".parse(), Ok(Latency { min: ms(2_000), max: ms(2_000) }));
        assert_eq!("500us..1m".parse(), Ok(Latency { min: ms(1) / 2, max: ms(60_000) }));
        assert_eq!("0ms".parse(), Ok(Latency::default()));
    }

    #[test]
    fn refuses_what_is_no_latency() {
        for text in ["10ms..5parsec", "..5s", "5", "", "-1s", "2s..1s"] {
            assert_eq!(text.parse::<Latency>(), Err(LatencyError(text.to_owned())));
        }
    }
}
