//! What a poller knows between two publications.
//!
//! [`PollState`] records readings and failures, and which chunks of users they changed; a [`Draft`] of it
//! is rendered into the next view.

use std::collections::HashMap;
use std::sync::Arc;

use super::identity::AccountIdentity;
use super::persist::SavedTrends;
use crate::account::{Account, User, UserId};
use crate::channel::Trust;
use crate::clock::Stamp;
use crate::counter::{Reading, Trend};
use crate::exposition::{render_account, render_chunk};
use crate::metrics::{Outcome, SweepResult, Tally};
use crate::snapshot::{
    AccountView, Attempt, CHUNK_USERS, Chunk, Facts, FailingReason, ListStatus, UserView,
};
use crate::transport::Error;

/// The poller's own copy of what is known, ahead of what is published.
#[derive(Debug)]
pub(super) struct PollState {
    pub(super) account: Arc<Account>,
    pub(super) facts: Facts,
    chunks: Vec<ChunkState>,
    /// Which account is read, once that is known.
    identity: Option<AccountIdentity>,
    /// Trends that an earlier run of the exporter has saved.
    saved: SavedTrends,
    /// The last error, as text.
    problem: Option<Arc<str>>,
    /// Outcomes of the current sweep, in the order of [`Outcome::ALL`].
    outcomes: [usize; Outcome::ALL.len()],
}

#[derive(Debug)]
struct ChunkState {
    users: Vec<UserView>,
    changed: bool,
}

/// A copy of what changed, to be rendered elsewhere.
pub(super) struct Draft {
    account: Arc<Account>,
    facts: Facts,
    /// How many chunks there are.
    chunks: usize,
    changed: Vec<(usize, Vec<UserView>)>,
    earlier: Arc<AccountView>,
}

impl PollState {
    /// Continues from a published view.
    pub(super) fn from_view(view: &AccountView) -> Self {
        let chunks = view.chunks.iter();
        let chunks =
            chunks.map(|chunk| ChunkState { users: chunk.users.clone(), changed: false }).collect();
        // Without a number, only a token can tell.
        let known = view.account.account_id.is_some();
        Self {
            identity: known.then(|| AccountIdentity::new(&view.account, None)),
            account: Arc::clone(&view.account),
            facts: Facts { down: false, ..view.facts.clone() },
            chunks,
            saved: SavedTrends::default(),
            problem: None,
            outcomes: Default::default(),
        }
    }

    /// Applies saved trends to users that have not been read yet, now or when they are discovered.
    pub(super) fn load_trends(&mut self, saved: SavedTrends, now: Stamp) {
        self.saved = saved;
        self.continue_saved_trends(now);
    }

    fn continue_saved_trends(&mut self, now: Stamp) {
        let Some(identity) = &self.identity else { return };
        let users = self.chunks.iter_mut().flat_map(|chunk| &mut chunk.users);
        for user in users.filter(|user| user.last_good.is_none()) {
            restore_trend(user, identity, &self.account, &self.saved, now);
        }
    }

    /// Takes note of the account that the token in use names. Figures and trends of another account are
    /// dropped; those that were saved are continued if they are of this one.
    pub(super) fn note_token(&mut self, named: Option<String>, now: Stamp) {
        let before = self.facts.token_account.as_ref();
        let other =
            before.is_some_and(|before| named.as_ref().is_some_and(|named| named != before));
        if other && self.account.account_id.is_none() {
            for chunk in &mut self.chunks {
                chunk.changed = true;
                for user in &mut chunk.users {
                    (user.last_good, user.trend) = (None, Trend::default());
                }
            }
            self.facts.newest_reading = None;
        }
        if named.is_some() {
            self.facts.token_account = named;
        }
        let identity = AccountIdentity::new(&self.account, self.facts.token_account.as_deref());
        if self.identity.as_ref() != Some(&identity) {
            self.identity = Some(identity);
            self.continue_saved_trends(now);
        }
    }

    /// Every user, in the order of the view.
    pub(super) fn users(&self) -> impl Iterator<Item = &UserView> {
        self.chunks.iter().flat_map(|chunk| &chunk.users)
    }

    /// The user at an index of the view.
    pub(super) fn user_at(&self, index: usize) -> Option<Arc<User>> {
        let chunk = self.chunks.get(index / CHUNK_USERS)?;
        chunk.users.get(index % CHUNK_USERS).map(|view| Arc::clone(&view.user))
    }

