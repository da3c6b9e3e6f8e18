//! A delay as a flag or a fault has it: [`Latency`], and how it is written.

use std::str::FromStr;
use std::time::Duration;

/// A delay, uniform between two bounds. Written as `100ms`, or as a range `10ms..300ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// The shortest delay.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let latency = Self { min: duration(min)?, max: duration(max)? };
        if latency.min > latency.max {
            return Err(LatencyError::Reversed(text.to_owned()));
        }
        Ok(latency)
    }
}

/// Why a [`Latency`] could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// Not a number with a unit.
    #[error("`{0}` is not a duration; write a number with us, ms, s or m, as in `10ms..300ms`")]
    Duration(String),
    /// The first bound is above the second.
    #[error("`{0}` starts above its end")]
    Reversed(String),
}

fn duration(text: &str) -> Result<Duration, LatencyError> {
    let bad = || LatencyError::Duration(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_latencies() {
        let ms = Duration::from_millis;
        assert_eq!("10ms..0.3s".parse(), Ok(Latency { min: ms(10), max: ms(300) }));
        assert_eq!("2s".parse(), Ok(Latency { min: ms(2_000), max: ms(2_000) }));
        assert_eq!("500us..1m".parse(), Ok(Latency { min: ms(1) / 2, max: ms(60_000) }));
    }

    #[test]
    fn says_which_part_of_a_latency_is_wrong() {
        let error = |text: &str| text.parse::<Latency>().unwrap_err();
        assert_eq!(error("10ms..5h"), LatencyError::Duration("5h".into()));
        assert_eq!(error("..5s"), LatencyError::Duration(String::new()));
        assert_eq!(error("-1s"), LatencyError::Duration("-1s".into()));
        assert_eq!(error("2s..1s"), LatencyError::Reversed("2s..1s".into()));
    }
}
