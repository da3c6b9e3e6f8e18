//! Keeps one poller per account alive.
//!
//! [`run`] owns the pollers' tasks. A poller that panics is logged and counted, its account is shown
//! as down, and after a pause that grows with every death it is started anew; nobody else notices.
//! It also ticks [`Health`], which is how the process shows that its runtime is moving.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, interval, sleep};
use tracing::error;

use crate::clock::Stamp;
use crate::health::{Health, Promise};
use crate::poller;
use crate::schedule::{phase, restart_pause};
use crate::shutdown::Shutdown;
use crate::snapshot::Slot;

/// How often the supervisor shows that it is alive.
const TICK: Duration = Duration::from_secs(1);
/// A poller that lived this long is trusted again: its next death counts as a first one.
const TRUSTED_AFTER: Duration = Duration::from_mins(10);

/// A poller's task as the supervisor sees it.
struct Ward {
    slot: Arc<Slot>,
    promise: Promise,
    started: Instant,
    deaths: u32,
}

/// Runs a poller for each slot until `shutdown`, then waits until all have ended.
///
/// `start` makes the future of a poller that sweeps for the first time after the given time and then
/// keeps the promise, which readiness waits for.
pub async fn run<F>(
    slots: &[Arc<Slot>],
    start: impl Fn(Arc<Slot>, Duration, Promise) -> F,
    health: &Health,
    shutdown: Shutdown,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut wards = HashMap::new();
    for slot in slots {
        let account = Arc::clone(&slot.view().account);
        let first = phase(account.name.as_str(), account.poll.interval);
        let patience = account.poll.interval.saturating_add(account.poll.timeout);
        let promise = health.promise(Stamp::now().plus(patience).uptime);
        let task = tasks.spawn(start(Arc::clone(slot), first, promise.clone()));
        let started = Instant::now();
        wards.insert(task.id(), Ward { slot: Arc::clone(slot), promise, started, deaths: 0 });
    }
    let mut tick = interval(TICK);
    loop {
        tokio::select! {
            _ = tick.tick() => health.tick(Stamp::now()),
            Some(ended) = tasks.join_next_with_id() => {
                if let Some((ward, pause)) = bury(&mut wards, ended) {
                    let slot = Arc::clone(&ward.slot);
                    let poller = start(slot, Duration::ZERO, ward.promise.clone());
                    let shutdown = shutdown.clone();
                    let task = tasks.spawn(async move {
                        tokio::select! {
                            () = sleep(pause) => poller.await,
                            () = shutdown.wait() => {}
                        }
                    });
                    wards.insert(task.id(), ward);
                }
            }
            () = shutdown.wait() => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Deals with a task that ended: one that died is to be started anew after a pause.
fn bury(
    wards: &mut HashMap<Id, Ward>,
    ended: Result<(Id, ()), JoinError>,
) -> Option<(Ward, Duration)> {
    let death = match ended {
        Ok((id, ())) => {
            wards.remove(&id);
            return None;
        }
        Err(death) => death,
    };
    let mut ward = wards.remove(&death.id())?;
    ward.deaths = if ward.started.elapsed() < TRUSTED_AFTER { ward.deaths + 1 } else { 1 };
    let pause = restart_pause(ward.deaths);
    ward.started = Instant::now() + pause;
    ward.slot.tally.restart();
    poller::mark_down(&ward.slot);
    let account = &ward.slot.view().account.name;
    error!(%account, ?pause, "the account's poller died and will be started anew: {death}");
    Some((ward, pause))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_poller_that_dies_is_shown_down_counted_and_started_anew() {
        let slot = Arc::new(poller::new_slot(Arc::new(crate::account::fixture("acme", &["1"]))));
        let slots = [Arc::clone(&slot)];
        let shutdown = Shutdown::new();
        let lives = Arc::new(AtomicUsize::new(0));
        let start = |slot: Arc<Slot>, _, _| {
            let (lives, shutdown) = (Arc::clone(&lives), shutdown.clone());
            async move {
                match lives.fetch_add(1, SeqCst) {
                    0 | 1 => panic!("on purpose"),
                    _ => {
                        assert!(slot.view().facts.down);
                        shutdown.begin();
                    }
                }
            }
        };
        run(&slots, start, &Health::new(Stamp::now()), shutdown.clone()).await;
        assert_eq!(lives.load(SeqCst), 3);
        assert_eq!(slot.tally.values().restarts, 2);
        assert_eq!(slot.view().facts.tally.restarts, 2);
    }
}
