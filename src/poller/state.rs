//! What a poller knows between two publications.
//!
//! [`PollState`] records readings and failures of the [`PolledUsers`], and whose they are.
//! [`PollState::view`] is what is published.

use std::sync::Arc;

use super::identity::AccountIdentity;
use super::outcomes::SweepOutcomes;
use super::persist::SavedTrends;
use super::users::PolledUsers;
use crate::account::{Account, User};
use crate::channel::{ChannelsAndRoles, Trust};
use crate::clock::Stamp;
use crate::counter::{Reading, Trend};
use crate::metrics::{Outcome, SweepResult, Tally};
use crate::snapshot::{AccountView, Attempt, Facts, FailingReason, ListStatus, UserView};
use crate::transport::Error;

/// The poller's own copy of what is known, ahead of what is published.
pub(super) struct PollState {
    pub(super) account: Arc<Account>,
    pub(super) facts: Facts,
    pub(super) users: PolledUsers,
    /// Which account is read, once that is known.
    identity: Option<AccountIdentity>,
    /// Trends that an earlier run of the exporter has saved.
    saved: SavedTrends,
    /// The last error, as text.
    pub(super) problem: Option<Arc<str>>,
    /// Outcomes of the current sweep.
    pub(super) outcomes: SweepOutcomes,
    /// What the trust of all users follows from.
    trusted: Option<TrustBasis>,
}

/// What decides what counters are worth.
pub(super) struct TrustBasis {
    lists: ChannelsAndRoles,
    not_known: bool,
}

impl PollState {
    /// Continues from a published view.
    pub(super) fn from_view(view: &AccountView) -> Self {
        // Without a number, only a token can tell.
        let known = view.account.account_id.is_some();
        Self {
            identity: known.then(|| AccountIdentity::new(&view.account, None)),
            account: Arc::clone(&view.account),
            facts: Facts { down: false, ..view.facts.clone() },
            users: PolledUsers::from_view(view),
            saved: SavedTrends::default(),
            problem: None,
            outcomes: SweepOutcomes::default(),
            trusted: None,
        }
    }

    /// Applies saved trends to users that have not been read yet, now or when they are discovered.
    pub(super) fn load_trends(&mut self, saved: SavedTrends, now: Stamp) {
        self.saved = saved;
        self.continue_saved_trends(now);
    }

    fn continue_saved_trends(&mut self, now: Stamp) {
        let Self { users, identity: Some(identity), account, saved, .. } = self else { return };
        users.update_due(
            |user| user.last_good.is_none(),
            |user| restore_trend(user, identity, account, saved, now),
        );
    }

    /// Takes note of the account that the token in use names. Figures and trends of another account are
    /// dropped; those that were saved are continued if they are of this one.
    pub(super) fn note_token(&mut self, named: Option<&str>, now: Stamp) {
        if !self.is_of(named) {
            self.users.update(|user| {
                (user.last_good, user.trend) = (None, Trend::default());
            });
            self.facts.newest_reading = None;
        }
        if named.is_some() {
            self.facts.token_account = named.map(str::to_owned);
        }
        let identity = AccountIdentity::new(&self.account, self.facts.token_account.as_deref());
        if self.identity.as_ref() != Some(&identity) {
            self.identity = Some(identity);
            self.continue_saved_trends(now);
        }
    }

    /// Whether what is read with a token that names the account `named` is of the account that is read, as
    /// far as that is known. A number in the configuration is compared with every token before it is used.
    pub(super) fn is_of(&self, named: Option<&str>) -> bool {
        match (&self.facts.token_account, named) {
            (Some(known), Some(named)) => self.account.account_id.is_some() || known == named,
            _ => true,
        }
    }

    /// The user at an index of the view.
    pub(super) fn user_at(&self, index: usize) -> Option<Arc<User>> {
        self.users.get(index).map(|view| Arc::clone(&view.user))
    }

    /// Replaces the users by the configured and the discovered ones (`found`); their readings stay. Not
    /// while requests for users are open, which know them by their index.
    pub(super) fn set_users(&mut self, users: Vec<(Arc<User>, bool)>, now: Stamp) {
        let Self { account, facts, identity, saved, .. } = self;
        let count = users.len();
        let basis = TrustBasis::new(account, facts, now);
        let new = |user: Arc<User>| {
            let trust = basis.trust(user.id.as_str());
            let mut view = UserView { trust, ..UserView::new(user) };
            if let Some(identity) = &*identity {
                restore_trend(&mut view, identity, account, saved, now);
            }
            view
        };
        if self.users.replace(users, new) {
            self.facts.users = count;
            self.trusted = None;
        }
    }

