//! The rate limit for requests: a token bucket.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::blocking::lock;
use crate::web_config::RequestRate;

/// A token bucket, full at the start.
#[derive(Debug)]
pub(super) struct RateLimiter {
    limit: RequestRate,
    /// When the bucket will be full again.
    full: Mutex<Instant>,
}

impl RateLimiter {
    pub(super) fn new(limit: RequestRate) -> Self {
        Self { limit, full: Mutex::new(Instant::now()) }
    }

    /// Takes a token; `false` if there is none.
    pub(super) fn take(&self) -> bool {
        let RequestRate { interval, burst } = self.limit;
        let Some(others) = burst.checked_sub(1) else { return false };
        let now = Instant::now();
        let mut full = lock(&self.full);
        let missing = full.saturating_duration_since(now);
        let good = missing <= interval.checked_mul(others).unwrap_or(Duration::MAX);
        if good {
            // On overflow the interval is practically infinite; the limit stays as it is.
            *full = (now + missing).checked_add(interval).unwrap_or(*full);
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    fn taken(bucket: &RateLimiter, times: usize) -> usize {
        (0..times).filter(|_| bucket.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_per_interval() {
        let bucket = RateLimiter::new(RequestRate { interval: SECOND, burst: 3 });
        assert_eq!(taken(&bucket, 10), 3);
        advance(Duration::from_millis(999)).await;
        assert_eq!(taken(&bucket, 10), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(taken(&bucket, 10), 1);
        advance(2 * SECOND).await;
        assert_eq!(taken(&bucket, 10), 2);
        advance(100 * SECOND).await;
        assert_eq!(taken(&bucket, 10), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_bucket_stays_empty() {
        let bucket = RateLimiter::new(RequestRate { interval: SECOND, burst: 0 });
        advance(100 * SECOND).await;
        assert_eq!(taken(&bucket, 10), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_limits_do_not_overflow() {
        let long = Duration::from_nanos(i64::MAX as u64);
        let bucket = RateLimiter::new(RequestRate { interval: long, burst: u32::MAX });
        assert_eq!(taken(&bucket, 1000), 1000);
        let bucket = RateLimiter::new(RequestRate { interval: long, burst: 2 });
        assert_eq!(taken(&bucket, 1000), 2);
    }
}
