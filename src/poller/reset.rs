//! The poller's part in a reset: it stops sweeping, reads every user, waits for the decision, and then
//! has the counters cleared.
//!
//! The reset service decides ([`registry`](super::registry) has the channels between the two).

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{info, warn};

use super::actor::{PUBLISH_PERIOD, Poller, with_heartbeat};
use super::readings::{FullReadError, Readings};
use super::registry::ResetJob;
use crate::account::UserId;
use crate::api::ClearOutcome;
use crate::shutdown::Shutdown;

/// What a reset has done to the counters, as far as it concerns the poller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    Cleared,
    Unknown,
}

impl Effect {
    fn of(clearing: &ClearOutcome) -> Self {
        match clearing {
            ClearOutcome::Cleared => Self::Cleared,
            ClearOutcome::Refused(_) | ClearOutcome::NotSent(_) => Self::Nothing,
            ClearOutcome::NotCleared
            | ClearOutcome::OtherAccount { .. }
            | ClearOutcome::Unknown(_) => Self::Unknown,
        }
    }
}

impl Poller {
    /// Executes a reset, between sweeps only: no request for a counter is open. Until the decision it is
    /// cancelled when the poller is asked to stop; afterwards it is completed, and `shutdown` cancels
    /// only the last reading of the counters.
    pub(super) async fn reset(&mut self, job: ResetJob, shutdown: &Shutdown) {
        let ResetJob { readings, decision, outcome, after } = job;
        info!(account = %self.account().name, "reading every user for a reset");
        let stop = self.stop.clone();
        let read = tokio::select! {
            read = self.read_all_users() => read,
            () = stop.wait() => return,
        };
        self.publish().await;
        let (before, token) = match read {
            Ok(read) => read,
            Err(error) => {
                let _ = readings.send(Err(error));
                return;
            }
        };
        let client = Arc::clone(&self.client);
        let single =
            match with_heartbeat(&self.heartbeat, &client, client.single_use_client()).await {
                Ok(single) => single,
                Err(error) => {
                    let _ = readings.send(Err(FullReadError::Client(error)));
                    return;
                }
            };
        let users: Vec<UserId> = before.users.iter().map(|(user, _)| user.clone()).collect();
        if readings.send(Ok(before)).is_err() {
            return;
        }
        let decided = tokio::select! {
            biased;
            decision = with_heartbeat(&self.heartbeat, &client, decision) => decision.is_ok(),
            // A successor may have other settings.
            () = stop.wait() => false,
        };
        if !decided {
            return;
        }
        let trends = self.state.suspend_trends();
        // So that after a kill from here on, a cleared counter does not look like answered messages.
        self.save_trends_now().await;
        let (send_effect, effect) = oneshot::channel();
        drop(client.clear(single, token, move |clearing| {
            let _ = send_effect.send(Effect::of(&clearing));
            // The task of the reset service waits for it, unless the process is ending.
            let _ = outcome.send(clearing);
        }));
        // The request has a time limit of its own.
        let effect =
            with_heartbeat(&self.heartbeat, &client, effect).await.unwrap_or(Effect::Unknown);
        match effect {
            Effect::Nothing => self.state.restore_trends(trends),
            Effect::Cleared => self.state.forget_readings(true),
            Effect::Unknown => self.state.forget_readings(false),
        }
        tokio::select! {
            read = self.read_again(&users) => match read {
                Ok(read) => drop(after.send(read)),
                Err(error) => {
                    let account = &self.account().name;
                    warn!(%account, "not every user could be read after the reset: {error}");
                }
            },
            () = shutdown.wait() => {}
        }
        // A successor continues from this view, and must not show readings from before the reset.
        self.publish().await;
        self.save_trends_now().await;
    }

    async fn read_again(&mut self, users: &[UserId]) -> Result<Readings, FullReadError> {
        let client = Arc::clone(&self.client);
        self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
        let token = with_heartbeat(&self.heartbeat, &client, client.token()).await?;
        let users: HashSet<UserId> = users.iter().cloned().collect();
        self.read_users(token, users).await.map(|(readings, _)| readings)
    }
}
