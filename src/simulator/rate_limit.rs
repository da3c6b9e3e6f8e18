//! The limit of requests, in fixed windows that follow each other without a gap.

use std::time::Duration;

/// How many requests one credential may make in each fixed window: an account's token, whichever it is
/// at the moment, an API key, or a partner's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per window.
    pub requests: u32,
    /// Length of a window; windows follow each other without a gap from the simulator's start.
    pub window: Duration,
    /// Whether a 429 carries `Retry-After`. The documentation promises none.
    pub retry_after: bool,
}

impl RateLimit {
    /// No limit.
    pub const UNLIMITED: Self =
        Self { requests: u32::MAX, window: Duration::from_secs(1), retry_after: false };
}

impl Default for RateLimit {
    /// The documented limit: 500 requests every 5 seconds.
    fn default() -> Self {
        Self { requests: 500, window: Duration::from_secs(5), retry_after: false }
    }
}

/// The requests of one credential in the current window.
#[derive(Debug, Default)]
pub(super) struct Window {
    number: u128,
    used: u32,
}

impl Window {
    /// Counts a request against the limit. The error is the time to the next window.
    pub(super) fn admit(
        &mut self,
        since_start: Duration,
        limit: &RateLimit,
    ) -> Result<(), Duration> {
        let length = limit.window.as_nanos().max(1);
        let now = since_start.as_nanos();
        if now / length != self.number {
            *self = Self { number: now / length, used: 0 };
        }
        if self.used < limit.requests {
            self.used += 1;
            return Ok(());
        }
        Err(Duration::from_nanos((length - now % length).try_into().unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_fixed_not_sliding() {
        let limit =
            RateLimit { requests: 2, window: Duration::from_secs(5), ..RateLimit::default() };
        let ms = Duration::from_millis;
        let mut window = Window::default();
        let admitted: Vec<_> = [4_000, 4_500, 4_900, 5_000, 5_001, 5_002, 60_000]
            .map(|at| window.admit(ms(at), &limit))
            .into();
        let expected =
            [Ok(()), Ok(()), Err(ms(100)), Ok(()), Ok(()), Err(ms(4_998)), Ok(())].to_vec();
        assert_eq!(admitted, expected);
    }
}
