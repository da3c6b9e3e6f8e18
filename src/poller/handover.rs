//! How a poller starts: fresh, or in place of another whose account has new settings.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::slots::is_read_alike;
use crate::account::{Account, UserId};
use crate::clock::Stamp;
use crate::snapshot::{AccountView, Slot};

/// How a poller starts.
#[derive(Debug)]
pub enum StartMode {
    /// With a sweep after this time.
    After(Duration),
    /// With what another poller has left, once that has ended.
    TakeOver(Predecessor),
}

/// The poller that had the account before its settings changed.
#[derive(Debug)]
pub struct Predecessor {
    /// Its slot, which is no longer in the directory and is written until it ends.
    pub slot: Arc<Slot>,
    /// When it has ended.
    pub ended: CancellationToken,
}

/// When the next sweep is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct SweepSchedule {
    /// The origin of `due`.
    pub(super) origin: Instant,
    /// When the next sweep is due.
    pub(super) due: Duration,
    /// Whether the first sweep is to be as fast as the limit allows, because readings are missing.
    pub(super) hurried: bool,
    /// Users that were read since then may be skipped.
    pub(super) skip_read_since: Option<Stamp>,
}

impl StartMode {
    /// Time until the first sweep, as far as it is known.
    pub fn delay(&self) -> Duration {
        match self {
            Self::After(first) => *first,
            Self::TakeOver(_) => Duration::ZERO,
        }
    }
}

impl SweepSchedule {
    pub(super) fn after(first: Duration) -> Self {
        Self { origin: Instant::now(), due: first, hurried: true, skip_read_since: None }
    }

    /// Continues the schedule of the poller that published `view`, if the account is still read from the
    /// same place with the same credential.
    pub(super) fn resume(view: &AccountView, account: &Account) -> Self {
        let facts = &view.facts;
        let begun = facts.begun.filter(|_| is_read_alike(view, account));
        let Some(begun) = begun else { return Self::after(Duration::ZERO) };
        let finished = facts.sweep.is_some_and(|sweep| sweep.finished.uptime >= begun.uptime);
        let attempted = view.users().filter(|user| user.last_attempt.is_some());
        let attempted: HashSet<&UserId> = attempted.map(|user| &user.user.id).collect();
        let complete = finished && account.users.iter().all(|user| attempted.contains(&user.id));
        let origin = Instant::now().checked_sub(begun.age(Stamp::now()));
        // One that was broken off, or has not read all users of the new settings, is completed at once.
        origin.map_or(Self::after(Duration::ZERO), |origin| Self {
            origin,
            due: if complete { account.poll.interval } else { Duration::ZERO },
            hurried: !complete,
            skip_read_since: (!complete).then_some(begun),
        })
    }
}
