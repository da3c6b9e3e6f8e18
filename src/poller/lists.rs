//! The account's lists beside its counters: who there is, and on which channels and in which roles.
//!
//! [`Lists`] reads them in the background of the sweeps and of the pauses between them. What comes
//! back is applied between sweeps only ([`Poller::learn`]): in a sweep, users are known by their
//! place. A list that cannot be read, or not believed, leaves everything as the last good one had it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::report::ListFailure;
use super::{Poller, with_heartbeat};
use crate::account::{Account, Discovery, USER_NAME_MAX, User, UserId};
use crate::api::{Client, ListError, ListedUser};
use crate::channel::{Channel, Roles};
use crate::clock::Stamp;
use crate::snapshot::{AccountView, Listing};

/// Longest time until a list that could not be read is asked for again.
const RETRY_MAX: Duration = Duration::from_mins(1);
/// How often a list of users has to be empty in a row, after one that was not, to be believed.
const EMPTIES: u32 = 3;

/// When lists are due, and the requests for them that are open.
pub(super) struct Lists {
    /// When to look for users, if that is wanted; `None` while it is being done.
    users: Option<Instant>,
    /// The same for channels and roles.
    channels_and_roles: Option<Instant>,
    open: FuturesUnordered<BoxFuture<'static, ListUpdate>>,
    /// Answers that wait for the end of the sweep.
    pub(super) updates: Vec<ListUpdate>,
    /// Empty lists in a row that were not believed.
    empties: u32,
    /// What the log was told of each list.
    failures: BTreeMap<&'static str, ListFailure>,
}

impl std::fmt::Debug for Lists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (open, updates) = (self.open.len(), self.updates.len());
        f.debug_struct("Lists")
            .field("open", &open)
            .field("updates", &updates)
            .finish_non_exhaustive()
    }
}

/// What came back.
pub(super) enum ListUpdate {
    Users(Result<Vec<ListedUser>, ListError>),
    ChannelsAndRoles(Result<Vec<Channel>, ListError>, Result<Option<Roles>, ListError>),
}

impl Lists {
    /// Everything that the account wants to be read is due.
    pub(super) fn new(account: &Account) -> Self {
        let now = Instant::now();
        Self {
            users: account.discovery.as_ref().map(|_| now),
            channels_and_roles: account.channels.map(|_| now),
            open: FuturesUnordered::new(),
            updates: Vec::new(),
            empties: 0,
            failures: BTreeMap::new(),
        }
    }

    /// What was read before the account's settings changed is due when it would have been, unless it
    /// is wanted otherwise now.
    pub(super) fn go_on_from(&mut self, view: &AccountView, account: &Account) {
        let (facts, before) = (&view.facts, &view.account);
        let again = |listing: &Listing, refresh: Duration| {
            let age = listing.read.filter(|_| listing.problem.is_none())?.age(Stamp::now());
            Some(Instant::now() + refresh.saturating_sub(age))
        };
        if let Some(discovery) = &account.discovery
            && before.discovery.as_ref() == Some(discovery)
            && before.export == account.export
        {
            self.users = again(&facts.discovery, discovery.refresh_interval).or(self.users);
        }
        if let Some(channels) = &account.channels
            && before.channels.is_some()
        {
            let channels_read = again(&facts.channels, channels.refresh_interval);
            self.channels_and_roles =
                channels_read.filter(|_| facts.roles.problem.is_none()).or(self.channels_and_roles);
        }
    }

    /// The next answer; asks for what is due meanwhile unless told to `hold`, when one more request
    /// would only tell what the sweeps do. Dropping this loses nothing.
    pub(super) async fn next(&mut self, client: &Arc<Client>, hold: bool) -> ListUpdate {
        loop {
            if !hold {
                self.ask(client);
            }
            let due =
                [self.users, self.channels_and_roles].into_iter().flatten().min().filter(|_| !hold);
            tokio::select! {
                Some(updates) = self.open.next() => return updates,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                else => std::future::pending().await,
            }
        }
    }

    /// How many lists are waited for.
    pub(super) fn wanted(&self) -> usize {
        [self.users, self.channels_and_roles].into_iter().flatten().count()
    }

    /// Asks for users whether or not they are due.
    pub(super) fn hurry_users(&mut self) {
        if let Some(due) = &mut self.users {
            *due = Instant::now();
        }
    }

    fn ask(&mut self, client: &Arc<Client>) {
        let now = Instant::now();
        if self.users.is_some_and(|due| due <= now) {
            self.users = None;
            let client = Arc::clone(client);
            self.open.push(Box::pin(async move { ListUpdate::Users(client.users().await) }));
        }
        if self.channels_and_roles.is_some_and(|due| due <= now) {
            self.channels_and_roles = None;
            let client = Arc::clone(client);
            self.open.push(Box::pin(async move {
                let channels = client.channels().await;
                ListUpdate::ChannelsAndRoles(channels, client.roles().await)
            }));
        }
    }
}

impl Poller {
    /// Applies what came back since the last time.
    pub(super) fn learn_all(&mut self) {
        for updates in std::mem::take(&mut self.lists.updates) {
            self.learn(updates);
        }
    }

    /// Applies one answer. Only between sweeps.
    pub(super) fn learn(&mut self, updates: ListUpdate) {
        let now = Stamp::now();
        let account = Arc::clone(self.account());
        match updates {
            ListUpdate::Users(listed) => {
                if let Some(discovery) = &account.discovery {
                    let good = self.learn_users(discovery, listed, now);
                    self.lists.users = Some(next(good, discovery.refresh_interval));
                }
            }
            ListUpdate::ChannelsAndRoles(channels, roles) => {
                let good = channels.is_ok() && roles.is_ok();
                self.learn_channels(channels, now);
                self.learn_roles(roles, now);
                self.state.judge_standing();
                let refresh = account.channels.map_or(RETRY_MAX, |lists| lists.refresh_interval);
                self.lists.channels_and_roles = Some(next(good, refresh));
            }
        }
    }