    /// Decides from the current channels and roles what each user's counter is worth, if these have changed:
    /// publications come every second.
    pub(super) fn update_trust(&mut self, now: Stamp) {
        let Self { account, facts, users, trusted, .. } = self;
        let basis = TrustBasis::new(account, facts, now);
        if trusted.as_ref().is_some_and(|earlier| earlier.is(&basis)) {
            return;
        }
        basis.apply(users);
        *trusted = Some(basis);
    }

    /// Drops every reading, because counters were `cleared` or may have been.
    pub(super) fn forget_readings(&mut self, cleared: bool) {
        self.users.update(|user| {
            user.last_good = None;
            if cleared {
                user.trend.mark_cleared();
            }
        });
        self.facts.newest_reading = None;
    }

    /// The trends to save, once it is known whose they are.
    pub(super) fn trends_to_save(&self, now: Stamp) -> Option<SavedTrends> {
        let account = self.identity.clone()?;
        let trends = self.users.iter();
        let trends =
            trends.filter_map(|user| Some((user.user.id.to_string(), user.trend.to_stored(now)?)));
        Some(SavedTrends::new(account, trends, now))
    }

    /// Records a good reading.
    pub(super) fn succeeded(&mut self, index: usize, reading: Reading, at: Stamp) {
        self.outcomes.add(Outcome::Ok);
        let stale_after = self.account.poll.stale_after;
        if let Some(user) = self.users.get_mut(index) {
            user.last_attempt = Some(Attempt { outcome: Outcome::Ok, problem: None });
            user.trend.observe(&reading, at, stale_after);
            user.last_good = Some((reading, at));
        }
        self.facts.newest_reading = Some(at);
        self.facts.api_proven = true;
        self.facts.failing = None;
        self.facts.clock_skew_seconds = reading.server_time.map(|theirs| skew(at, theirs));
    }

    /// Records a failure; an earlier good reading stays.
    pub(super) fn failed(&mut self, index: usize, error: &Error) {
        self.failed_for_now(error);
        self.stays_failed(index, error);
    }

    /// Counts a failure whose request may be sent again. The user is judged only by the last attempt.
    pub(super) fn failed_for_now(&mut self, error: &Error) {
        self.outcomes.add(self.outcome_of(error));
        self.set_problem(&self.problem_of(error));
    }

    /// Judges a user by a failure that is counted already: the request is not sent again.
    pub(super) fn stays_failed(&mut self, index: usize, error: &Error) {
        let problem = Some(self.problem_of(error).into());
        let outcome =
            if error.is_unknown_user() { Outcome::NotFound } else { self.outcome_of(error) };
        self.set_attempt(index, Attempt { outcome, problem });
    }

    /// Whether a failure concerns one user only, who is not known there. Any server may answer 404 without a body, so
    /// where nothing was read before, the account fails as well.
    fn concerns_user_only(&self, error: &Error) -> bool {
        error.is_unknown_user() && (self.facts.api_proven || error.is_of_the_api())
    }

    /// The outcome that a failure counts as for the account: a 404 of another server says nothing about users.
    fn outcome_of(&self, error: &Error) -> Outcome {
        match error.outcome() {
            Outcome::NotFound if !self.concerns_user_only(error) => Outcome::Malformed,
            outcome => outcome,
        }
    }

    fn problem_of(&self, error: &Error) -> String {
        if error.is_unknown_user() && !self.concerns_user_only(error) {
            return format!("{error} without a body, and nothing was read from there yet");
        }
        error.to_string()
    }

    /// Counts a user as read in this sweep if it was read in an interrupted one that began at `since`.
    pub(super) fn was_read(&mut self, index: usize, since: Stamp) -> bool {
        let good = self.users.get(index).and_then(|user| user.last_good);
        let read = good.is_some_and(|(_, at)| at.uptime >= since.uptime);
        if read {
            self.outcomes.add(Outcome::Ok);
        }
        read
    }

    /// Records that no user could be read, because there is no token.
    pub(super) fn fail_all_users(&mut self, problem: &str, outcome: Outcome) {
        let problem = Some(self.set_problem(problem));
        let attempt = Attempt { outcome, problem };
        for index in 0..self.facts.users {
            self.outcomes.add(outcome);
            self.set_attempt(index, attempt.clone());
        }
    }

    /// Records that there are no users to read, because their list could not be read.
    pub(super) fn fail_without_users(&mut self, problem: &str, outcome: Outcome) {
        self.set_problem(problem);
        // A 404 for the list means that this is not the API.
        let not_found = outcome == Outcome::NotFound;
        self.outcomes.add(if not_found { Outcome::Malformed } else { outcome });
    }

    fn set_attempt(&mut self, index: usize, attempt: Attempt) {
        if let Some(user) = self.users.get_mut(index) {
            user.last_attempt = Some(attempt);
        }
    }

