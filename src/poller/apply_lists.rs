//! What the account's lists change: which users are polled, and what their counters are worth.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::actor::{Poller, with_heartbeat};
use super::lists::{ListUpdate, RETRY_MAX};
use super::report::ListFailure;
use crate::account::{Account, Discovery, USER_NAME_MAX, User, UserId};
use crate::api::{ListError, ListedUser};
use crate::channel::{Channel, Roles};
use crate::clock::Stamp;
use crate::snapshot::ListStatus;

/// How many times in a row a list of users has to be empty, after one that was not, to be accepted.
const EMPTY_LISTS: u32 = 3;

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
                self.apply_channels(channels, now);
                self.apply_roles(roles, now);
                self.state.update_trust();
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
        self.lists.make_users_due();
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
        listed: Result<Vec<ListedUser>, ListError>,
        now: Stamp,
    ) -> bool {
        let account = Arc::clone(self.account());
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                return self.list_failed(
                    |poller| &mut poller.state.facts.discovery,
                    "users",
                    &error,
                );
            }
        };
        let had = self.state.users().any(|user| user.found);
        if listed.is_empty() && had && self.lists.empty_in_a_row + 1 < EMPTY_LISTS {
            self.lists.empty_in_a_row += 1;
            let doubt = "the list is empty, which counts only after three times in a row";
            self.state.facts.discovery.problem = Some(doubt.into());
            debug!(account = %account.name, "{doubt}");
            return false;
        }
        self.lists.empty_in_a_row = 0;
        let found = found_users(&account, discovery, listed);
        let left_out = found.len().saturating_sub(discovery.max_users);
        if left_out > 0 && left_out != self.state.facts.left_out {
            let (name, most) = (&account.name, discovery.max_users);
            warn!(account = %name, left_out, "more users than discover_users.max_users, {most}");
        }
        self.state.facts.left_out = left_out;
        let found = found.into_iter().take(discovery.max_users);
        let users = named_users(&account, found);
        self.state.set_users(users, now);
        self.list_read(|poller| &mut poller.state.facts.discovery, "users", now);
        true
    }

    fn apply_channels(&mut self, channels: Result<Vec<Channel>, ListError>, now: Stamp) {
        match channels {
            Ok(channels) => {
                self.state.facts.channels_and_roles.channels = Some(channels.into());
                self.list_read(|poller| &mut poller.state.facts.channels, "channels", now);
            }
            Err(error) => {
                self.list_failed(|poller| &mut poller.state.facts.channels, "channels", &error);
            }
        }
    }

    fn apply_roles(&mut self, roles: Result<Option<Roles>, ListError>, now: Stamp) {
        match roles {
            Ok(roles) => {
                self.state.facts.channels_and_roles.roles = roles.map(Arc::new);
                self.list_read(|poller| &mut poller.state.facts.roles, "roles", now);
            }
            Err(error) => {
                self.list_failed(|poller| &mut poller.state.facts.roles, "roles", &error);
            }
        }
    }

    /// Records a list that was read; logs it if a failure was logged before.
    fn list_read(
        &mut self,
        listing: fn(&mut Self) -> &mut ListStatus,
        what: &'static str,
        now: Stamp,
    ) {
        *listing(self) = ListStatus { read: Some(now), problem: None };
        if self.lists.failures.remove(what).is_some_and(ListFailure::was_logged) {
            info!(account = %self.account().name, "the list of {what} can be read again");
        }
    }

    /// Records a list that could not be read; logs it once, and not where the sweeps report the same.
    fn list_failed(
        &mut self,
        listing: fn(&mut Self) -> &mut ListStatus,
        what: &'static str,
        error: &ListError,
    ) -> bool {
        let problem: Arc<str> = error.to_string().into();
        listing(self).problem = Some(Arc::clone(&problem));
        if matches!(error, ListError::Upstream(_)) {
            let failure = self.lists.failures.entry(what).or_default();
            if let Some(problem) = failure.failed(problem) {
                self.log_list_failure(what, &problem);
            }
        }
        false
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

/// When to read a list again.
fn next(good: bool, refresh: Duration) -> Instant {
    Instant::now() + if good { refresh } else { refresh.min(RETRY_MAX) }
}

/// The users of a list that are to be polled. A user with an invalid id cannot be requested.
fn found_users(account: &Account, discovery: &Discovery, listed: Vec<ListedUser>) -> Vec<User> {
    let taken =
        listed.into_iter().filter(|user| discovery.includes(&user.id, user.name.as_deref()));
    let found = taken.filter_map(|user| {
        let labels = discovery.labels_of(&user.id, user.name.as_deref());
        let id = UserId::parse(&user.id).ok()?;
        let name = user.name.filter(|_| account.export.user_names);
        Some(User { id, name: name.and_then(|name| presentable(&name)), labels })
    });
    found.collect()
}

/// A name of upstream as a label value: one line, bounded, not empty.
fn presentable(name: &str) -> Option<String> {
    let letters = name.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let name: String = letters.take(USER_NAME_MAX).collect();
    (!name.is_empty()).then_some(name)
}

/// The configured users, with the names of the list where they have none, and then the discovered
/// ones; each with whether it was discovered.
fn named_users(account: &Account, found: impl Iterator<Item = User>) -> Vec<(Arc<User>, bool)> {
    let found: Vec<User> = found.collect();
    let listed: HashMap<&UserId, &User> = found.iter().map(|user| (&user.id, user)).collect();
    let named = |user: &Arc<User>| match listed.get(&user.id) {
        Some(User { name: Some(name), .. }) if user.name.is_none() => {
            Arc::new(User { name: Some(name.clone()), ..User::clone(user) })
        }
        _ => Arc::clone(user),
    };
    let configured: HashSet<&UserId> = account.users.iter().map(|user| &user.id).collect();
    let users = account.users.iter().map(|user| (named(user), false));
    let mut users: Vec<(Arc<User>, bool)> = users.collect();
    let more = found.iter().filter(|user| !configured.contains(&user.id));
    users.extend(more.map(|user| (Arc::new(user.clone()), true)));
    users
}
