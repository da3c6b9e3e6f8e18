//! How the process ends: the first signal drains, the second aborts.
//!
//! Whatever runs long takes a [`Shutdown`] and ends when it is called off. [`Signals`] are those that end the
//! process; SIGHUP is [`reload`](crate::reload)'s.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tracing::{info, warn};

/// How long scrapes in flight may take to finish after the first signal; the process promises to
/// be gone in two seconds.
pub const DRAIN: Duration = Duration::from_millis(1500);

/// The same signal so soon after the first one is a duplicate of it.
const ECHO: Duration = Duration::from_millis(200);

/// A shutdown request, shared by everything that runs long.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A part of this shutdown: it begins with the whole, or alone.
    #[must_use]
    pub fn part(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Asks everything to end.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Waits until the shutdown begins.
    pub fn wait(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }

    /// Whether the shutdown has begun.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The signals that end a service, caught from here on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts catching SIGTERM and SIGINT.
    ///
    /// # Errors
    /// What the operating system says when it refuses a handler.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Begins `shutdown` at the first SIGTERM or SIGINT; returns at the second, when the caller is
    /// to abort.
    pub async fn watch(mut self, shutdown: Shutdown) {
        let mut first: Option<(&str, Instant)> = None;
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            match first {
                None => {
                    info!(signal = name, "received a signal, shutting down");
                    first = Some((name, Instant::now()));
                    shutdown.begin();
                }
                // timeout(1) and terminals signal a process and its group.
                Some((same, at)) if same == name && at.elapsed() < ECHO => {}
                Some(_) => {
                    warn!(signal = name, "received a second signal, aborting");
                    return;
                }
            }
        }
    }
}
