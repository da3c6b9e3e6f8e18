//! The accounts, users and clock of a running simulation.
//!
//! [`World`] finds an account by token or name and a user by id, each in constant time; the state
//! of one user sits behind a lock of its own, held for a moment and never across an await. Answers
//! are read from here by `api` and `control`, changes come from the `Simulator` and `control`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::fault::Faults;
use super::model::{STEP_SECONDS, Trajectory};
use super::record::{Counts, Recorder, Traffic};
use super::settings::{Access, AccountSpec, Latency, Pinned, RateLimit, Role, Settings, UserSpec};

/// An account or user the simulator does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No account has this name.
    #[error("the simulator has no account `{0}`")]
    Account(String),
    /// The account has no such user, or it was removed.
    #[error("the simulator's account `{account}` has no user `{user}`")]
    User {
        /// The account's name.
        account: String,
        /// The user's id.
        user: String,
    },
}

/// An account as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountState {
    /// Its name.
    pub name: String,
    /// Eight digits.
    pub account_id: String,
    /// How its token is treated.
    pub access: Access,
    /// Its users in their first order, removed ones included.
    pub users: Vec<UserState>,
}

/// A user as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its role.
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

/// All that is shared by the connections.
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    tokens: HashMap<String, usize>,
    names: HashMap<String, usize>,
    pub(super) faults: Faults,
    pub(super) recorder: Recorder,
    pub(super) started: Instant,
    pub(super) latency: Latency,
    pub(super) limit: RateLimit,
    pub(super) control: bool,
    seed: u64,
    speed: f64,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let Settings { accounts, seed, speed, latency, faults, control, limit, log_capacity } =
            settings;
        let (mut tokens, mut names) = (HashMap::new(), HashMap::new());
        for (place, account) in accounts.iter().enumerate() {
            tokens.entry(account.token.clone()).or_insert(place);
            names.entry(account.name.clone()).or_insert(place);
        }
        Self {
            accounts: accounts.into_iter().map(|spec| Account::new(spec, seed)).collect(),
            tokens,
            names,
            faults: Faults::new(faults, seed),
            recorder: Recorder::new(log_capacity),
            started: Instant::now(),
            latency,
            limit,
            control,
            seed,
            speed,
        }
    }

    pub(super) fn by_token(&self, token: &str) -> Option<&Account> {
        self.tokens.get(token).and_then(|place| self.accounts.get(*place))
    }

    pub(super) fn account(&self, name: &str) -> Result<&Account, Unknown> {
        let account = self.names.get(name).and_then(|place| self.accounts.get(*place));
        account.ok_or_else(|| Unknown::Account(name.to_owned()))
    }

    pub(super) fn user(&self, account: &str, id: &str) -> Result<Arc<User>, Unknown> {
        let missing = || Unknown::User { account: account.to_owned(), user: id.to_owned() };
        self.account(account)?.user(id).ok_or_else(missing)
    }

    pub(super) fn add_user(&self, account: &str, spec: UserSpec) -> Result<(), Unknown> {
        self.account(account)?.add(spec, self.seed);
        Ok(())
    }

    pub(super) fn remove_user(&self, account: &str, id: &str) -> Result<(), Unknown> {
        lock(&self.user(account, id)?.now).removed = true;
        Ok(())
    }

    /// The simulated step of this moment.
    pub(super) fn step(&self) -> u64 {
        // The cast saturates, which takes care of a negative, endless or undefined speed.
        (self.started.elapsed().as_secs_f64() * self.speed / STEP_SECONDS as f64) as u64
    }

    pub(super) fn counts(&self) -> Counts {
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|account| (account.name.to_string(), account.traffic.counts()));
        Counts { accounts: accounts.collect(), ..self.recorder.counts() }
    }

    pub(super) fn state(&self) -> Vec<AccountState> {
        let step = self.step();
        let state = |account: &Account| AccountState {
            name: account.name.to_string(),
            account_id: account.id.clone(),
            access: account.access(),
            users: account.users().iter().map(|user| user.state(step)).collect(),
        };
        self.accounts.iter().map(state).collect()
    }
}

/// One account at run time.
pub(super) struct Account {
    pub(super) name: Arc<str>,
    /// Eight digits.
    pub(super) id: String,
    pub(super) token: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) traffic: Traffic,
    gate: Mutex<Gate>,
    users: RwLock<HashMap<String, Arc<User>>>,
}

struct Gate {
    access: Access,
    window: Window,
}

impl Account {
    fn new(spec: AccountSpec, seed: u64) -> Self {
        let account = Self {
            name: spec.name.into(),
            id: spec.account_id,
            token: spec.token,
            labels: spec.labels,
            traffic: Traffic::default(),
            gate: Mutex::new(Gate { access: spec.access, window: Window::default() }),
            users: RwLock::default(),
        };
        for user in spec.users {
            account.add(user, seed);
        }
        account
    }

    pub(super) fn access(&self) -> Access {
        lock(&self.gate).access
    }

    pub(super) fn set_access(&self, access: Access) {
        lock(&self.gate).access = access;
    }

    /// Counts a request against the limit. The error is the time to the next window. A revoked
    /// token has no window of its own: it is nobody's.
    pub(super) fn admit(&self, since_start: Duration, limit: &RateLimit) -> Result<(), Duration> {
        let mut gate = lock(&self.gate);
        match gate.access {
            Access::Revoked => Ok(()),
            Access::Normal | Access::Forbidden => gate.window.admit(since_start, limit),
        }
    }

