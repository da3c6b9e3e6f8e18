//! The one choke point of an account: every request to upstream waits here for its permit.
//!
//! [`Limiter`] bounds the requests of one account in flight, [`Global`] those of all accounts
//! together. The account's permit comes first, so that a hanging account that waits for itself does
//! not sit on permits the others could use. [`upstream`](crate::upstream) holds a [`Permit`] for as
//! long as a request is open.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The cap on requests in flight over all accounts.
#[derive(Debug, Clone)]
pub struct Global(Arc<Semaphore>);

/// The cap on requests in flight of one account, below the global one.
#[derive(Debug, Clone)]
pub struct Limiter {
    account: Arc<Semaphore>,
    global: Global,
}

/// Permission to have one request open; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _account: OwnedSemaphorePermit,
    _global: OwnedSemaphorePermit,
}

impl Global {
    /// Allows `requests` in flight.
    pub fn new(requests: usize) -> Self {
        Self(Arc::new(Semaphore::new(requests)))
    }
}

impl Limiter {
    /// Allows `concurrency` requests of the account in flight.
    pub fn new(concurrency: usize, global: Global) -> Self {
        Self { account: Arc::new(Semaphore::new(concurrency)), global }
    }

    /// Waits for a permit, first come, first served.
    pub async fn acquire(&self) -> Permit {
        Permit { _account: acquire(&self.account).await, _global: acquire(&self.global.0).await }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("nobody closes these semaphores")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn a_waiting_account_leaves_the_global_permits_to_others() {
        let global = Global::new(2);
        let busy = Limiter::new(1, global.clone());
        let open = busy.acquire().await;
        let waiting = tokio::spawn({
            let busy = busy.clone();
            async move { busy.acquire().await }
        });
        yield_now().await;
        let other = Limiter::new(1, global.clone()).acquire().await;
        assert_eq!(global.0.available_permits(), 0);
        drop(open);
        drop(waiting.await.unwrap());
        drop(other);
        assert_eq!(global.0.available_permits(), 2);
    }
}
