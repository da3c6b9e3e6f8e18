//! What the account's lists change: which users are polled, and what their counters are worth.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::actor::{Poller, with_heartbeat};
use super::list_requests::{ListUpdate, RETRY_MAX};
use super::users::named_users;
use crate::account::{Account, Discovery, USER_NAME_MAX, User, UserId};
use crate::api::{Listed, ListedUser, UnreadableRows};
use crate::clock::Stamp;
use crate::snapshot::{Facts, ListStatus, SkippedUsers};
use crate::text;
use crate::transport::Error;

/// How many times in a row a list of users has to be empty, after one that was not, to be accepted.
const EMPTY_LISTS: u32 = 3;

/// One of the account's lists.
#[derive(Clone, Copy)]
struct List {
    what: &'static str,
    status: fn(&mut Facts) -> &mut ListStatus,
}

const USERS: List = List { what: "users", status: |facts| &mut facts.discovery };
const CHANNELS: List = List { what: "channels", status: |facts| &mut facts.channels };
const ROLES: List = List { what: "roles", status: |facts| &mut facts.roles };

impl Poller {
    /// Applies the lists that came in during a sweep.
    pub(super) fn apply_all(&mut self) {
        for update in std::mem::take(&mut self.lists.received) {
            self.apply(update);
        }
    }

    /// Applies one list. Only between sweeps: within one, users are known by their index.
    pub(super) fn apply(&mut self, update: ListUpdate) {
        let now = Stamp::now();
        let account = Arc::clone(self.account());
        match update {
            ListUpdate::Users(listed) => {
                if let Some(discovery) = &account.discovery {
                    let good = self.apply_users(discovery, listed, now);
                    self.lists.users = Some(next(good, discovery.refresh_interval));
                }
            }
            ListUpdate::ChannelsAndRoles(channels, roles) => {
                let good = channels.is_ok() && roles.is_ok();
                if let Some(channels) = self.note_list(CHANNELS, channels, now) {
                    self.state.facts.channels_and_roles.channels = Some(channels.into());
                }
                let roles = roles.transpose().and_then(|roles| self.note_list(ROLES, roles, now));
                if let Some(roles) = roles {
                    self.state.facts.channels_and_roles.roles = Some(Arc::new(roles));
                }
                let refresh = account.channels.map_or(RETRY_MAX, |lists| lists.refresh_interval);
                self.lists.channels_and_roles = Some(next(good, refresh));
            }
        }
    }

    /// Waits for the account's first list of users, without which there is no user to read.
    pub(super) async fn find_first_users(&mut self) {
        if self.account().discovery.is_none() || self.state.facts.discovery.read.is_some() {
            return;
        }
        self.lists.users = self.lists.users.map(|_| Instant::now());
        let client = Arc::clone(&self.client);
        loop {
            let next = self.lists.next(&client, false);
            let update = with_heartbeat(&self.heartbeat, &client, next).await;
            let users = matches!(update, ListUpdate::Users(_));
            let failure = match &update {
                ListUpdate::Users(Err(error)) => Some((error.to_string(), error.outcome())),
                _ => None,
            };
            self.apply(update);
            if let Some((problem, outcome)) = failure.filter(|_| self.state.facts.users == 0) {
                self.state.fail_without_users(&problem, outcome);
            }
            if users {
                return;
            }
        }
    }

    fn apply_users(
        &mut self,
        discovery: &Discovery,
        listed: Result<Listed<Vec<ListedUser>>, Error>,
        now: Stamp,
    ) -> bool {
        if listed.as_ref().is_ok_and(|listed| self.is_doubtful(&listed.list)) {
            return false;
        }
        let unreadable = listed.as_ref().map_or(0, |listed| listed.unreadable.count);
        let Some(listed) = self.note_list(USERS, listed, now) else { return false };
        let (users, skipped) = self.choose_users(discovery, listed, unreadable);
        if skipped != std::mem::replace(&mut self.state.facts.skipped, skipped) {
            log_skipped(self.account(), skipped);
        }
        self.state.set_users(users, now);
        true
    }

    /// Whether a list of users is suddenly empty, which counts only once it was so several times in a row.
    fn is_doubtful(&mut self, listed: &[ListedUser]) -> bool {
        let found_before = self.state.users.iter().filter(|user| user.found).count();
        let empty = listed.is_empty() && found_before > 0;
        let in_a_row = if empty { self.lists.empty_in_a_row + 1 } else { 0 };
        let doubtful = (1..EMPTY_LISTS).contains(&in_a_row);
        self.lists.empty_in_a_row = if doubtful { in_a_row } else { 0 };
        let account = Arc::clone(self.account());
        let account = &account.name;
        if doubtful {
            let doubt = "the list is empty, which counts only after three times in a row";
            self.state.facts.discovery.problem = Some(doubt.into());
            debug!(%account, "{doubt}");
        } else if empty {
            warn!(%account, users = found_before, "the list of users is empty for the third time; its users are no longer polled");
        }
        doubtful
    }