    /// Replaces the users by the configured and the discovered ones (`found`); their readings stay. Not
    /// while requests for users are open, which know them by their index.
    pub(super) fn set_users(&mut self, users: Vec<(Arc<User>, bool)>, now: Stamp) {
        let same = self.users().map(|view| (&view.user, view.found));
        if same.eq(users.iter().map(|(user, found)| (user, *found))) {
            return;
        }
        let before: Vec<UserView> = self.chunks.drain(..).flat_map(|chunk| chunk.users).collect();
        let mut known: HashMap<UserId, UserView> =
            before.into_iter().map(|view| (view.user.id.clone(), view)).collect();
        let views = users.into_iter().map(|(user, found)| {
            if let Some(view) = known.remove(&user.id) {
                return UserView { user, found, ..view };
            }
            let trust = trust_of(&self.account, &self.facts, user.id.as_str(), now);
            let mut view = UserView { trust, found, ..UserView::new(user) };
            if let Some(identity) = &self.identity {
                restore_trend(&mut view, identity, &self.account, &self.saved, now);
            }
            view
        });
        let views: Vec<UserView> = views.collect();
        self.facts.users = views.len();
        let open = |users: &[UserView]| ChunkState { users: users.to_vec(), changed: true };
        self.chunks = views.chunks(CHUNK_USERS).map(open).collect();
    }

    /// Decides from the current channels and roles what each user's counter is worth.
    pub(super) fn update_trust(&mut self, now: Stamp) {
        for chunk in &mut self.chunks {
            for view in &mut chunk.users {
                let trust = trust_of(&self.account, &self.facts, view.user.id.as_str(), now);
                if view.trust != trust {
                    view.trust = trust;
                    chunk.changed = true;
                }
            }
        }
    }

    /// Suspends all trends, because counters may be cleared from now on. Returns them as they were.
    pub(super) fn suspend_trends(&mut self) -> Vec<Trend> {
        let users = self.chunks.iter_mut().flat_map(|chunk| &mut chunk.users);
        let doubt = |user: &mut UserView| {
            let before = user.trend;
            user.trend.mark_doubtful();
            before
        };
        users.map(doubt).collect()
    }

    /// Restores suspended trends: no counter was cleared.
    pub(super) fn restore_trends(&mut self, trends: Vec<Trend>) {
        let users = self.chunks.iter_mut().flat_map(|chunk| &mut chunk.users);
        for (user, trend) in users.zip(trends) {
            user.trend = trend;
        }
    }

    /// Drops every reading, because counters were `cleared` or may have been.
    pub(super) fn forget_readings(&mut self, cleared: bool) {
        for chunk in &mut self.chunks {
            chunk.changed = true;
            for user in &mut chunk.users {
                user.last_good = None;
                if cleared {
                    user.trend.mark_cleared();
                }
            }
        }
        self.facts.newest_reading = None;
    }

    /// Drops the outcomes of a sweep that was broken off.
    pub(super) fn forget_outcomes(&mut self) {
        self.outcomes = Default::default();
    }

    /// The trends to save, once it is known whose they are.
    pub(super) fn trends_to_save(&self, now: Stamp) -> Option<SavedTrends> {
        let identity = self.identity.clone()?;
        let trends = self.users();
        let trends =
            trends.filter_map(|user| Some((user.user.id.as_str(), user.trend.to_stored(now)?)));
        Some(SavedTrends::new(identity, trends))
    }

    /// Records a good reading.
    pub(super) fn succeeded(&mut self, index: usize, reading: Reading, at: Stamp) {
        self.count(Outcome::Ok);
        self.set_attempt(index, Attempt { outcome: Outcome::Ok, problem: None });
        let stale_after = self.account.poll.stale_after;
        if let Some(user) = self.user(index) {
            user.trend.observe(&reading, at, stale_after);
            user.last_good = Some((reading, at));
        }
        self.facts.newest_reading = Some(at);
        self.facts.failing = None;
        if let Some(server_time) = reading.server_time {
            self.facts.clock_skew_seconds = Some(skew(at, server_time));
        }
    }

    /// Records a failure; an earlier good reading stays.
    pub(super) fn failed(&mut self, index: usize, error: &Error) {
        let problem: Arc<str> = error.to_string().into();
        self.problem = Some(Arc::clone(&problem));
        let outcome = account_outcome(error);
        self.count(outcome);
        self.set_attempt(index, Attempt { outcome, problem: Some(problem) });
    }

    /// Counts a failure whose request may be sent again. The user is judged only by the last attempt.
    pub(super) fn failed_for_now(&mut self, error: &Error) {
        self.problem = Some(error.to_string().into());
        self.count(account_outcome(error));
    }

    /// Judges a user by a failure that is counted already: the request is not sent again.
    pub(super) fn stays_failed(&mut self, index: usize, error: &Error) {
        let problem = Some(error.to_string().into());
        self.set_attempt(index, Attempt { outcome: error.outcome(), problem });
    }

