//! What the account's lists change: which users are polled, and what their counters are worth.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::actor::{Poller, with_heartbeat};
use super::list_requests::{ListUpdate, RETRY_MAX};
use super::report::ListFailure;
use crate::account::{Account, Discovery, USER_NAME_MAX, User, UserId};
use crate::api::{ListError, Listed, ListedUser, UnreadableRows};
use crate::channel::{Channel, Roles};
use crate::clock::Stamp;
use crate::snapshot::{ListStatus, SkippedUsers};
use crate::text;

/// How many times in a row a list of users has to be empty, after one that was not, to be accepted.
const EMPTY_LISTS: u32 = 3;

/// Which of the account's lists it is.
type ListField = fn(&mut Poller) -> &mut ListStatus;

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
        listed: Result<Listed<Vec<ListedUser>>, ListError>,
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
        let found_before = self.state.users.iter().filter(|user| user.found).count();
        let empty = listed.list.is_empty() && found_before > 0;
        if empty && self.lists.empty_in_a_row + 1 < EMPTY_LISTS {
            self.lists.empty_in_a_row += 1;
            let doubt = "the list is empty, which counts only after three times in a row";
            self.state.facts.discovery.problem = Some(doubt.into());
            debug!(account = %account.name, "{doubt}");
            return false;
        }
        if empty {
            let account = &account.name;
            warn!(%account, users = found_before, "the list of users is empty for the third time; its users are no longer polled");
        }
        self.lists.empty_in_a_row = 0;
        let (users, skipped) = self.choose_users(discovery, listed.list, listed.unreadable.count);
        if skipped != std::mem::replace(&mut self.state.facts.skipped, skipped) {
            log_skipped(&account, skipped);
        }
        self.state.set_users(users, now);
        self.list_read(
            |poller| &mut poller.state.facts.discovery,
            "users",
            &listed.unreadable,
            now,
        );
        true
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

    fn apply_channels(&mut self, channels: Result<Listed<Vec<Channel>>, ListError>, now: Stamp) {
        match channels {
            Ok(channels) => {
                self.state.facts.channels_and_roles.channels = Some(channels.list.into());
                let list: ListField = |poller| &mut poller.state.facts.channels;
                self.list_read(list, "channels", &channels.unreadable, now);
            }
            Err(error) => {
                self.list_failed(|poller| &mut poller.state.facts.channels, "channels", &error);
            }
        }
    }

    fn apply_roles(&mut self, roles: Result<Option<Listed<Roles>>, ListError>, now: Stamp) {
        match roles {
            Ok(None) => {}
            Ok(Some(roles)) => {
                self.state.facts.channels_and_roles.roles = Some(Arc::new(roles.list));
                let list: ListField = |poller| &mut poller.state.facts.roles;
                self.list_read(list, "roles", &roles.unreadable, now);
            }
            Err(error) => {
                self.list_failed(|poller| &mut poller.state.facts.roles, "roles", &error);
            }
        }
    }

    /// Records a list that was read; logs it if a failure was logged before.
    fn list_read(
        &mut self,
        list: ListField,
        what: &'static str,
        unreadable: &UnreadableRows,
        now: Stamp,
    ) {
        let name = self.account().name.clone();
        let listing = list(self);
        (listing.read, listing.problem) = (Some(now), None);
        let before = std::mem::replace(&mut listing.unreadable, unreadable.words().map(Arc::from));
        if let Some(rows) = listing.unreadable.as_ref().filter(|rows| before.as_ref() != Some(rows))
        {
            warn!(account = %name, "the list of {what} has rows that cannot be read: {rows}");
        }
        if self.lists.failures.remove(what).is_some_and(ListFailure::was_logged) {
            info!(account = %self.account().name, "the list of {what} can be read again");
        }
    }

    /// Records a list that could not be read; logs it once, and not where the sweeps report the same.
    fn list_failed(&mut self, list: ListField, what: &'static str, error: &ListError) -> bool {
        let problem: Arc<str> = error.to_string().into();
        list(self).problem = Some(Arc::clone(&problem));
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

/// Logs which rows of the list of users are not polled, whenever that changes.
fn log_skipped(account: &Account, skipped: SkippedUsers) {
    let SkippedUsers { invalid_id, unreadable, over_max_users, excluded } = skipped;
    let account = &account.name;
    if skipped.unwanted() == 0 {
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

/// The configured users, with the names of the list where they have none, and then the discovered
/// ones; each with whether it was discovered.
fn named_users(account: &Account, found: Vec<User>) -> Vec<(Arc<User>, bool)> {
    let listed: HashMap<&UserId, &User> = found.iter().map(|user| (&user.id, user)).collect();
    let named = |user: &Arc<User>| match listed.get(&user.id) {
        Some(User { name: Some(name), .. }) if user.name.is_none() => {
            Arc::new(User { name: Some(name.clone()), ..User::clone(user) })
        }
        _ => Arc::clone(user),
    };
    let mut users: Vec<(Arc<User>, bool)> =
        account.users.iter().map(|user| (named(user), false)).collect();
    let configured: HashSet<&UserId> = account.users.iter().map(|user| &user.id).collect();
    let more = found.into_iter().filter(|user| !configured.contains(&user.id));
    users.extend(more.map(|user| (Arc::new(user), true)));
    users
}
