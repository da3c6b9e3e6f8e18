//! One actor per account: asks upstream for every user, once per interval, and publishes.
//!
//! A [`Poller`] is the only writer of its account's view. It sweeps over the users with its requests
//! inside itself (no task per user), publishes at the end of a sweep and at most once per
//! [`PUBLISH_PERIOD`] in between, and waits for the next sweep. An account that cannot be read at
//! all is asked with single requests until one succeeds. The supervisor runs the poller and starts it
//! anew should it die; what it knew is in the slot. Where the account's settings change, another poller
//! begins in its place and goes on with its schedule ([`StartMode`]). Where the account may be reset, its
//! poller takes that in turn ([`Registry`]): nothing else may ask or publish meanwhile.

mod full_read;
mod handover;
mod lists;
mod persist;
mod report;
mod reset;
mod slots;
mod state;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

pub use self::full_read::{FullReadError, Readings};
pub use self::handover::{Predecessor, StartMode};
pub use self::reset::{PollerHandle, PollerUnavailable, Registry, ResetProgress};
pub use self::slots::{changed_slot, mark_down, new_slot};

use self::handover::SweepSchedule;
use self::lists::Lists;
use self::persist::TrendFile;
use self::report::Outage;
use self::reset::{PollerCommand, Registration, ResetJob, next_command};
use self::state::PollState;
use self::sweep::SweepScope;
use crate::account::Account;
use crate::api::Client;
use crate::auth::TokenError;
use crate::blocking;
use crate::clock::Stamp;
use crate::health::Heartbeat;
use crate::schedule::Trouble;
use crate::shutdown::Shutdown;
use crate::snapshot::{AccountView, FailingReason, Slot, Sweep, Writer};
use crate::storage::Storage;

/// Shortest time between two publications within a sweep.
pub const PUBLISH_PERIOD: Duration = Duration::from_secs(1);

/// Longest time that getting a token or a first list of users may take: a few requests, each with its
/// time limit.
const PATIENCE: Duration = Duration::from_mins(2);

/// Longest time that reading or writing files may take before a poller counts as stuck: opening,
/// reading and writing are given five seconds each.
const FILES_PATIENCE: Duration = Duration::from_secs(15);

/// Polls one account.
#[derive(Debug)]
pub struct Poller {
    client: Arc<Client>,
    writer: Writer,
    state: PollState,
    lists: Lists,
    heartbeat: Heartbeat,
    backoff: Trouble,
    /// What is kept over restarts of the exporter, where there is a place for it.
    trend_file: Option<TrendFile>,
    /// What the log was told since the account cannot be read.
    outage: Outage,
    /// Whether somebody else has logged why the account fails.
    logged_elsewhere: bool,
    /// Whom a sweep begins with.
    first_user: usize,
    /// When to end in good order.
    leave: Shutdown,
    /// Where it is found by those who reset accounts.
    seat: Option<Registration>,
    /// A reset that waits for the end of the sweep.
    waiting: Option<ResetJob>,
}

impl Poller {
    /// A poller that takes over `slot` and goes on from what it shows.
    pub fn new(client: Client, slot: &Arc<Slot>, heartbeat: Heartbeat) -> Self {
        let view = slot.view();
        let (state, outage) = (PollState::from_view(&view), Outage::going_on(&view.facts));
        let (client, writer) = (Arc::new(client), slot.writer());
        let (backoff, trend_file) = (Trouble::default(), None);
        let lists = Lists::new(&state.account);
        Self {
            client,
            writer,
            state,
            lists,
            heartbeat,
            backoff,
            trend_file,
            outage,
            logged_elsewhere: false,
            first_user: 0,
            leave: Shutdown::new(),
            seat: None,
            waiting: None,
        }
    }

