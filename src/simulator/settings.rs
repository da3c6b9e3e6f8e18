//! What a simulator is made of: accounts, users, speed, limit and faults, as plain data.
//!
//! [`Settings`] is filled in by the command line, by tests, or by the presets `Settings::demo` and
//! `Settings::load`, and consumed by `Simulator::new`. [`Latency`] is also a flag value.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::Fault;

/// Everything a simulator needs to start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The accounts. Of two with the same name or token the first one is found.
    pub accounts: Vec<AccountSpec>,
    /// The same seed gives the same day.
    pub seed: u64,
    /// Simulated seconds per real second; 0 stands still.
    pub speed: f64,
    /// Delay of every answer.
    pub latency: Latency,
    /// Faults that apply from the start.
    pub faults: Vec<Fault>,
    /// Whether `/_control/` answers. It asks for no credential, so the listener should then be on
    /// loopback; that is the caller's responsibility.
    pub control: bool,
    /// How many requests a token may make.
    pub limit: RateLimit,
    /// How many requests the log remembers; 0 switches it off.
    pub log_capacity: usize,
}

impl Default for Settings {
    /// No accounts, real time, no faults, the documented limit.
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            seed: 1,
            speed: 1.0,
            latency: Latency::default(),
            faults: Vec::new(),
            control: false,
            limit: RateLimit::default(),
            log_capacity: 1_000_000,
        }
    }
}

/// One customer's account.
#[derive(Clone)]
pub struct AccountSpec {
    /// The name it has in the exporter's configuration.
    pub name: String,
    /// Eight digits.
    pub account_id: String,
    /// The bearer token that selects the account.
    pub token: String,
    /// How its token is treated.
    pub access: Access,
    /// Labels for the exporter's configuration.
    pub labels: BTreeMap<String, String>,
    /// The users, in the order they are shown.
    pub users: Vec<UserSpec>,
}

impl AccountSpec {
    /// An account with normal access and no users.
    pub fn new(name: &str, account_id: &str, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            account_id: account_id.to_owned(),
            token: token.to_owned(),
            access: Access::Normal,
            labels: BTreeMap::new(),
            users: Vec::new(),
        }
    }

    /// The same account with one more user.
    #[must_use]
    pub fn user(mut self, user: UserSpec) -> Self {
        self.users.push(user);
        self
    }
}

impl fmt::Debug for AccountSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AccountSpec")
            .field("name", &self.name)
            .field("account_id", &self.account_id)
            .field("token", &"<secret>")
            .field("access", &self.access)
            .field("labels", &self.labels)
            .field("users", &self.users)
            .finish()
    }
}

/// How the API treats an account's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Answers.
    #[default]
    Normal,
    /// 401, as for a token nobody knows.
    Revoked,
    /// 403.
    Forbidden,
}

/// One user of an account.
#[derive(Debug, Clone)]
pub struct UserSpec {
    /// Any string; the path carries it percent-encoded.
    pub id: String,
    /// The name shown in the exporter's configuration.
    pub name: String,
    /// The role, which decides the counter's type.
    pub role: Role,
    /// The label `team` in the exporter's configuration.
    pub team: Option<String>,
    /// A fixed value in place of the simulated one.
    pub pinned: Option<Pinned>,
}

impl UserSpec {
    /// A user whose counter is simulated.
    pub fn new(id: &str, name: &str, role: Role) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), role, team: None, pinned: None }
    }

    /// The same user on a team.
    #[must_use]
    pub fn team(mut self, team: &str) -> Self {
        self.team = Some(team.to_owned());
        self
    }

    /// The same user with a fixed counter.
    #[must_use]
    pub fn pinned(mut self, counter: u64, kind: &str) -> Self {
        self.pinned = Some(Pinned { counter: counter.into(), kind: kind.into() });
        self
    }
}

/// A user's role on the account's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The counter is always red.
    SalesRep,
    /// The counter is red or grey and turns every few simulated minutes.
    Manager,
    /// The counter is always grey.
    QualityControl,
    /// No role on any channel: the counter is always 0.
    None,
}

/// A counter answered as it stands, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pinned {
    /// `data.counter`, normally a number.
    pub counter: Value,
    /// `data.type`: normally a word, but null and unknown words have been seen.
    #[serde(rename = "type")]
    pub kind: Value,
}

/// How many requests one token may make in each fixed window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per window.
    pub requests: u32,
    /// Length of a window; windows follow each other without a gap from the simulator's start.
    pub window: Duration,
    /// Whether a 429 carries `Retry-After`. The documentation promises none.
    pub retry_after: bool,
}

impl RateLimit {
    /// No limit.
    pub const UNLIMITED: Self =
        Self { requests: u32::MAX, window: Duration::from_secs(1), retry_after: false };
}

impl Default for RateLimit {
    /// The documented limit: 500 requests every 5 seconds.
    fn default() -> Self {
        Self { requests: 500, window: Duration::from_secs(5), retry_after: false }
    }
}

/// A delay, uniform between two bounds. Written as `100ms`, or as a range `10ms..300ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// The shortest delay.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let latency = Self { min: duration(min)?, max: duration(max)? };
        if latency.min > latency.max {
            return Err(LatencyError::Reversed(text.to_owned()));
        }
        Ok(latency)
    }
}

/// Why a [`Latency`] could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// Not a number with a unit.
    #[error("`{0}` is not a duration; write a number with us, ms, s or m, as in `10ms..300ms`")]
    Duration(String),
    /// The first bound is above the second.
    #[error("`{0}` starts above its end")]
    Reversed(String),
}

fn duration(text: &str) -> Result<Duration, LatencyError> {
    let bad = || LatencyError::Duration(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_latencies() {
        let ms = Duration::from_millis;
        assert_eq!("10ms..0.3s".parse(), Ok(Latency { min: ms(10), max: ms(300) }));
        assert_eq!("2s".parse(), Ok(Latency { min: ms(2_000), max: ms(2_000) }));
        assert_eq!("500us..1m".parse(), Ok(Latency { min: ms(1) / 2, max: ms(60_000) }));
    }

    #[test]
    fn says_which_part_of_a_latency_is_wrong() {
        let error = |text: &str| text.parse::<Latency>().unwrap_err();
        assert_eq!(error("10ms..5h"), LatencyError::Duration("5h".into()));
        assert_eq!(error("..5s"), LatencyError::Duration(String::new()));
        assert_eq!(error("-1s"), LatencyError::Duration("-1s".into()));
        assert_eq!(error("2s..1s"), LatencyError::Reversed("2s..1s".into()));
    }

    #[test]
    fn debug_output_hides_tokens() {
        let settings = Settings {
            accounts: vec![AccountSpec::new("acme", "12345678", "hush-hush")],
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