    /// The users to poll: the configured ones and those of the list that discovery takes. Where these
    /// are too many, those polled already come first, and then the smaller ids.
    fn choose_users(
        &self,
        discovery: &Discovery,
        listed: Vec<ListedUser>,
        unreadable: usize,
    ) -> (Vec<(Arc<User>, bool)>, SkippedUsers) {
        let account = self.account();
        let mut skipped = SkippedUsers { unreadable, ..SkippedUsers::default() };
        let mut found = found_users(account, discovery, listed, &mut skipped);
        let configured: HashSet<&UserId> = account.users.iter().map(|user| &user.id).collect();
        let polled: HashSet<&UserId> = self.state.users.iter().map(|view| &view.user.id).collect();
        let rank = |id: &UserId| (!configured.contains(id), !polled.contains(id));
        let room = discovery.max_users;
        let beyond = found.iter().filter(|user| !configured.contains(&user.id)).count();
        if let Some(over) = beyond.checked_sub(room).filter(|over| *over > 0) {
            skipped.over_max_users = over;
            let mut ranked: Vec<&UserId> = found.iter().map(|user| &user.id).collect();
            ranked.sort_unstable_by_key(|id| (rank(id), *id));
            ranked.truncate(ranked.len() - over);
            let kept: HashSet<UserId> = ranked.into_iter().cloned().collect();
            found.retain(|user| kept.contains(&user.id));
        }
        (named_users(account, found), skipped)
    }

    /// Records that a list was read or not; returns what it holds.
    fn note_list<T>(
        &mut self,
        list: List,
        listed: Result<Listed<T>, Error>,
        now: Stamp,
    ) -> Option<T> {
        match listed {
            Ok(Listed { list: content, unreadable, .. }) => {
                self.state.facts.api_proven = true;
                self.list_read(list, &unreadable, now);
                Some(content)
            }
            Err(error) => {
                self.list_failed(list, &error);
                None
            }
        }
    }

    /// Records a list that was read; logs it if a failure was logged before.
    fn list_read(&mut self, List { what, status }: List, unreadable: &UnreadableRows, now: Stamp) {
        let account = Arc::clone(self.account());
        let (account, status) = (&account.name, status(&mut self.state.facts));
        (status.read, status.problem) = (Some(now), None);
        let before = std::mem::replace(&mut status.unreadable, unreadable.words().map(Arc::from));
        if let Some(rows) = status.unreadable.as_ref().filter(|rows| before.as_ref() != Some(rows))
        {
            warn!(%account, "the list of {what} has rows that cannot be read: {rows}");
        }
        if self.lists.failures.remove(what).is_some_and(|failure| failure.logged) {
            info!(%account, "the list of {what} can be read again");
        }
    }

    /// Records a list that could not be read; logs it once, and not where the sweeps report the same.
    fn list_failed(&mut self, List { what, status }: List, error: &Error) {
        let problem: Arc<str> = error.to_string().into();
        status(&mut self.state.facts).problem = Some(Arc::clone(&problem));
        if !matches!(error, Error::NotSent(..)) {
            let failure = self.lists.failures.entry(what).or_default();
            if let Some(problem) = failure.failed(problem) {
                self.log_list_failure(what, &problem);
            }
        }
    }

    /// After a sweep: logs which lists cannot be read, unless the account as a whole cannot.
    pub(super) fn report_lists(&mut self) {
        let failing = self.state.facts.failing.is_some();
        let mut unlogged = Vec::new();
        for (what, failure) in &mut self.lists.failures {
            if failing {
                failure.attribute_to_account();
            } else {
                unlogged.extend(failure.take_unlogged().map(|problem| (*what, problem)));
            }
        }
        for (what, problem) in unlogged {
            self.log_list_failure(what, &problem);
        }
    }

    fn log_list_failure(&self, what: &str, problem: &str) {
        let account = &self.account().name;
        warn!(%account, problem, "the list of {what} cannot be read; the last one stays");
    }
}

/// When to read a list again; of those that have failed together each at its own time.
fn next(good: bool, refresh: Duration) -> Instant {
    let retry = refresh.min(RETRY_MAX).mul_f64(1.0 + fastrand::f64() / 4.0);
    Instant::now() + if good { refresh } else { retry }
}

/// Logs which rows of the list of users are not polled, whenever that changes.
fn log_skipped(account: &Account, skipped: SkippedUsers) {
    let SkippedUsers { invalid_id, unreadable, over_max_users, excluded } = skipped;
    let account = &account.name;
    if invalid_id + unreadable + over_max_users == 0 {
        info!(%account, excluded, "users of the list are not polled");
    } else {
        warn!(%account, invalid_id, unreadable, over_max_users, excluded, "users of the list are not polled");
    }
}

/// The users of a list that discovery takes. A user with an invalid id cannot be requested.
fn found_users(
    account: &Account,
    discovery: &Discovery,
    listed: Vec<ListedUser>,
    skipped: &mut SkippedUsers,
) -> Vec<User> {
    let mut found = Vec::with_capacity(listed.len());
    for user in listed {
        let name = user.name.as_deref();
        if !discovery.includes(&user.id, name) {
            skipped.excluded += 1;
            continue;
        }
        let Ok(id) = UserId::parse(&user.id) else {
            skipped.invalid_id += 1;
            continue;
        };
        let labels = discovery.labels_of(&user.id, name);
        let name = name.filter(|_| account.export.user_names).and_then(presentable);
        found.push(User { id, name, labels });
    }
    found
}

/// A name of upstream as a label value: one line, bounded, not empty.
fn presentable(name: &str) -> Option<String> {
    let name: String = text::one_line(name, usize::MAX).chars().take(USER_NAME_MAX).collect();
    (!name.is_empty()).then_some(name)
}
