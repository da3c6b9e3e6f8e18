//! One account at run time: its users, its channels and how its credential is treated.
//!
//! `world` finds an [`Account`] by name or credential; `lists` and `v3` answer from it. Each lock
//! is held for a moment and never across an await.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::Serialize;

use super::channels::{ChannelSpec, Channels, CounterMode, WebhookSpec};
use super::counts::Traffic;
use super::lock::lock;
use super::model::{Moment, Trajectory};
use super::rate_limit::RateLimit;
use super::rate_limit::Window;
use super::shapes::Shapes;
use super::spec::{Access, AccountSpec, Credential, Discovery, UserSpec};
use super::user::{CounterView, User, UserState};

/// An account as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountState {
    /// Its name.
    pub name: String,
    /// Eight digits.
    pub account_id: String,
    /// How its credential is treated.
    pub access: Access,
    /// Its users in their first order, removed ones included.
    pub users: Vec<UserState>,
    /// Its channels, deleted ones included.
    pub channels: Vec<ChannelSpec>,
}

/// One account at run time.
pub(super) struct Account {
    pub(super) name: Arc<str>,
    /// Eight digits.
    pub(super) id: String,
    pub(super) credential: Credential,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) discovery: Option<Discovery>,
    pub(super) channels_every: Option<Duration>,
    pub(super) traffic: Traffic,
    behaviour: Mutex<Behaviour>,
    users: RwLock<HashMap<String, Arc<User>>>,
    channels: RwLock<Channels>,
}

struct Behaviour {
    access: Access,
    window: Window,
    shapes: Shapes,
    webhooks: Vec<WebhookSpec>,
}

impl Account {
    pub(super) fn new(spec: AccountSpec, seed: u64) -> Self {
        let AccountSpec {
            name,
            account_id,
            credential,
            access,
            labels,
            users,
            channels,
            webhooks,
            shapes,
            discovery,
            channels_every,
        } = spec;
        let account = Self {
            name: name.into(),
            id: account_id,
            credential,
            labels,
            discovery,
            channels_every,
            traffic: Traffic::default(),
            behaviour: Mutex::new(Behaviour {
                access,
                window: Window::default(),
                shapes,
                webhooks,
            }),
            users: RwLock::default(),
            channels: RwLock::new(Channels::new(channels)),
        };
        for user in users {
            account.add(user, seed);
        }
        account
    }

    pub(super) fn access(&self) -> Access {
        lock(&self.behaviour).access
    }

    pub(super) fn set_access(&self, access: Access) {
        lock(&self.behaviour).access = access;
    }

    pub(super) fn shapes(&self) -> Shapes {
        lock(&self.behaviour).shapes
    }

    pub(super) fn set_shapes(&self, shapes: Shapes) {
        lock(&self.behaviour).shapes = shapes;
    }

    pub(super) fn webhooks(&self) -> Vec<WebhookSpec> {
        lock(&self.behaviour).webhooks.clone()
    }

    pub(super) fn set_webhooks(&self, webhooks: Vec<WebhookSpec>) {
        lock(&self.behaviour).webhooks = webhooks;
    }

    /// Counts a request against the limit. The error is the time to the next window. A revoked
    /// token has no window.
    pub(super) fn admit(&self, since_start: Duration, limit: &RateLimit) -> Result<(), Duration> {
        let mut behaviour = lock(&self.behaviour);
        match behaviour.access {
            Access::Revoked => Ok(()),
            Access::Normal | Access::Forbidden => behaviour.window.admit(since_start, limit),
        }
    }

    /// A user that the API knows.
    pub(super) fn user(&self, id: &str) -> Option<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.get(id).filter(|user| user.present()).cloned()
    }

    /// Every user who has arrived, removed ones included, in the order they were first added.
    fn users(&self) -> Vec<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let mut users: Vec<_> = users.values().filter(|user| user.arrived()).cloned().collect();
        users.sort_unstable_by_key(|user| user.place);
        users
    }

    /// Every user that the API knows, in the same order.
    pub(super) fn present_users(&self) -> Vec<Arc<User>> {
        let mut users = self.users();
        users.retain(|user| user.present());
        users
    }

    /// Adds a user, or replaces the one with the same id.
    pub(super) fn add(&self, mut spec: UserSpec, seed: u64) {
        let trajectory = Trajectory::new(seed, &self.name, &spec.id);
        self.channels_mut().set_roles(&spec.id, std::mem::take(&mut spec.roles));
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let place = users.get(&spec.id).map_or(users.len(), |user| user.place);
        users.insert(spec.id.clone(), Arc::new(User::new(spec, place, trajectory)));
    }

    /// Clears the counters of all chats, including users that the API does not show.
    pub(super) fn clear(&self, moment: Moment) {
        for user in self.users() {
            user.clear(moment);
        }
    }

    pub(super) fn channels(&self) -> RwLockReadGuard<'_, Channels> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn channels_mut(&self) -> RwLockWriteGuard<'_, Channels> {
        self.channels.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to answer about a user's counter.
    pub(super) fn counter_view(&self, user: &User, moment: Moment) -> CounterView {
        user.shown(moment, self.counter_mode(user))
    }

    fn counter_mode(&self, user: &User) -> CounterMode {
        self.channels().counter_mode(&user.id, user.role)
    }

    pub(super) fn state(&self, moment: Moment) -> AccountState {
        let user = |user: &Arc<User>| user.state(moment, self.counter_mode(user));
        AccountState {
            name: self.name.to_string(),
            account_id: self.id.clone(),
            access: self.access(),
            users: self.users().iter().map(user).collect(),
            channels: self.channels().all().to_vec(),
        }
    }
}