    /// Counts a user as read in this sweep if it was read in an interrupted one that began at `since`.
    pub(super) fn was_read(&mut self, index: usize, since: Stamp) -> bool {
        let chunk = self.chunks.get(index / CHUNK_USERS);
        let user = chunk.and_then(|chunk| chunk.users.get(index % CHUNK_USERS));
        let good = user.and_then(|user| user.last_good).map(|(_, at)| at.uptime);
        let read = good.is_some_and(|at| at >= since.uptime);
        if read {
            self.count(Outcome::Ok);
        }
        read
    }

    /// Records that no user could be read, because there is no token.
    pub(super) fn fail_all_users(&mut self, problem: &str, outcome: Outcome) {
        let problem: Arc<str> = problem.into();
        self.problem = Some(Arc::clone(&problem));
        let attempt = Attempt { outcome, problem: Some(problem) };
        for index in 0..self.facts.users {
            self.count(outcome);
            self.set_attempt(index, attempt.clone());
        }
    }

    /// Records that there are no users to read, because their list could not be read.
    pub(super) fn fail_without_users(&mut self, problem: &str, outcome: Outcome) {
        self.problem = Some(problem.into());
        // A 404 for the list means that this is not the API.
        self.count(if outcome == Outcome::NotFound { Outcome::Malformed } else { outcome });
    }

    /// Removes a failure whose request is sent again.
    pub(super) fn retract(&mut self, error: Outcome) {
        if let Some(count) = self.outcomes.get_mut(error as usize) {
            *count = count.saturating_sub(1);
        }
    }