    /// The same poller, which keeps in `storage` what is to survive a restart of the exporter.
    #[must_use]
    pub fn with_storage(self, storage: Storage) -> Self {
        let account = self.account();
        let stale_after = account.poll.stale_after;
        let trend_file = Some(TrendFile::new(storage, account.name.clone(), stale_after));
        Self { trend_file, ..self }
    }

    /// The same poller, which is found at `registry` by those who reset accounts.
    #[must_use]
    pub fn with_registry(self, registry: &Arc<Registry>) -> Self {
        let seat = Some(registry.take(self.account(), &self.writer.slot().tally));
        Self { seat, ..self }
    }

    /// Sweeps in the account's schedule until `shutdown`, which ends it at once, or until it is to
    /// `leave`: then it takes down the answers to what it has asked, and keeps what is to be kept. A
    /// reset that was decided is carried through either way.
    pub async fn run(mut self, begin: StartMode, leave: Shutdown, shutdown: Shutdown) {
        self.leave = leave;
        let schedule = tokio::select! {
            biased;
            () = shutdown.wait() => return,
            schedule = self.begin(begin) => schedule,
        };
        self.load_trends().await;
        self.sweep_in(schedule, &shutdown).await;
        if !shutdown.has_begun() {
            self.publish().await;
            self.save_trends().await;
        }
    }

    /// Sweeps until it is to leave.
    async fn sweep_in(&mut self, schedule: SweepSchedule, shutdown: &Shutdown) {
        let SweepSchedule { origin, mut due, mut skip_read_since } = schedule;
        let leave = self.leave.clone();
        while !leave.has_begun() {
            self.heartbeat.next_action_at(origin + due);
            let hold = self.holds_lists();
            tokio::select! {
                () = sleep_until(origin + due) => {}
                news = self.lists.next(&self.client, hold) => {
                    self.learn(news);
                    self.publish().await;
                    continue;
                }
                call = next_command(&mut self.seat) => match call {
                    PollerCommand::Reset(job) => self.waiting = Some(job),
                    PollerCommand::Publish => {
                        self.publish().await;
                        continue;
                    }
                },
                () = leave.wait() => return,
            }
            if self.waiting.is_none() {
                tokio::select! {
                    biased;
                    () = shutdown.wait() => return,
                    () = self.sweep(skip_read_since.take()) => {}
                }
            }
            if leave.has_begun() {
                // Who waits for a reset is told that nobody is there; its successor takes the next.
                return;
            }
            if let Some(job) = self.waiting.take() {
                self.reset(job, shutdown).await;
                self.state.forget_outcomes();
                // A sweep that made room is made up for, and shows what became of the counters.
                due = origin.elapsed();
                continue;
            }
            let interval = self.account().poll.interval;
            let next = self.backoff.next(due, origin.elapsed(), interval);
            if next.overrun {
                self.writer.slot().tally.overrun();
                debug!(account = %self.account().name, "the sweep outlasted its interval");
            }
            due = next.due;
            self.publish().await;
            self.save_trends().await;
        }
    }

    /// Takes `view` for what is known and shows it.
    fn go_on_from(&mut self, view: AccountView) {
        self.state = PollState::from_view(&view);
        self.writer.publish(view);
    }

    /// Goes on from what an earlier run of the exporter has kept.
    async fn load_trends(&mut self) {
        self.heartbeat.next_action_at(Instant::now() + FILES_PATIENCE);
        if let Some(file) = &mut self.trend_file {
            self.state.load_trends(file.load().await, Stamp::now());
        }
    }

    async fn save_trends(&mut self) {
        self.heartbeat.next_action_at(Instant::now() + FILES_PATIENCE);
        if let Some(file) = &mut self.trend_file {
            let now = Stamp::now();
            file.save(self.state.trends_to_save(), now).await;
        }
    }

    /// Reads the lists, makes one sweep and publishes what it found.
    pub async fn run_once(mut self) {
        let client = Arc::clone(&self.client);
        for _ in 0..self.lists.wanted() {
            let news = self.lists.next(&client, false).await;
            self.learn(news);
        }
        self.sweep(None).await;
        self.publish().await;
    }

