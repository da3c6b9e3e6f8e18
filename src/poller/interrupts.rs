//! What keeps a poller from sending further requests: it is to stop, or a reset needs it.

use super::registry::{HoldRequest, Registration};
use crate::shutdown::Shutdown;

/// The interruptions of one poller.
#[derive(Debug)]
pub(super) struct Interrupts {
    /// Asks the poller to stop after the requests in flight.
    pub(super) stop: Shutdown,
    registration: Option<Registration>,
    /// A reset that waits for the end of the sweep.
    pub(super) hold: Option<HoldRequest>,
}

impl Interrupts {
    /// Those of a poller with this registration, if it has one.
    pub(super) fn new(registration: Option<Registration>, stop: Shutdown) -> Self {
        Self { stop, registration, hold: None }
    }

    /// Whether no more requests are to be sent.
    pub(super) fn begun(&self) -> bool {
        self.hold.is_some() || self.stop.has_begun()
    }

    /// Waits for an interruption, or until a publication is requested. Not once one has begun. Cancel
    /// safe.
    pub(super) async fn next(&mut self) {
        let Self { stop, registration, hold } = self;
        let Some(registration) = registration else { return stop.wait().await };
        tokio::select! {
            request = registration.next() => *hold = request,
            () = stop.wait() => {}
        }
    }
}
