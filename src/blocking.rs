//! Locks that survive a panic, and work that waits for a disk or a processor.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;

/// Locks what is changed in one step: a panic of another holder has left it whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` away from the threads that serve sockets. Dropping the future does not end it. A panic
/// in it is resumed here.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
