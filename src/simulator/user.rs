//! One user of an account at run time: who it is, and what its counter shows.
//!
//! `account` holds the [`User`]s and knows the channels from which, together with the user's roles, it
//! follows how a counter moves.

use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::channels::ChannelSpec;
use super::model::{Moment, Trajectory};
use super::spec::{Pinned, Role, UserSpec};

/// One user at run time.
pub(super) struct User {
    /// What can be set is set here.
    pub(super) spec: UserSpec,
    /// When the API begins to know it; `None` is never.
    arrives: Option<Instant>,
    trajectory: Trajectory,
    /// What was shown when the last of the user's channels fell silent.
    still: Option<CounterView>,
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

impl User {
    pub(super) fn new(spec: UserSpec, trajectory: Trajectory) -> Self {
        let arrives = Instant::now().checked_add(spec.arrives_after);
        Self { spec, arrives, trajectory, still: None }
    }

    /// Whether it is time for the API to know the user.
    pub(super) fn arrived(&self) -> bool {
        self.arrives.is_some_and(|arrives| arrives <= Instant::now())
    }

    /// Whether the API knows the user.
    pub(super) fn present(&self) -> bool {
        !self.spec.removed && self.arrived()
    }

    pub(super) fn role_on(&self, channel: &ChannelSpec) -> Role {
        self.spec.roles.get(&channel.id).copied().unwrap_or(self.spec.role)
    }

    /// The role that decides the counter, and whether the counter moves: with a role only on channels
    /// that receive nothing it does not.
    fn counting(&self, channels: &[ChannelSpec]) -> (Role, bool) {
        let present = channels.iter().filter(|channel| !channel.deleted);
        let roles = present.map(|channel| (self.role_on(channel), channel.receives()));
        let mut roles = roles.filter(|(role, _)| *role != Role::None);
        let Some(first) = roles.next() else { return (Role::None, true) };
        if first.1 { first } else { roles.find(|(_, receives)| *receives).unwrap_or(first) }
    }

    /// What to answer about the user's counter.
    pub(super) fn view(&mut self, channels: &[ChannelSpec], moment: Moment) -> CounterView {
        let mut view = match &self.spec.pinned {
            Some(pinned) => {
                CounterView { reading: pinned.clone(), last_message: None, simulated: false }
            }
            None => self.simulated(channels, moment),
        };
        view.last_message = self.spec.last_message.or(view.last_message);
        view
    }

    fn simulated(&mut self, channels: &[ChannelSpec], moment: Moment) -> CounterView {
        let (role, moves) = self.counting(channels);
        if !moves && let Some(still) = &self.still {
            return still.clone();
        }
        self.trajectory.advance(moment.step);
        let (counter, kind) = self.trajectory.value(role);
        let arrived = self.trajectory.arrived.filter(|_| role != Role::None);
        let view = CounterView {
            reading: Pinned { counter: counter.into(), kind: kind.into() },
            last_message: arrived.map(|step| moment.time_of(step)),
            simulated: true,
        };
        self.still = (!moves).then(|| view.clone());
        view
    }

    /// Clears the counter. One that was set stays set, to 0 of its type.
    pub(super) fn clear(&mut self, moment: Moment) {
        self.trajectory.advance(moment.step);
        self.trajectory.counter = 0;
        let still = self.still.as_mut().map(|still| &mut still.reading);
        for reading in self.spec.pinned.iter_mut().chain(still) {
            reading.counter = 0.into();
        }
    }

