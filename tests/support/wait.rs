//! Waiting for what another task or process does. A deadline only keeps a failed test from hanging.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::process::{Process, logs};

/// Many times longer than anything here takes.
pub(crate) const GUARD: Duration = Duration::from_mins(1);

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Awaits a future under the deadline.
pub(crate) async fn guard<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    let guarded = timeout(GUARD, future).await;
    guarded.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Repeats `attempt` until it succeeds. The processes must not end before that; when one does, or at the deadline,
/// their logs and the last failure are in the panic.
pub(crate) async fn until<T>(
    what: impl Display,
    processes: &[&Process],
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + GUARD;
    let mut last = "no attempt was finished".to_owned();
    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(done)) => return done,
            Ok(Err(why)) => last = why,
            Err(_) => {}
        }
        let late = Instant::now() >= deadline;
        assert!(!late, "waited too long for {what}: {last}\n{}", logs(processes));
        if let Some((process, status)) = processes.iter().find_map(|one| Some((one, one.ended()?)))
        {
            panic!("{} has ended, {status}, before {what}\n{}", process.name(), logs(processes));
        }
        sleep(PAUSE).await;
    }
}

/// Repeats a check until it holds.
pub(crate) async fn until_true(what: impl Display, mut holds: impl AsyncFnMut() -> bool) {
    until(what, &[], async || holds().await.then_some(()).ok_or_else(|| "not yet".to_owned()))
        .await;
}

/// A random duration below `limit`.
pub(crate) fn random_below(limit: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    Duration::from_micros(random % limit.as_micros() as u64)
}
