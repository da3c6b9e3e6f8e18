//! How one user's counter of unanswered messages moves through the simulated day.
//!
//! [`Trajectory`] is a pure function of (seed, account, user, simulated step), advanced when the user is
//! read; the role only chooses the type word. Customers' messages arrive as a Poisson process with the office's
//! hours, replies leave as another one during working hours, and both are cut into fixed steps of
//! [`STEP_SECONDS`], so the path does not depend on when or how often it is looked at.
//!
//! Every simulated day is a working day. The simulation starts at 10:00, and at each 18:00 the
//! counters are cleared down to a chat or two and the generator starts afresh from the day's number.
//! Catching up after a long silence therefore begins at the last 18:00 and never costs more than
//! the steps of one day, whatever the silence.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::rng;
use super::spec::Role;

/// Simulated seconds per step.
pub(super) const STEP_SECONDS: u64 = 10;
const STEPS_PER_HOUR: u64 = 3_600 / STEP_SECONDS;
const STEPS_PER_DAY: u64 = 24 * STEPS_PER_HOUR;
/// The hour at which the simulation starts.
const START_HOUR: u64 = 10;
const OPENING_HOUR: u64 = 9;
const CLOSING_HOUR: u64 = 18;

/// How busy customers are in each hour of the day, relative to the peak.
const BUSYNESS: [f64; 24] = [
    0.03, 0.02, 0.02, 0.02, 0.02, 0.03, 0.06, 0.15, 0.45, 0.85, 1.0, 1.0, 0.9, 0.8, 0.9, 1.0, 1.0,
    0.9, 0.5, 0.35, 0.3, 0.2, 0.12, 0.06,
];
/// Messages an hour at the peak, drawn once per user.
const ARRIVALS_PER_HOUR: (f64, f64) = (8.0, 30.0);
/// Replies per arriving message, drawn once per user. A reply answers two messages on average, so
/// all of it keeps the counter low during the day, some only just.
const REPLIES_PER_ARRIVAL: (f64, f64) = (0.53, 0.8);
/// Simulated steps a manager's counter keeps one type: two to eight minutes, which is two to
/// eight seconds at the demo's speed of 60.
const TYPE_STEPS: RangeInclusive<u64> = 12..=48;

/// A moment of the simulation: its step, and what converts other steps to times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) step: u64,
    /// The wall clock's time of step 0.
    pub(super) started: SystemTime,
    /// Simulated seconds per second.
    pub(super) speed: f64,
}

impl Moment {
    /// The wall clock's time of a step; that of step 0 where time stands still.
    pub(super) fn time_of(self, step: u64) -> SystemTime {
        let seconds = step as f64 * STEP_SECONDS as f64 / self.speed;
        let after = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.started.checked_add(after).unwrap_or(self.started)
    }
}

/// One user's counter at the last step it was advanced to.
#[derive(Debug)]
pub(super) struct Trajectory {
    key: u64,
    arrival: f64,
    reply: f64,
    rng: Rng,
    /// The office day `step` lies in; days change at closing time.
    day: u64,
    step: u64,
    /// Cleared by answering everything that waits; what comes later is as it would have been.
    pub(super) counter: u64,
    red: bool,
    /// Steps until the type turns, for a manager.
    turn: u64,
    /// The step at which the last message came, unless that was before today and it was answered.
    pub(super) arrived: Option<u64>,
}

impl Trajectory {
    pub(super) fn new(seed: u64, account: &str, user: &str) -> Self {
        let mut rng = rng::named(seed, (account, user));
        let key = rng.u64(..);
        let arrivals = within(ARRIVALS_PER_HOUR, rng.f64());
        let replies = arrivals * within(REPLIES_PER_ARRIVAL, rng.f64());
        let mut trajectory = Self {
            key,
            arrival: arrivals / STEPS_PER_HOUR as f64,
            reply: replies / STEPS_PER_HOUR as f64,
            rng,
            day: 0,
            step: 0,
            counter: 0,
            red: true,
            turn: 0,
            arrived: None,
        };
        trajectory.open_day(0);
        trajectory
    }

    /// Moves on to `step`; an earlier step changes nothing.
    pub(super) fn advance(&mut self, step: u64) {
        let day = day_of(step);
        if day > self.day {
            self.open_day(day);
        }
        while self.step < step {
            self.tick();
        }
    }

    /// The counter and its type word for a user with this role.
    pub(super) const fn value(&self, role: Role) -> (u64, &'static str) {
        match role {
            Role::None => (0, "red"),
            Role::SalesRep => (self.counter, "red"),
            Role::QualityControl => (self.counter, "grey"),
            Role::Manager => (self.counter, if self.red { "red" } else { "grey" }),
        }
    }

    fn open_day(&mut self, day: u64) {
        self.rng = rng::named(self.key, day);
        self.day = day;
        self.step = first_step(day);
        // The first day begins in the middle of the morning, with unanswered messages.
        self.counter = self.rng.u64(0..=if day == 0 { 9 } else { 2 });
        self.arrived = (self.counter > 0).then_some(self.step);
        self.red = self.rng.bool();
        self.turn = self.rng.u64(TYPE_STEPS);
    }