    /// All of it as it is now, with the counter as a request for it gets it.
    pub(super) fn state(&mut self, channels: &[ChannelSpec], moment: Moment) -> Value {
        let Pinned { counter, kind } = self.view(channels, moment).reading;
        let UserSpec { id, name, role, pinned, removed, .. } = &self.spec;
        json!({"id": id, "name": name, "role": role, "counter": counter, "type": kind,
            "pinned": pinned.is_some(), "removed": removed})
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn user() -> User {
        let spec = UserSpec::new("1", "Anna", Role::SalesRep);
        User::new(spec, Trajectory::new(1, "acme", "1"))
    }

    fn channels(states: &[&str]) -> Vec<ChannelSpec> {
        let channel = |(number, state): (usize, &&str)| {
            ChannelSpec::new(&number.to_string(), "whatsapp").state(state)
        };
        states.iter().enumerate().map(channel).collect()
    }

    fn at(step: u64) -> Moment {
        Moment { step, started: UNIX_EPOCH, speed: 10.0 }
    }

    #[test]
    fn a_role_counts_where_a_channel_works() {
        let channels = channels(&["phoneUnavailable", "active"]);
        let counting = |own, on_active: Option<Role>| {
            let spec = UserSpec::new("7", "Boris", own);
            let spec = on_active.map_or(spec.clone(), |role| spec.role_on("1", role));
            User::new(spec, Trajectory::new(1, "acme", "7")).counting(&channels)
        };
        assert_eq!(counting(Role::Manager, None), (Role::Manager, true));
        assert_eq!(counting(Role::None, None), (Role::None, true));
        assert_eq!(counting(Role::Manager, Some(Role::None)), (Role::Manager, false));
        assert_eq!(counting(Role::None, Some(Role::SalesRep)), (Role::SalesRep, true));
        assert_eq!(counting(Role::Manager, Some(Role::SalesRep)), (Role::SalesRep, true));
        let mut gone = channels.clone();
        gone[1].deleted = true;
        assert_eq!(user().counting(&gone), (Role::SalesRep, false));
        assert_eq!(user().counting(&[]), (Role::None, true));
    }

    #[test]
    fn a_pin_hides_the_simulated_counter_and_gives_it_back() {
        let (mut user, active) = (user(), channels(&["active"]));
        let before = user.view(&active, at(0));
        let pinned = Pinned { counter: Value::Null, kind: "mauve".into() };
        user.spec.pinned = Some(pinned.clone());
        let expected = CounterView { reading: pinned, last_message: None, simulated: false };
        assert_eq!(user.view(&active, at(900)), expected);
        user.spec.pinned = None;
        assert_eq!(user.view(&active, at(0)), before);
    }

    #[test]
    fn a_counter_stands_still_with_its_channels_and_goes_on_with_them() {
        let (mut user, mut twin) = (user(), user());
        let (working, silent) = (channels(&["active"]), channels(&["qridle"]));
        let before = user.view(&working, at(100));
        assert_ne!(twin.view(&working, at(1_000)), before, "else there is nothing to see");
        assert_eq!(user.view(&silent, at(100)), before);
        assert_eq!(user.view(&silent, at(1_000)), before);
        assert_eq!(user.view(&working, at(1_000)), twin.view(&working, at(1_000)));
        let nothing = user.view(&[], at(1_000));
        assert_eq!((nothing.reading.counter, nothing.last_message), (0.into(), None));
    }

    #[test]
    fn clearing_reaches_a_counter_that_is_set_or_stands_still() {
        let (mut user, silent) = (user(), channels(&["qridle"]));
        for step in 0..2_000 {
            if user.view(&channels(&["active"]), at(step)).reading.counter != 0 {
                break;
            }
        }
        assert_ne!(user.view(&silent, at(2_000)).reading.counter, 0);
        user.clear(at(2_000));
        assert_eq!(user.view(&silent, at(2_000)).reading.counter, 0);
        user.spec.pinned = Some(Pinned { counter: 5.into(), kind: "grey".into() });
        user.clear(at(2_000));
        assert_eq!(user.spec.pinned, Some(Pinned { counter: 0.into(), kind: "grey".into() }));
    }

    #[test]
    fn the_last_message_can_be_set() {
        let (mut user, active) = (user(), channels(&["active"]));
        let simulated = user.view(&active, at(900)).last_message;
        assert!(simulated.is_some_and(|last| last < UNIX_EPOCH + Duration::from_mins(15)));
        user.spec.last_message = Some(UNIX_EPOCH);
        assert_eq!(user.view(&active, at(900)).last_message, Some(UNIX_EPOCH));
    }
}
