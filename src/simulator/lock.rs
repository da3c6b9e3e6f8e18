//! Locks of the simulator, whose state is changed in one step each.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic of another holder has left the content whole, so its poison is ignored.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
