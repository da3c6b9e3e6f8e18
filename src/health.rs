//! Whether the process is healthy and ready, for supervisors and load balancers.
//!
//! Being healthy is about this process only: an upstream that is down, a dead token or a pause it
//! requested are no reason to restart anything. The supervisor ticks [`Health`] and gives each poller
//! a [`Heartbeat`]: when it will next act. Passing that by far makes a poller stuck. Time here is the
//! runtime's own, which stands still while the machine is suspended, as the pollers do.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::blocking::lock;
use tokio::time::{Instant, sleep};

/// Silence of the supervisor after which the process is not healthy.
pub const SILENCE: Duration = Duration::from_mins(1);

/// How long the supervisor has to show that it is alive after it was found silent: probes wait for a second.
const TURN: Duration = Duration::from_millis(800);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What `/-/healthy` and `/-/ready` are answered from.
pub struct Health {
    ticked: Mutex<Instant>,
    listening: AtomicBool,
    ready: AtomicBool,
    awaited: Mutex<Vec<Awaited>>,
}

/// When a poller will act next, as it has announced.
#[derive(Clone)]
pub struct Heartbeat(Arc<HeartbeatState>);

struct HeartbeatState {
    note_attempt: AtomicBool,
    next: Mutex<Instant>,
}

/// A first attempt that readiness waits for.
struct Awaited {
    heartbeat: Heartbeat,
    until: Instant,
}

impl Default for Health {
    /// A process that starts now.
    fn default() -> Self {
        Self {
            ticked: Mutex::new(Instant::now()),
            listening: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            awaited: Mutex::default(),
        }
    }
}

impl Health {
    /// Notes that the supervisor is alive.
    pub fn tick(&self) {
        *lock(&self.ticked) = Instant::now();
    }

    /// Whether the supervisor ticked within [`SILENCE`].
    pub fn healthy(&self) -> bool {
        lock(&self.ticked).elapsed() < SILENCE
    }

    /// Gives the supervisor a turn if it is late: the process may have been stopped until now.
    pub async fn wait_for_turn(&self) {
        let until = Instant::now() + TURN;
        while !self.healthy() && Instant::now() < until {
            sleep(LOOK).await;
        }
    }

    /// Notes that everything that was to be opened is open.
    pub fn listening(&self) {
        self.listening.store(true, Relaxed);
    }

    /// Makes readiness wait for the first attempt of a poller, for `time_limit` at most.
    pub fn await_first_attempt(&self, heartbeat: &Heartbeat, time_limit: Duration) {
        if self.ready.load(Relaxed) {
            return;
        }
        let until = Instant::now() + time_limit;
        lock(&self.awaited).push(Awaited { heartbeat: heartbeat.clone(), until });
    }

    /// Whether everything is open and every poller has made an attempt or had its time for one.
    /// Once ready, always ready: accounts that are added later do not take the process away.
    pub fn ready(&self) -> bool {
        if self.ready.load(Relaxed) {
            return true;
        }
        let mut awaited = lock(&self.awaited);
        let now = Instant::now();
        awaited.retain(|first| !first.heartbeat.has_attempted() && now < first.until);
        let ready = self.listening.load(Relaxed) && awaited.is_empty();
        self.ready.store(ready, Relaxed);
        ready
    }
}

impl Default for Heartbeat {
    /// A heartbeat to act now.
    fn default() -> Self {
        let next = Mutex::new(Instant::now());
        Self(Arc::new(HeartbeatState { note_attempt: AtomicBool::new(false), next }))
    }
}

impl Heartbeat {
    /// Notes that an attempt was made.
    pub fn note_attempt(&self) {
        self.0.note_attempt.store(true, Relaxed);
    }

    fn has_attempted(&self) -> bool {
        self.0.note_attempt.load(Relaxed)
    }

    /// Announces the next action at `next`.
    pub fn next_action_at(&self, next: Instant) {
        *lock(&self.0.next) = next;
    }

    /// Whether the heartbeat is overdue by more than `grace`. Time before `resumed`, when the process
    /// went on after it had been stopped as a whole, does not count.
    pub fn is_overdue(&self, grace: Duration, resumed: Instant) -> bool {
        let due = *lock(&self.0.next);
        due.max(resumed).elapsed() > grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_silent_supervisor_is_not_healthy() {
        let health = Health::default();
        advance(59 * SECOND).await;
        assert!(health.healthy());
        advance(2 * SECOND).await;
        assert!(!health.healthy());
        health.tick();
        assert!(health.healthy());
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_waits_for_listeners_and_first_attempts_and_then_stays() {
        let health = Health::default();
        let first = Heartbeat::default();
        health.await_first_attempt(&first, 40 * SECOND);
        first.note_attempt();
        assert!(!health.ready());
        health.listening();
        assert!(health.ready());
        health.await_first_attempt(&Heartbeat::default(), 40 * SECOND);
        assert!(health.ready());
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_does_not_wait_for_ever() {
        let health = Health::default();
        health.listening();
        health.await_first_attempt(&Heartbeat::default(), 40 * SECOND);
        advance(39 * SECOND).await;
        assert!(!health.ready());
        advance(SECOND).await;
        assert!(health.ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_is_overdue_only_after_the_grace() {
        let heartbeat = Heartbeat::default();
        let start = Instant::now();
        heartbeat.next_action_at(start + 300 * SECOND);
        advance(325 * SECOND).await;
        assert!(!heartbeat.is_overdue(25 * SECOND, start));
        advance(SECOND).await;
        assert!(heartbeat.is_overdue(25 * SECOND, start));
        let resumed = start + 301 * SECOND;
        assert!(!heartbeat.is_overdue(25 * SECOND, resumed));
        advance(SECOND).await;
        assert!(heartbeat.is_overdue(25 * SECOND, resumed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_was_stopped_with_the_process_has_a_turn_before_it_is_judged() {
        let health = Arc::new(Health::default());
        advance(61 * SECOND).await;
        let ticks = tokio::spawn({
            let health = Arc::clone(&health);
            async move { health.tick() }
        });
        health.wait_for_turn().await;
        assert!(health.healthy());
        ticks.await.unwrap();
        advance(61 * SECOND).await;
        health.wait_for_turn().await;
        assert!(!health.healthy(), "silent although it had a turn");
    }
}
