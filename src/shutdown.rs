//! How the process ends: the first signal drains, the second aborts.
//!
//! Whatever runs long takes a [`Shutdown`] and ends when it is called off. [`Signals`] is the
//! only place that listens to the operating system.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tracing::{info, warn};

/// How long scrapes in flight may take to finish after the first signal; the process promises to
/// be gone in two seconds.
pub const DRAIN: Duration = Duration::from_millis(1500);

/// The same signal so soon after the first one is an echo of it and no second wish.
const ECHO: Duration = Duration::from_millis(200);

/// The wish to end, shared by everything that runs long.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A part of this shutdown: it begins with the whole, or alone.
    #[must_use]
    pub fn part(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Asks everything to end.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether the end is asked for.
    pub fn begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the end is asked for.
    pub fn wait(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }
}

/// The signals a service is sent, caught from here on.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts catching SIGTERM, SIGINT and SIGHUP.
    ///
    /// # Errors
    /// What the operating system says when it refuses a handler.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Begins `shutdown` at the first SIGTERM or SIGINT; returns at the second, when the caller is
    /// to abort. SIGHUP, which ends a process by default, does nothing.
    pub async fn watch(mut self, shutdown: Shutdown) {
        let mut first: Option<(&str, Instant)> = None;
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    info!("received SIGHUP; nothing to do, the configuration is read at start");
                    continue;
                }
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