    /// Whether lists have to wait: until the first sweep has shown that the account answers, and
    /// while it does not.
    fn holds_lists(&self) -> bool {
        self.state.facts.sweep.is_none() || self.backoff.probing()
    }

    fn account(&self) -> &Arc<Account> {
        &self.state.account
    }

    /// One sweep, which leaves out those who were read since `skip_read_since`. It is broken off when the poller is
    /// to leave or a reset waits.
    async fn sweep(&mut self, skip_read_since: Option<Stamp>) {
        let now = Stamp::now();
        let started = skip_read_since.unwrap_or(now);
        self.state.facts.begun = Some(started);
        let leave = self.leave.clone();
        tokio::select! {
            () = self.find_first_users() => {}
            () = leave.wait() => return,
        }
        let client = Arc::clone(&self.client);
        let token = tokio::select! {
            token = with_heartbeat(&self.heartbeat, &client, client.token()) => token,
            () = leave.wait() => return,
        };
        let (refused, spent) = match token {
            Ok(token) => {
                self.logged_elsewhere = false;
                let scope =
                    if self.backoff.probing() { SweepScope::Probe } else { SweepScope::AllUsers };
                self.ask(token, scope, skip_read_since).await
            }
            Err(error) => {
                self.logged_elsewhere = error.is_shared();
                self.state.fail_everyone(&error.to_string(), error.outcome());
                // Asking again costs upstream nothing: where tokens come from, attempts are paced.
                (Some(reason_of(&error)), false)
            }
        };
        if leave.has_begun() || self.waiting.is_some() {
            // What it has read counts, and how it would have ended is not known.
            self.learn_all();
            return;
        }
        let (result, failing) = self.state.verdict(refused);
        let finished = Stamp::now();
        let duration = started.age(finished);
        let token = client.token_facts();
        self.state.facts.token_expiry = token.expiry;
        self.state.facts.token_refreshed = token.last_refresh;
        self.state.facts.sweep = Some(Sweep { finished, duration, result });
        self.state.facts.failing = failing;
        self.writer.slot().tally.sweep(result);
        self.backoff.note(spent, failing.is_some());
        self.report(true, finished);
        self.learn_all();
        self.report_lists();
        debug!(account = %self.account().name, result = result.label(), ?duration, "swept");
    }

    /// Renders what changed, away from the threads that serve sockets, and shows it.
    async fn publish(&mut self) {
        let slot = self.writer.slot();
        let token = self.client.token_facts();
        self.state.facts.token_expiry = token.expiry;
        self.state.facts.token_refreshed = token.last_refresh;
        let draft = self.state.draft(slot.view(), &slot.tally);
        // A panic there is a panic of this poller, which its supervisor deals with.
        let view = blocking::run(move || draft.render(Stamp::now())).await;
        self.writer.publish(view);
        if self.state.has_attempted() {
            self.heartbeat.note_attempt();
        }
    }
}

/// Waits for something that takes its time, without counting as stuck for up to [`PATIENCE`] and
/// while upstream has asked for a pause.
async fn with_heartbeat<T>(
    heartbeat: &Heartbeat,
    client: &Client,
    work: impl Future<Output = T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    let mut work = std::pin::pin!(work);
    loop {
        let soon = Instant::now() + PUBLISH_PERIOD;
        heartbeat.next_action_at(if client.paused() { soon } else { soon.min(until) });
        tokio::select! {
            done = &mut work => return done,
            () = sleep_until(soon) => {}
        }
    }
}

/// Why the account fails when there is no token.
fn reason_of(error: &TokenError) -> FailingReason {
    if error.login_needed() {
        return FailingReason::LoginNeeded;
    }
    FailingReason::of(error.outcome()).unwrap_or(FailingReason::Unauthorized)
}
