//! One account at run time: its users, its channels and how its credential is treated.
//!
//! `world` finds an [`Account`] by name or credential; `lists` and `v3` answer from what it is
//! [now](AccountNow), whose lock is held for a moment and never across an await.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use super::lock::lock;
use super::model::{Moment, Trajectory};
use super::rate_limit::{RateLimit, Window};
use super::spec::{Access, AccountSpec, UserSpec};
use super::user::{CounterView, User};

/// One account at run time.
pub(super) struct Account {
    pub(super) name: String,
    now: Mutex<AccountNow>,
}

/// An account as it is now.
pub(super) struct AccountNow {
    /// What can be set is set here, but for the users.
    pub(super) spec: AccountSpec,
    window: Window,
    /// In the order they were first added.
    users: Vec<User>,
    /// Where a user of this id is among them.
    places: HashMap<String, usize>,
}

impl Account {
    pub(super) fn new(mut spec: AccountSpec, seed: u64) -> Self {
        let (name, users) = (spec.name.clone(), std::mem::take(&mut spec.users));
        let window = Window::default();
        let now = AccountNow { spec, window, users: Vec::new(), places: HashMap::new() };
        let account = Self { name, now: Mutex::new(now) };
        for user in users {
            account.add(user, seed);
        }
        account
    }

    pub(super) fn now(&self) -> MutexGuard<'_, AccountNow> {
        lock(&self.now)
    }

    /// Adds a user, or replaces the one with the same id.
    pub(super) fn add(&self, spec: UserSpec, seed: u64) {
        let trajectory = Trajectory::new(seed, &self.name, &spec.id);
        let AccountNow { users, places, .. } = &mut *self.now();
        let place = *places.entry(spec.id.clone()).or_insert(users.len());
        let user = User::new(spec, trajectory);
        match users.get_mut(place) {
            Some(former) => *former = user,
            None => users.push(user),
        }
    }

    /// All of it as it is now, with what was removed or deleted.
    pub(super) fn state(&self, moment: Moment) -> Value {
        let AccountNow { spec, users, .. } = &mut *self.now();
        let AccountSpec { account_id, access, channels, .. } = spec;
        let arrived = users.iter_mut().filter(|user| user.arrived());
        let users: Vec<_> = arrived.map(|user| user.state(channels, moment)).collect();
        json!({"name": self.name, "account_id": account_id, "access": access, "users": users,
            "channels": channels})
    }
}

impl AccountNow {
    /// Counts a request against the limit. A revoked token has no window.
    pub(super) fn admits(&mut self, since_start: Duration, limit: &RateLimit) -> bool {
        self.spec.access == Access::Revoked || self.window.admits(since_start, limit)
    }

    /// A user that the API knows.
    pub(super) fn user(&mut self, id: &str) -> Option<&mut User> {
        let place = *self.places.get(id)?;
        self.users.get_mut(place).filter(|user| user.present())
    }

    /// Every user that the API knows, in the order they were first added.
    pub(super) fn present(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.present())
    }

    /// What to answer about a user's counter.
    pub(super) fn counter(&mut self, id: &str, moment: Moment) -> Option<CounterView> {
        let Self { users, places, spec, .. } = self;
        let user = users.get_mut(*places.get(id)?).filter(|user| user.present())?;
        Some(user.view(&spec.channels, moment))
    }

    /// Clears the counters of all chats, including users that the API does not show.
    pub(super) fn clear(&mut self, moment: Moment) {
        self.users.iter_mut().filter(|user| user.arrived()).for_each(|user| user.clear(moment));
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::Role;
    use super::*;

    #[test]
    fn a_removed_user_is_unknown_until_added_again() {
        let spec = |id| UserSpec::new(id, "Anna", Role::SalesRep);
        let account = AccountSpec::new("acme", "12345678", "t").user(spec("1")).user(spec("2"));
        let account = Account::new(account, 1);
        let removed = || {
            let moment = Moment { step: 0, started: std::time::UNIX_EPOCH, speed: 0.0 };
            let state = account.state(moment);
            [0, 1].map(|user| {
                [&state["users"][user]["id"], &state["users"][user]["removed"]].map(Value::clone)
            })
        };
        account.now().user("1").unwrap().spec.removed = true;
        assert!(account.now().user("1").is_none());
        assert_eq!(json!(removed()), json!([["1", true], ["2", false]]));
        account.add(spec("1"), 1);
        assert!(account.now().user("1").is_some());
        assert_eq!(json!(removed()), json!([["1", false], ["2", false]]));
    }
}
