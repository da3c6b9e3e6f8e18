//! One user of an account at run time: who it is, and what its counter shows.
//!
//! [`User`] is read by `account`, which knows the user's [`Standing`]; the state behind its lock is
//! held for a moment and never across an await.

use std::sync::Mutex;

use serde::Serialize;
use serde_json::Value;

use super::channels::Standing;
use super::model::Trajectory;
use super::spec::{Pinned, Role, UserSpec};
use super::world::lock;

/// A user as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its role where no channel has another one for it.
    pub role: Role,
    /// What a request for the counter gets.
    pub counter: Value,
    /// What a request for the counter gets as its type.
    #[serde(rename = "type")]
    pub kind: Value,
    /// Whether the counter was set rather than simulated.
    pub pinned: bool,
    /// Whether the API no longer knows the user.
    pub removed: bool,
}

/// One user at run time.
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) phone: Option<String>,
    pub(super) team: Option<String>,
    pub(super) role: Role,
    pub(super) new_clients: bool,
    /// Its place among the users, in the order they were first added.
    pub(super) place: usize,
    now: Mutex<Now>,
}

struct Now {
    trajectory: Trajectory,
    pinned: Option<Pinned>,
    /// What the counter showed when the last of the user's channels fell silent.
    still: Option<Pinned>,
    removed: bool,
}

impl Now {
    fn reading(&mut self, step: u64, standing: Standing) -> Pinned {
        if let Some(pinned) = &self.pinned {
            return pinned.clone();
        }
        match standing {
            Standing::Without => self.simulated(step, Role::None),
            Standing::Working(role) => {
                self.still = None;
                self.simulated(step, role)
            }
            Standing::Still(role) => {
                let still = self.still.take().unwrap_or_else(|| self.simulated(step, role));
                self.still.insert(still).clone()
            }
        }
    }

    fn simulated(&mut self, step: u64, role: Role) -> Pinned {
        self.trajectory.advance(step);
        let (counter, kind) = self.trajectory.value(role);
        Pinned { counter: counter.into(), kind: kind.into() }
    }
}

impl User {
    pub(super) fn new(spec: UserSpec, place: usize, trajectory: Trajectory) -> Self {
        let UserSpec { id, name, phone, role, roles: _, new_clients, team, pinned } = spec;
        let now = Mutex::new(Now { trajectory, pinned, still: None, removed: false });
        Self { id, name, phone, team, role, new_clients, place, now }
    }

    /// The counter and type to answer at `step`.
    pub(super) fn reading(&self, step: u64, standing: Standing) -> Pinned {
        lock(&self.now).reading(step, standing)
    }

    /// Sets the counter, or lets it be simulated again.
    pub(super) fn pin(&self, pinned: Option<Pinned>) {
        lock(&self.now).pinned = pinned;
    }

    pub(super) fn remove(&self) {
        lock(&self.now).removed = true;
    }

    pub(super) fn removed(&self) -> bool {
        lock(&self.now).removed
    }

    pub(super) fn state(&self, step: u64, standing: Standing) -> UserState {
        let mut now = lock(&self.now);
        let Pinned { counter, kind } = now.reading(step, standing);
        UserState {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
            counter,
            kind,
            pinned: now.pinned.is_some(),
            removed: now.removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        let spec = UserSpec::new("1", "Anna", Role::SalesRep);
        User::new(spec, 0, Trajectory::new(1, "acme", "1"))
    }

    #[test]
    fn a_pin_hides_the_simulated_counter_and_gives_it_back() {
        let (user, working) = (user(), Standing::Working(Role::SalesRep));
        let before = user.reading(0, working);
        user.pin(Some(Pinned { counter: Value::Null, kind: "mauve".into() }));
        assert_eq!(user.reading(900, working).counter, Value::Null);
        user.pin(None);
        assert_eq!(user.reading(0, working), before);
    }

    #[test]
    fn a_counter_stands_still_with_its_channels_and_goes_on_with_them() {
        let (user, twin) = (user(), user());
        let (working, still) = (Standing::Working(Role::SalesRep), Standing::Still(Role::SalesRep));
        let before = user.reading(100, working);
        let hours = 1_000;
        assert_ne!(twin.reading(hours, working), before, "else there is nothing to see");
        assert_eq!(user.reading(100, still), before);
        assert_eq!(user.reading(hours, still), before);
        assert_eq!(user.reading(hours, working), twin.reading(hours, working));
        assert_eq!(user.reading(hours, Standing::Without).counter, 0);
    }
}