    /// A user that was not removed.
    pub(super) fn user(&self, id: &str) -> Option<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.get(id).filter(|user| !user.removed()).cloned()
    }

    /// Every user, removed ones included, in the order they were first added.
    pub(super) fn users(&self) -> Vec<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let mut users: Vec<_> = users.values().cloned().collect();
        users.sort_unstable_by_key(|user| user.place);
        users
    }

    fn add(&self, spec: UserSpec, seed: u64) {
        let trajectory = Trajectory::new(seed, &self.name, &spec.id, spec.role);
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let place = users.get(&spec.id).map_or(users.len(), |user| user.place);
        let now = Mutex::new(Now { trajectory, pinned: spec.pinned, removed: false });
        let UserSpec { id, name, role, team, pinned: _ } = spec;
        let user = User { id: id.clone(), name, role, team, place, now };
        users.insert(id, Arc::new(user));
    }
}

/// One user at run time.
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) team: Option<String>,
    role: Role,
    place: usize,
    now: Mutex<Now>,
}

struct Now {
    trajectory: Trajectory,
    pinned: Option<Pinned>,
    removed: bool,
}

impl Now {
    fn reading(&mut self, step: u64) -> Pinned {
        if let Some(pinned) = &self.pinned {
            return pinned.clone();
        }
        self.trajectory.advance(step);
        let (counter, kind) = self.trajectory.value();
        Pinned { counter: counter.into(), kind: kind.into() }
    }
}

impl User {
    /// The counter and type to answer at `step`.
    pub(super) fn reading(&self, step: u64) -> Pinned {
        lock(&self.now).reading(step)
    }

    /// Sets the counter, or lets it be simulated again.
    pub(super) fn pin(&self, pinned: Option<Pinned>) {
        lock(&self.now).pinned = pinned;
    }

    pub(super) fn removed(&self) -> bool {
        lock(&self.now).removed
    }

    fn state(&self, step: u64) -> UserState {
        let mut now = lock(&self.now);
        let Pinned { counter, kind } = now.reading(step);
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

/// The requests of one token in the current fixed window.
#[derive(Debug, Default)]
struct Window {
    number: u128,
    used: u32,
}

impl Window {
    fn admit(&mut self, since_start: Duration, limit: &RateLimit) -> Result<(), Duration> {
        let length = limit.window.as_nanos().max(1);
        let now = since_start.as_nanos();
        if now / length != self.number {
            *self = Self { number: now / length, used: 0 };
        }
        if self.used < limit.requests {
            self.used += 1;
            return Ok(());
        }
        Err(Duration::from_nanos((length - now % length).try_into().unwrap_or(u64::MAX)))
    }
}

/// Locks; a panic elsewhere leaves nothing here half done, so its poison is ignored.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let account = AccountSpec::new("acme", "12345678", "t")
            .user(UserSpec::new("1", "Anna", Role::SalesRep))
            .user(UserSpec::new("2", "Boris", Role::Manager).pinned(7, "grey"));
        World::new(Settings { accounts: vec![account], speed: 0.0, ..Settings::default() })
    }

    #[test]
    fn windows_are_fixed_not_sliding() {
        let limit =
            RateLimit { requests: 2, window: Duration::from_secs(5), ..RateLimit::default() };
        let ms = Duration::from_millis;
        let mut window = Window::default();
        let admitted: Vec<_> = [4_000, 4_500, 4_900, 5_000, 5_001, 5_002, 60_000]
            .map(|at| window.admit(ms(at), &limit))
            .into();
        let expected =
            [Ok(()), Ok(()), Err(ms(100)), Ok(()), Ok(()), Err(ms(4_998)), Ok(())].to_vec();
        assert_eq!(admitted, expected);
    }

    #[test]
    fn a_removed_user_is_unknown_until_added_again() {
        let world = world();
        world.remove_user("acme", "1").unwrap();
        let unknown = Unknown::User { account: "acme".into(), user: "1".into() };
        assert_eq!(world.user("acme", "1").err(), Some(unknown.clone()));
        assert_eq!(world.remove_user("acme", "1"), Err(unknown));
        let removed = |world: &World| -> Vec<_> {
            world.state()[0].users.iter().map(|user| (user.id.clone(), user.removed)).collect()
        };
        assert_eq!(removed(&world), [("1".into(), true), ("2".into(), false)]);
        world.add_user("acme", UserSpec::new("1", "Anna", Role::SalesRep)).unwrap();
        assert_eq!(removed(&world), [("1".into(), false), ("2".into(), false)]);
    }

    #[test]
    fn a_pin_hides_the_simulated_counter_and_gives_it_back() {
        let world = world();
        let user = world.user("acme", "1").unwrap();
        let before = user.reading(0);
        user.pin(Some(Pinned { counter: Value::Null, kind: "mauve".into() }));
        assert_eq!(user.reading(900).counter, Value::Null);
        user.pin(None);
        assert_eq!(user.reading(0), before);
    }

    #[test]
    fn odd_speeds_stand_still() {
        for speed in [0.0, -3.0, f64::NAN] {
            assert_eq!(World { speed, ..world() }.step(), 0);
        }
    }
}