    fn count(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    fn set_attempt(&mut self, index: usize, attempt: Attempt) {
        if let Some(user) = self.user(index) {
            user.last_attempt = Some(attempt);
        }
    }

    fn user(&mut self, index: usize) -> Option<&mut UserView> {
        let chunk = self.chunks.get_mut(index / CHUNK_USERS)?;
        chunk.changed = true;
        chunk.users.get_mut(index % CHUNK_USERS)
    }

    /// The result of a sweep, and why the account fails: the reason why it `refused` all requests, or,
    /// where no user could be read, the most frequent one.
    pub(super) fn verdict(
        &mut self,
        refused: Option<FailingReason>,
    ) -> (SweepResult, Option<FailingReason>) {
        let (result, failing) = judge(std::mem::take(&mut self.outcomes));
        match (refused, result) {
            (None, _) => (result, failing),
            (Some(_), SweepResult::Ok) => (SweepResult::Partial, refused),
            (Some(_), _) => (result, refused),
        }
    }

    /// Whether a request was made, in this sweep or before.
    pub(super) fn has_attempted(&self) -> bool {
        self.facts.sweep.is_some() || self.outcomes.iter().any(|count| *count > 0)
    }

    /// Marks the account as failing in the middle of a sweep, because a sweep over an upstream that hangs
    /// or asks for pauses takes long: if `enough` requests have failed or it is `paused`, no user could be
    /// read in this sweep, and the last good reading is older than the sweep before.
    pub(super) fn judge_early(&mut self, enough: usize, paused: bool, now: Stamp) {
        let recent = self.account.poll.interval.saturating_mul(2);
        if self.facts.newest_reading.is_some_and(|at| at.age(now) < recent) {
            return;
        }
        let (result, reason) = judge(self.outcomes);
        let attempts: usize = self.outcomes.iter().sum();
        let none_read = result == SweepResult::Failed || attempts == 0;
        if none_read && attempts >= enough && reason.is_some() {
            self.facts.failing = reason;
        } else if none_read && paused {
            self.facts.failing = Some(FailingReason::RateLimited);
        }
    }

    /// Replaces the last error by a more precise one.
    pub(super) fn set_problem(&mut self, problem: &str) {
        self.problem = Some(problem.into());
    }

    /// The last error, as text.
    pub(super) fn last_problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Copies what changed since the last draft.
    pub(super) fn draft(&mut self, earlier: Arc<AccountView>, tally: &Tally) -> Draft {
        self.facts.tally = tally.values();
        let mut changed = Vec::new();
        for (index, chunk) in self.chunks.iter_mut().enumerate() {
            if std::mem::take(&mut chunk.changed) {
                changed.push((index, chunk.users.clone()));
            }
        }
        let (account, facts) = (Arc::clone(&self.account), self.facts.clone());
        Draft { account, facts, chunks: self.chunks.len(), changed, earlier }
    }
}

impl Draft {
    /// Renders the next view; unchanged chunks are shared with the earlier one.
    pub(super) fn render(self, now: Stamp) -> AccountView {
        let Self { account, facts, chunks: count, changed, earlier } = self;
        let mut chunks: Vec<Arc<Chunk>> = earlier.chunks.clone();
        chunks.truncate(count);
        for (index, users) in changed {
            let rendered =
                |earlier: Option<&Chunk>| Arc::new(render_chunk(&account, users, earlier, now));
            match chunks.get_mut(index) {
                Some(chunk) => *chunk = rendered(Some(chunk)),
                // New chunks are changed, and in order.
                None => chunks.push(rendered(None)),
            }
        }
        let blocks = render_account(&account, &facts, Some(&earlier.blocks), now);
        AccountView { account, facts, chunks, blocks }
    }
}

/// What a user's counter is worth.
pub(super) fn trust_of(account: &Account, facts: &Facts, user: &str, now: Stamp) -> Trust {
    let good_for = account.lists_good_for().channels_and_roles;
    let not_known = |list: &ListStatus| list.is_not_known(good_for, now);
    Trust {
        not_known: not_known(&facts.channels) || not_known(&facts.roles),
        ..facts.channels_and_roles.of(user)
    }
}

/// The outcome that a failure counts as for the account: a 404 of another server says nothing about
/// users.
fn account_outcome(error: &Error) -> Outcome {
    match error.outcome() {
        Outcome::NotFound if !error.is_of_the_api() => Outcome::Malformed,
        outcome => outcome,
    }
}

fn restore_trend(
    user: &mut UserView,
    identity: &AccountIdentity,
    account: &Account,
    saved: &SavedTrends,
    now: Stamp,
) {
    if let Some(trend) = saved.of(identity, user.user.id.as_str()) {
        user.trend = Trend::restore(trend, now, account.poll.stale_after);
    }
}

/// The result of a sweep with these outcomes. The most frequent failure is the account's reason, and
/// the first in [`Outcome::ALL`] among equals.
fn judge(outcomes: [usize; Outcome::ALL.len()]) -> (SweepResult, Option<FailingReason>) {
    let counted = || Outcome::ALL.iter().copied().zip(outcomes);
    let good: usize =
        counted().filter(|(outcome, _)| *outcome == Outcome::Ok).map(|(_, n)| n).sum();
    let all: usize = outcomes.iter().sum();
    if all == 0 {
        // The list of users is empty: there was nothing to read.
        return (SweepResult::Ok, None);
    }
    if good > 0 {
        return (if good == all { SweepResult::Ok } else { SweepResult::Partial }, None);
    }
    let mut most_frequent: Option<(FailingReason, usize)> = None;
    for (outcome, count) in counted() {
        if let Some(reason) = FailingReason::of(outcome)
            && count > most_frequent.map_or(0, |(_, most)| most)
        {
            most_frequent = Some((reason, count));
        }
    }
    (SweepResult::Failed, most_frequent.map(|(reason, _)| reason))
}

/// Our wall clock minus upstream's, in seconds.
fn skew(at: Stamp, server_time: i64) -> f64 {
    let millis = at.unix.as_millis() as i64;
    millis.saturating_sub(server_time.saturating_mul(1000)) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn judged(ends: &[(Outcome, usize)]) -> (SweepResult, Option<FailingReason>) {
        let mut outcomes = [0; Outcome::ALL.len()];
        for (outcome, count) in ends {
            outcomes[*outcome as usize] = *count;
        }
        judge(outcomes)
    }

    #[test]
    fn one_good_reading_keeps_an_account_from_failing() {
        assert_eq!(judged(&[(Outcome::Ok, 3)]), (SweepResult::Ok, None));
        let partial = judged(&[(Outcome::Ok, 1), (Outcome::ServerError, 9)]);
        assert_eq!(partial, (SweepResult::Partial, None));
    }

    #[test]
    fn the_most_frequent_failure_is_the_accounts_reason() {
        let ends = [(Outcome::Unauthorized, 1), (Outcome::Timeout, 2), (Outcome::NotFound, 9)];
        assert_eq!(judged(&ends), (SweepResult::Failed, Some(FailingReason::Unreachable)));
    }

    #[test]
    fn unknown_users_are_no_failure_of_the_account() {
        assert_eq!(judged(&[(Outcome::NotFound, 2)]), (SweepResult::Failed, None));
    }

    #[test]
    fn skew_is_ours_minus_theirs() {
        let at = Stamp { uptime: Duration::ZERO, unix: Duration::from_millis(100_500) };
        assert!((skew(at, 98) - 2.5).abs() < f64::EPSILON);
        assert!((skew(at, 103) + 2.5).abs() < f64::EPSILON);
        assert!(skew(at, i64::MIN) > 0.0);
    }
}
