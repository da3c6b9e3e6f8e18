//! One user of an account at run time: who it is, and what its counter shows.
//!
//! [`User`] is read by `account`, which knows the user's [`CounterMode`]; the state behind its lock is
//! held for a moment and never across an await.

use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::channels::CounterMode;
use super::lock::lock;
use super::model::{Moment, Trajectory};
use super::role::Role;
use super::spec::{Pinned, UserSpec};

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
    /// When the API begins to know it; `None` is never.
    arrives: Option<Instant>,
    now: Mutex<Now>,
}

struct Now {
    trajectory: Trajectory,
    pinned: Option<Pinned>,
    last_message: Option<SystemTime>,
    /// What was shown when the last of the user's channels fell silent.
    still: Option<CounterView>,
    removed: bool,
}

/// A user's counter as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CounterView {
    pub(super) reading: Pinned,
    /// When the last message came, if there is one.
    pub(super) last_message: Option<SystemTime>,
    /// Whether the counter is not pinned.
    pub(super) simulated: bool,
}

impl Now {
    fn shown(&mut self, moment: Moment, counter_mode: CounterMode) -> CounterView {
        let mut shown = match &self.pinned {
            Some(pinned) => {
                CounterView { reading: pinned.clone(), last_message: None, simulated: false }
            }
            None => self.simulated(moment, counter_mode),
        };
        shown.last_message = self.last_message.or(shown.last_message);
        shown
    }

    fn simulated(&mut self, moment: Moment, counter_mode: CounterMode) -> CounterView {
        let (role, works) = match counter_mode {
            CounterMode::Zero => (Role::None, true),
            CounterMode::Counting(role) => (role, true),
            CounterMode::Frozen(role) => (role, false),
        };
        if !works && let Some(still) = &self.still {
            return still.clone();
        }
        self.trajectory.advance(moment.step);
        let (counter, kind) = self.trajectory.value(role);
        let arrived = self.trajectory.last_arrival().filter(|_| role != Role::None);
        let shown = CounterView {
            reading: Pinned { counter: counter.into(), kind: kind.into() },
            last_message: arrived.map(|step| moment.time_of(step)),
            simulated: true,
        };
        self.still = (!works).then(|| shown.clone());
        shown
    }
}

impl User {
    pub(super) fn new(spec: UserSpec, place: usize, trajectory: Trajectory) -> Self {
        let UserSpec {
            id,
            name,
            phone,
            role,
            roles: _,
            new_clients,
            team,
            arrives_after,
            pinned,
            last_message,
        } = spec;
        let now = Now { trajectory, pinned, last_message, still: None, removed: false };
        let now = Mutex::new(now);
        let arrives = Instant::now().checked_add(arrives_after);
        Self { id, name, phone, team, role, new_clients, place, arrives, now }
    }

    /// What to answer about the user's counter.
    pub(super) fn shown(&self, moment: Moment, counter_mode: CounterMode) -> CounterView {
        lock(&self.now).shown(moment, counter_mode)
    }

    /// Sets the counter, or lets it be simulated again.
    pub(super) fn pin(&self, pinned: Option<Pinned>) {
        lock(&self.now).pinned = pinned;
    }

    /// Clears the counter. One that was set stays set, to 0 of its type.
    pub(super) fn clear(&self, moment: Moment) {
        let mut now = lock(&self.now);
        now.trajectory.advance(moment.step);
        now.trajectory.clear();
        if let Some(pinned) = &mut now.pinned {
            pinned.counter = 0.into();
        }
        if let Some(still) = &mut now.still {
            still.reading.counter = 0.into();
        }
    }

    /// Sets when the last message came, or lets it be simulated again.
    pub(super) fn set_last_message(&self, at: Option<SystemTime>) {
        lock(&self.now).last_message = at;
    }

    pub(super) fn remove(&self) {
        lock(&self.now).removed = true;
    }

    /// Whether it is time for the API to know the user.
    pub(super) fn arrived(&self) -> bool {
        self.arrives.is_some_and(|arrives| arrives <= Instant::now())
    }

    /// Whether the API knows the user.
    pub(super) fn present(&self) -> bool {
        self.arrived() && !lock(&self.now).removed
    }

    pub(super) fn state(&self, moment: Moment, counter_mode: CounterMode) -> UserState {
        let mut now = lock(&self.now);
        let Pinned { counter, kind } = now.shown(moment, counter_mode).reading;
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
    use std::time::UNIX_EPOCH;

    use super::*;

    const WORKING: CounterMode = CounterMode::Counting(Role::SalesRep);
    const STILL: CounterMode = CounterMode::Frozen(Role::SalesRep);

    fn user() -> User {
        let spec = UserSpec::new("1", "Anna", Role::SalesRep);
        User::new(spec, 0, Trajectory::new(1, "acme", "1"))
    }

    fn at(step: u64) -> Moment {
        Moment { step, started: UNIX_EPOCH, speed: 10.0 }
    }

    #[test]
    fn a_pin_hides_the_simulated_counter_and_gives_it_back() {
        let user = user();
        let before = user.shown(at(0), WORKING);
        let pinned = Pinned { counter: Value::Null, kind: "mauve".into() };
        user.pin(Some(pinned.clone()));
        let expected = CounterView { reading: pinned, last_message: None, simulated: false };
        assert_eq!(user.shown(at(900), WORKING), expected);
        user.pin(None);
        assert_eq!(user.shown(at(0), WORKING), before);
    }

    #[test]
    fn a_counter_stands_still_with_its_channels_and_goes_on_with_them() {
        let (user, twin) = (user(), user());
        let before = user.shown(at(100), WORKING);
        assert_ne!(twin.shown(at(1_000), WORKING), before, "else there is nothing to see");
        assert_eq!(user.shown(at(100), STILL), before);
        assert_eq!(user.shown(at(1_000), STILL), before);
        assert_eq!(user.shown(at(1_000), WORKING), twin.shown(at(1_000), WORKING));
        let nothing = user.shown(at(1_000), CounterMode::Zero);
        assert_eq!((nothing.reading.counter, nothing.last_message), (0.into(), None));
    }

    #[test]
    fn the_last_message_can_be_set() {
        let user = user();
        let simulated = user.shown(at(900), WORKING).last_message;
        assert!(
            simulated.is_some_and(|last| last < UNIX_EPOCH + std::time::Duration::from_mins(15))
        );
        user.set_last_message(Some(UNIX_EPOCH));
        assert_eq!(user.shown(at(900), WORKING).last_message, Some(UNIX_EPOCH));
        user.set_last_message(None);
        assert_eq!(user.shown(at(900), WORKING).last_message, simulated);
    }
}