    /// Waits for the account's list where there is nobody to ask for without it.
    pub(super) async fn find_first_users(&mut self) {
        if self.account().discovery.is_none() || self.state.facts.discovery.read.is_some() {
            return;
        }
        self.lists.hurry_users();
        let client = Arc::clone(&self.client);
        loop {
            let next = self.lists.next(&client, false);
            let updates = with_heartbeat(&self.heartbeat, &client, next).await;
            let users = matches!(updates, ListUpdate::Users(_));
            let failure = match &updates {
                ListUpdate::Users(Err(error)) => Some((error.to_string(), error.outcome())),
                _ => None,
            };
            self.learn(updates);
            if let Some((problem, outcome)) = failure.filter(|_| self.state.facts.users == 0) {
                self.state.fail_without_users(&problem, outcome);
            }
            if users {
                return;
            }
        }
    }

    fn learn_users(
        &mut self,
        discovery: &Discovery,
        listed: Result<Vec<ListedUser>, ListError>,
        now: Stamp,
    ) -> bool {
        let account = Arc::clone(self.account());
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                return self.unread(|poller| &mut poller.state.facts.discovery, "users", &error);
            }
        };
        let had = self.state.users().any(|user| user.found);
        if listed.is_empty() && had && self.lists.empties + 1 < EMPTIES {
            self.lists.empties += 1;
            let doubt = "the list is empty, which is not believed until it has been so three times";
            self.state.facts.discovery.problem = Some(doubt.into());
            debug!(account = %account.name, "{doubt}");
            return false;
        }
        self.lists.empties = 0;
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
        self.read(|poller| &mut poller.state.facts.discovery, "users", now);
        true
    }

    fn learn_channels(&mut self, channels: Result<Vec<Channel>, ListError>, now: Stamp) {
        match channels {
            Ok(channels) => {
                self.state.facts.surroundings.channels = Some(channels.into());
                self.read(|poller| &mut poller.state.facts.channels, "channels", now);
            }
            Err(error) => {
                self.unread(|poller| &mut poller.state.facts.channels, "channels", &error);
            }
        }
    }

    fn learn_roles(&mut self, roles: Result<Option<Roles>, ListError>, now: Stamp) {
        match roles {
            Ok(roles) => {
                self.state.facts.surroundings.roles = roles.map(Arc::new);
                self.read(|poller| &mut poller.state.facts.roles, "roles", now);
            }
            Err(error) => {
                self.unread(|poller| &mut poller.state.facts.roles, "roles", &error);
            }
        }
    }

    /// Notes a list that was read; logs that it can be again.
    fn read(&mut self, listing: fn(&mut Self) -> &mut Listing, what: &'static str, now: Stamp) {
        *listing(self) = Listing { read: Some(now), problem: None };
        if self.lists.failures.remove(what).is_some_and(ListFailure::was_told) {
            info!(account = %self.account().name, "the list of {what} can be read again");
        }
    }

    /// Notes a list that was not read; logs it once, and not what the sweeps tell anyway.
    fn unread(
        &mut self,
        listing: fn(&mut Self) -> &mut Listing,
        what: &'static str,
        error: &ListError,
    ) -> bool {
        let problem: Arc<str> = error.to_string().into();
        listing(self).problem = Some(Arc::clone(&problem));
        if matches!(error, ListError::Upstream(_)) {
            let complaint = self.lists.failures.entry(what).or_default();
            if let Some(problem) = complaint.failed(problem) {
                self.complain(what, &problem);
            }
        }
        false
    }

    /// After a sweep: logs which lists cannot be read, unless the account as a whole cannot.
    pub(super) fn report_lists(&mut self) {
        let failing = self.state.facts.failing.is_some();
        let mut told = Vec::new();
        for (what, complaint) in &mut self.lists.failures {
            if failing {
                complaint.excuse();
            } else {
                told.extend(complaint.tell().map(|problem| (*what, problem)));
            }
        }
        for (what, problem) in told {
            self.complain(what, &problem);
        }
    }

    fn complain(&self, what: &str, problem: &str) {
        let account = &self.account().name;
        warn!(%account, problem, "the list of {what} cannot be read; the last one stays");
    }
}

/// When to read a list again.
fn next(good: bool, refresh: Duration) -> Instant {
    Instant::now() + if good { refresh } else { refresh.min(RETRY_MAX) }
}

/// The users of a list who are to be polled. Whoever has an impossible id cannot be asked for.
fn found_users(account: &Account, discovery: &Discovery, listed: Vec<ListedUser>) -> Vec<User> {
    let taken = listed.into_iter().filter(|user| discovery.takes(&user.id, user.name.as_deref()));
    let found = taken.filter_map(|user| {
        let labels = discovery.labels_of(&user.id, user.name.as_deref());
        let id = UserId::parse(&user.id).ok()?;
        let name = user.name.filter(|_| account.export.user_names);
        Some(User { id, name: name.and_then(|name| presentable(&name)), labels })
    });
    found.collect()
}

/// A foreign name fit for a label: one line, not too long, not empty.
fn presentable(name: &str) -> Option<String> {
    let letters = name.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let name: String = letters.take(USER_NAME_MAX).collect();
    (!name.is_empty()).then_some(name)
}

/// The configured users, with the names of the list where they have none, and then those who were
/// found; each with whether it was.
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