    fn tick(&mut self) {
        let hour = hour_of(self.step);
        let busyness = BUSYNESS.get(hour as usize).copied().unwrap_or(0.0);
        // A step is short enough that two arrivals within one may count as one.
        if self.rng.f64() < self.arrival * busyness {
            self.counter += 1;
            self.arrived = Some(self.step);
        }
        let working = (OPENING_HOUR..CLOSING_HOUR).contains(&hour);
        if working && self.counter > 0 && self.rng.f64() < self.reply {
            self.counter = self.counter.saturating_sub(self.rng.u64(1..=3));
        }
        self.turn = self.turn.saturating_sub(1);
        if self.turn == 0 {
            self.red = !self.red;
            self.turn = self.rng.u64(TYPE_STEPS);
        }
        self.step += 1;
    }
}

fn within((low, high): (f64, f64), unit: f64) -> f64 {
    low + (high - low) * unit
}

const fn hour_of(step: u64) -> u64 {
    (step / STEPS_PER_HOUR + START_HOUR) % 24
}

/// The number of closing times passed at `step`.
const fn day_of(step: u64) -> u64 {
    (step.saturating_add((START_HOUR + 24 - CLOSING_HOUR) * STEPS_PER_HOUR)) / STEPS_PER_DAY
}

const fn first_step(day: u64) -> u64 {
    (day * STEPS_PER_DAY).saturating_sub((START_HOUR + 24 - CLOSING_HOUR) * STEPS_PER_HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = STEPS_PER_DAY;

    fn user() -> Trajectory {
        Trajectory::new(42, "acme", "7")
    }

    fn at(trajectory: &mut Trajectory, step: u64) -> (u64, &'static str) {
        trajectory.advance(step);
        trajectory.value(Role::Manager)
    }

    fn with_arrival(trajectory: &mut Trajectory, step: u64) -> (u64, &'static str, Option<u64>) {
        let (counter, kind) = at(trajectory, step);
        (counter, kind, trajectory.arrived)
    }

    #[test]
    fn same_seed_gives_the_same_day_however_it_is_polled() {
        let mut every_step = user();
        let all: Vec<_> = (0..3 * DAY).map(|step| with_arrival(&mut every_step, step)).collect();
        for stride in [7, 360, 2_881, DAY + 1] {
            let mut sparse = user();
            for step in (0..3 * DAY).step_by(stride as usize) {
                let seen = with_arrival(&mut sparse, step);
                assert_eq!(seen, all[step as usize], "step {step} by {stride}");
            }
        }
    }

    #[test]
    fn other_seeds_and_users_have_other_days() {
        let day = |seed, user| {
            let mut trajectory = Trajectory::new(seed, "acme", user);
            (0..DAY).map(|step| at(&mut trajectory, step)).collect::<Vec<_>>()
        };
        assert_ne!(day(1, "7"), day(2, "7"));
        assert_ne!(day(1, "7"), day(1, "8"));
    }

    #[test]
    fn a_counter_above_zero_has_a_last_message() {
        let mut seller = user();
        let mut last = at(&mut seller, 0).0;
        for step in 1..2 * DAY {
            let now = at(&mut seller, step).0;
            let arrived = seller.arrived;
            assert!(arrived.is_some() || now == 0, "step {step}");
            assert!(arrived.is_none_or(|arrived| arrived <= step), "step {step}");
            assert!(now <= last || arrived >= Some(step - 1), "step {step}");
            last = now;
        }
    }

    #[test]
    fn types_follow_the_role() {
        let types = |role| {
            let mut trajectory = user();
            let mut seen: Vec<_> = (0..DAY)
                .map(|step| {
                    trajectory.advance(step);
                    trajectory.value(role).1
                })
                .collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(types(Role::SalesRep), ["red"]);
        assert_eq!(types(Role::QualityControl), ["grey"]);
        assert_eq!(types(Role::Manager), ["grey", "red"]);
    }

    #[test]
    fn a_manager_turns_within_its_longest_dwell() {
        let mut manager = user();
        let mut last_turn = 0;
        let mut kind = manager.value(Role::Manager).1;
        for step in 0..2_000 {
            let now = at(&mut manager, step).1;
            if now != kind {
                (last_turn, kind) = (step, now);
            }
            assert!(step - last_turn <= *TYPE_STEPS.end(), "still {kind} at step {step}");
        }
    }

    #[test]
    fn without_a_role_the_counter_is_always_zero() {
        let mut user_without_role = user();
        for step in 0..2 * DAY {
            user_without_role.advance(step);
            assert_eq!(user_without_role.value(Role::None), (0, "red"));
        }
    }

    #[test]
    fn unanswered_messages_build_up_overnight() {
        let (night, morning) = (12 * STEPS_PER_HOUR, 23 * STEPS_PER_HOUR);
        for id in 0..20 {
            let mut seller = Trajectory::new(1, "acme", &id.to_string());
            let mut last = at(&mut seller, night).0;
            for step in night..morning {
                let now = at(&mut seller, step).0;
                assert!(now >= last, "a reply at night, step {step}");
                last = now;
            }
            assert!(last > 0, "nothing arrived overnight");
        }
    }

    #[test]
    fn a_long_silence_costs_at_most_one_day() {
        let mut seller = user();
        let far = 1_000_000 * DAY + 17;
        assert!(far - first_step(day_of(far)) < DAY);
        seller.advance(far);
        assert_eq!((seller.step, seller.day), (far, day_of(far)));
    }

    #[test]
    fn an_earlier_step_changes_nothing() {
        let mut seller = user();
        let now = at(&mut seller, 5_000);
        assert_eq!(at(&mut seller, 10), now);
    }
}
