//! Whether the process works and whether it is ready, for those who restart or route to it.
//!
//! Being healthy is about this process only: an upstream that is down, a dead token or a pause it
//! asked for are no reason to restart anything. The supervisor ticks [`Health`]; it hands each
//! poller a [`Promise`], which readiness waits for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stamp;

/// Silence of the supervisor after which the process is not healthy.
pub const SILENCE: Duration = Duration::from_mins(1);

/// What `/-/healthy` and `/-/ready` are answered from.
#[derive(Debug, Default)]
pub struct Health {
    ticked_millis: AtomicU64,
    listening: AtomicBool,
    ready: AtomicBool,
    promises: Mutex<Vec<Promise>>,
}

/// A poller's promise of a first attempt; by default one that nobody waits for.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    kept: Arc<AtomicBool>,
    /// Uptime after which nobody waits for it any more.
    until: Duration,
}

impl Health {
    /// A process that starts `now`.
    pub fn new(now: Stamp) -> Self {
        let health = Self::default();
        health.tick(now);
        health
    }

    /// Notes that the supervisor is alive.
    pub fn tick(&self, now: Stamp) {
        self.ticked_millis.store(now.uptime.as_millis() as u64, Relaxed);
    }

    /// Whether the supervisor ticked within [`SILENCE`].
    pub fn healthy(&self, now: Stamp) -> bool {
        let ticked = Duration::from_millis(self.ticked_millis.load(Relaxed));
        now.uptime.saturating_sub(ticked) < SILENCE
    }

    /// Notes that everything that was to be opened is open.
    pub fn listening(&self) {
        self.listening.store(true, Relaxed);
    }

    /// Makes readiness wait for a first attempt, until `uptime` at most.
    pub fn promise(&self, until: Duration) -> Promise {
        let promise = Promise { kept: Arc::default(), until };
        self.promises.lock().unwrap_or_else(PoisonError::into_inner).push(promise.clone());
        promise
    }

    /// Whether everything is open and every poller has made an attempt or had its time for one.
    /// Once ready, always ready: accounts that are added later do not take the process away.
    pub fn ready(&self, now: Stamp) -> bool {
        if self.ready.load(Relaxed) {
            return true;
        }
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        promises.retain(|promise| !promise.kept.load(Relaxed) && now.uptime < promise.until);
        let ready = self.listening.load(Relaxed) && promises.is_empty();
        self.ready.store(ready, Relaxed);
        ready
    }
}

impl Promise {
    /// Notes the first attempt.
    pub fn keep(&self) {
        self.kept.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_supervisor_is_not_healthy() {
        let start = Stamp::now();
        let health = Health::new(start);
        assert!(health.healthy(start.plus(59 * SECOND)));
        assert!(!health.healthy(start.plus(61 * SECOND)));
        health.tick(start.plus(61 * SECOND));
        assert!(health.healthy(start.plus(61 * SECOND)));
    }

    #[test]
    fn readiness_waits_for_listeners_and_first_attempts_and_then_stays() {
        let start = Stamp::now();
        let health = Health::new(start);
        let first = health.promise(start.plus(40 * SECOND).uptime);
        let second = health.promise(start.plus(40 * SECOND).uptime);
        first.keep();
        second.keep();
        assert!(!health.ready(start));
        health.listening();
        assert!(health.ready(start));
        health.promise(start.plus(80 * SECOND).uptime);
        assert!(health.ready(start));
    }

    #[test]
    fn readiness_does_not_wait_for_ever() {
        let start = Stamp::now();
        let health = Health::new(start);
        health.listening();
        let _promise = health.promise(start.plus(40 * SECOND).uptime);
        assert!(!health.ready(start.plus(39 * SECOND)));
        assert!(health.ready(start.plus(40 * SECOND)));
    }
}
