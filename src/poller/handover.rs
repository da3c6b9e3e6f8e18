//! How a poller begins, which may be in the place of another whose account has other settings now.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::report::Outage;
use super::slots::{changed_view, is_read_alike};
use super::{PUBLISH_PERIOD, Poller};
use crate::account::{Account, UserId};
use crate::clock::Stamp;
use crate::schedule::resume;
use crate::shutdown::Ended;
use crate::snapshot::{AccountView, Slot};

/// What a poller begins with.
#[derive(Debug)]
pub enum StartMode {
    /// A sweep, after this time.
    After(Duration),
    /// What another has left undone, once that has ended.
    TakeOver(Predecessor),
}

/// The poller that had the account before its settings changed.
#[derive(Debug)]
pub struct Predecessor {
    /// What it shows to the end, though nobody sees it any more.
    pub slot: Arc<Slot>,
    /// When it has ended.
    pub ended: Ended,
}

/// The schedule of the sweeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct SweepSchedule {
    /// What `due` is counted from.
    pub(super) origin: Instant,
    /// When the next sweep is due.
    pub(super) due: Duration,
    /// Whom it may leave out: those who were read since.
    pub(super) skip_read_since: Option<Stamp>,
}

impl StartMode {
    /// How long until a sweep, as far as that is known.
    pub fn pause(&self) -> Duration {
        match self {
            Self::After(first) => *first,
            Self::TakeOver(_) => Duration::ZERO,
        }
    }
}

impl SweepSchedule {
    pub(super) fn after(first: Duration) -> Self {
        Self { origin: Instant::now(), due: first, skip_read_since: None }
    }

    /// That of the poller which showed `view`, if accounts are still read in the same way.
    fn going_on(view: &AccountView, account: &Account) -> Self {
        let facts = &view.facts;
        let begun = facts.begun.filter(|_| is_read_alike(&view.account, account));
        let Some(begun) = begun else { return Self::after(Duration::ZERO) };
        let finished = facts.sweep.is_some_and(|sweep| sweep.finished.uptime >= begun.uptime);
        let asked = view.users().filter(|user| user.last_attempt.is_some());
        let asked: HashSet<&UserId> = asked.map(|user| &user.user.id).collect();
        let complete = finished && account.users.iter().all(|user| asked.contains(&user.id));
        let resumed = resume(complete, account.poll.interval);
        let skip_read_since = resumed.rest.then_some(begun);
        let origin = Instant::now().checked_sub(begun.age(Stamp::now()));
        origin.map_or(Self::after(Duration::ZERO), |origin| Self {
            origin,
            due: resumed.due,
            skip_read_since,
        })
    }
}

impl Poller {
    /// Begins as it is told to.
    pub(super) async fn begin(&mut self, begin: StartMode) -> SweepSchedule {
        let predecessor = match begin {
            StartMode::After(first) => return SweepSchedule::after(first),
            StartMode::TakeOver(predecessor) => predecessor,
        };
        let mut ended = std::pin::pin!(predecessor.ended.wait());
        loop {
            // It is looked after as this one is, so that this ends.
            self.heartbeat.next_action_at(Instant::now() + PUBLISH_PERIOD);
            tokio::select! {
                () = &mut ended => break,
                () = sleep(PUBLISH_PERIOD) => {}
            }
        }
        let last = predecessor.slot.view();
        if let Some(view) = changed_view(&predecessor.slot, Arc::clone(self.account())) {
            self.go_on_from(view);
        }
        // Even if it is another account at Wazzup24 by now: the log knows it by its name.
        self.outage = Outage::going_on(&last.facts);
        self.lists.go_on_from(&last, &self.state.account);
        SweepSchedule::going_on(&last, self.account())
    }
}
