//! A poller in the hands of a reset: it reads every user, has the counters cleared, and reads them again.
//!
//! The reset service decides what happens, and in which order.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::actor::Poller;
use super::full_read::{Readings, slow};
use crate::account::UserId;
use crate::api::{ClearOutcome, SingleUseClient};
use crate::auth::Token;
use crate::shutdown::Shutdown;

/// Longest time in which the client of the request is made; it reads the system's certificates.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// An account's poller that sweeps no more until this is dropped: no request for a counter is open.
pub struct HeldPoller {
    /// The poller, and where it is given back; `None` once that was done.
    held: Option<(Poller, oneshot::Sender<Poller>)>,
    /// Begins when the account gets other settings, or the process ends.
    pub(crate) stop: Shutdown,
}

/// The counters of every user, and what the request to clear them is sent with.
pub struct BeforeReset {
    /// The counters.
    pub readings: Readings,
    token: Token,
    client: SingleUseClient,
}

/// Why not every user was read before a reset.
#[derive(Debug)]
pub enum FullReadError {
    /// One cannot be read, or the list of them, for this reason.
    Incomplete(String),
    /// The poller is to stop.
    Stopped,
}

impl HeldPoller {
    /// Hands over a poller, which is to be given back to `back`.
    pub(super) fn new(poller: Poller, back: oneshot::Sender<Poller>, stop: Shutdown) -> Self {
        Self { held: Some((poller, back)), stop }
    }

    fn poller(&mut self) -> &mut Poller {
        let held = self.held.as_mut();
        &mut held.expect("it is given back only when this is dropped").0
    }

    /// Reads every user of the account's list and every configured one.
    ///
    /// # Errors
    /// When one cannot be read, and when the poller is to stop.
    pub async fn read_before(&mut self) -> Result<BeforeReset, FullReadError> {
        let stop = self.stop.clone();
        let poller = self.poller();
        info!(account = %poller.account().name, "reading every user for a reset");
        let read = async {
            let (readings, token) = poller.read_all_users().await?;
            let client = timeout(CLIENT_TIMEOUT, poller.client.single_use_client()).await;
            let client =
                client.map_err(|_| slow(CLIENT_TIMEOUT))?.map_err(|error| error.to_string())?;
            Ok(BeforeReset { readings, token, client })
        };
        tokio::select! {
            read = read => read.map_err(FullReadError::Incomplete),
            () = stop.wait() => Err(FullReadError::Stopped),
        }
    }

    /// Has the counters cleared: sends the request once and waits for its result. Not to be cancelled.
    pub async fn clear(&mut self, before: BeforeReset) -> ClearOutcome {
        let poller = self.poller();
        // Trends are doubtful from now on, because counters may be cleared; the users as they were are for the
        // case that none was.
        let users = poller.state.users.clone();
        poller.state.users.update(|user| user.trend.mark_doubtful());
        // So that after a kill from here on, a cleared counter does not look like answered messages.
        poller.save_trends_now().await;
        let clearing = poller.client.clear(before.client, before.token).await;
        match &clearing {
            ClearOutcome::Refused(_) | ClearOutcome::NotSent(_) => poller.state.users = users,
            ClearOutcome::Cleared => poller.state.forget_readings(true),
            ClearOutcome::NotCleared
            | ClearOutcome::OtherAccount { .. }
            | ClearOutcome::Unknown(_) => poller.state.forget_readings(false),
        }
        clearing
    }

    /// Reads `users` afterwards, unless one of them cannot be read or `shutdown` begins.
    pub async fn read_after(
        &mut self,
        users: Vec<UserId>,
        shutdown: &Shutdown,
    ) -> Option<Readings> {
        let poller = self.poller();
        let read = async {
            let token = poller.client.token().await.map_err(|error| error.to_string())?;
            Ok(poller.read_in_time(token, users).await?.0)
        };
        let read = tokio::select! {
            read = read => read,
            () = shutdown.wait() => return None,
        };
        let account = &poller.account().name;
        let failed = |error: &String| {
            warn!(%account, "not every user could be read after the reset: {error}");
        };
        read.inspect_err(failed).ok()
    }
}

impl Drop for HeldPoller {
    fn drop(&mut self) {
        if let Some((poller, back)) = self.held.take() {
            // Its task may have ended meanwhile.
            let _ = back.send(poller);
        }
    }
}