    /// The result of a sweep, and why the account fails: the reason why it `refused` all requests, or,
    /// where no user could be read, the most frequent one.
    pub(super) fn verdict(
        &mut self,
        refused: Option<FailingReason>,
    ) -> (SweepResult, Option<FailingReason>) {
        let (result, failing) = std::mem::take(&mut self.outcomes).judge();
        match (refused, result) {
            (None, _) => (result, failing),
            (Some(_), SweepResult::Ok) => (SweepResult::Partial, refused),
            (Some(_), _) => (result, refused),
        }
    }

    /// Whether a request was made, in this sweep or before.
    pub(super) fn has_attempted(&self) -> bool {
        self.facts.sweep.is_some() || self.outcomes.total() > 0
    }

    /// Marks the account as failing in the middle of a sweep, because a sweep over an upstream that hangs
    /// or asks for pauses takes long: if `enough` requests have failed or it is `paused`, no user could be
    /// read in this sweep, and the last good reading is older than the sweep before.
    pub(super) fn judge_early(&mut self, enough: usize, paused: bool, now: Stamp) {
        let recent = self.account.poll.interval.saturating_mul(2);
        if self.facts.newest_reading.is_some_and(|at| at.age(now) < recent) {
            return;
        }
        let ((result, reason), attempts) = (self.outcomes.judge(), self.outcomes.total());
        let none_read = result == SweepResult::Failed || attempts == 0;
        if none_read && attempts >= enough && reason.is_some() {
            self.facts.failing = reason;
        } else if none_read && paused {
            self.facts.failing = Some(FailingReason::RateLimited);
        }
    }

    /// Replaces the last error.
    pub(super) fn set_problem(&mut self, problem: &str) -> Arc<str> {
        Arc::clone(self.problem.insert(problem.into()))
    }

    /// What is known now, with the values of `tally`.
    pub(super) fn view(&mut self, tally: &Tally) -> AccountView {
        self.facts.tally = tally.values();
        let (account, facts) = (Arc::clone(&self.account), self.facts.clone());
        AccountView { account, facts, chunks: self.users.chunks() }
    }
}

impl TrustBasis {
    pub(super) fn new(account: &Account, facts: &Facts, now: Stamp) -> Self {
        let good_for = account.lists_good_for().channels_and_roles;
        let not_known = |list: &ListStatus| list.is_not_known(good_for, now);
        Self {
            lists: facts.channels_and_roles.clone(),
            not_known: not_known(&facts.channels) || not_known(&facts.roles),
        }
    }

    /// Whether it is the same as `other`.
    fn is(&self, other: &Self) -> bool {
        let (one, two) = (&self.lists, &other.lists);
        let channels =
            one.channels.as_ref().map(Arc::as_ptr) == two.channels.as_ref().map(Arc::as_ptr);
        let roles = one.roles.as_ref().map(Arc::as_ptr) == two.roles.as_ref().map(Arc::as_ptr);
        channels && roles && self.not_known == other.not_known
    }

    /// What a user's counter is worth.
    pub(super) fn trust(&self, user: &str) -> Trust {
        Trust { not_known: self.not_known, ..self.lists.of(user) }
    }

    /// Updates what counters are worth, where that has changed.
    pub(super) fn apply(&self, users: &mut PolledUsers) {
        let trust = |view: &UserView| self.trust(view.user.id.as_str());
        users.update_due(|view| view.trust != trust(view), |view| view.trust = trust(view));
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

/// Our wall clock minus upstream's, in seconds.
fn skew(at: Stamp, server_time: i64) -> f64 {
    let millis = at.unix.as_millis() as i64;
    millis.saturating_sub(server_time.saturating_mul(1000)) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::CounterType;
    use std::time::Duration;

    #[test]
    fn skew_is_known_only_of_a_reading_with_a_time() {
        let account = Arc::new(crate::account::fixture("acme", &["1"]));
        let facts = Facts::new(&account, Stamp::now());
        let mut state = PollState::from_view(&AccountView::new(account, facts, &[]));
        for (server_time, known) in [(Some(98), true), (None, false)] {
            let reading =
                Reading { count: 0, kind: CounterType::Other, server_time, last_message: None };
            state.succeeded(0, reading, Stamp::now());
            assert_eq!(state.facts.clock_skew_seconds.is_some(), known);
        }
    }

    #[test]
    fn skew_is_ours_minus_theirs() {
        let at = Stamp { uptime: Duration::ZERO, unix: Duration::from_millis(100_500) };
        assert!((skew(at, 98) - 2.5).abs() < f64::EPSILON);
        assert!((skew(at, 103) + 2.5).abs() < f64::EPSILON);
        assert!(skew(at, i64::MIN) > 0.0);
    }
}
