//! The limit of requests, in fixed windows that follow each other without a gap.

use std::time::Duration;

/// How many requests one credential may make in each fixed window: an account's token, whichever it is
/// at the moment, an API key, or a partner's login. What goes beyond gets 429, without `Retry-After`: the
/// documentation promises none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per window.
    pub requests: u32,
    /// Length of a window; windows follow each other without a gap from the simulator's start.
    pub window: Duration,
}

impl RateLimit {
    /// No limit.
    pub const UNLIMITED: Self = Self { requests: u32::MAX, window: Duration::from_secs(1) };
}

impl Default for RateLimit {
    /// The documented limit: 500 requests every 5 seconds.
    fn default() -> Self {
        Self { requests: 500, window: Duration::from_secs(5) }
    }
}

/// The requests of one credential in the current window.
#[derive(Debug, Default)]
pub(super) struct Window {
    number: u128,
    used: u32,
}

impl Window {
    /// Counts a request against the limit; false if it goes beyond.
    pub(super) fn admits(&mut self, since_start: Duration, limit: &RateLimit) -> bool {
        let number = since_start.as_nanos() / limit.window.as_nanos().max(1);
        if number != self.number {
            *self = Self { number, used: 0 };
        }
        let admitted = self.used < limit.requests;
        self.used += u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_fixed_not_sliding() {
        let limit = RateLimit { requests: 2, window: Duration::from_secs(5) };
        let mut window = Window::default();
        let admitted = [4_000, 4_500, 4_900, 5_000, 5_001, 5_002, 60_000]
            .map(|at| window.admits(Duration::from_millis(at), &limit));
        assert_eq!(admitted, [true, true, false, true, true, false, true]);
    }
}
