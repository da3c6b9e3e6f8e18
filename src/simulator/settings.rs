//! What a simulator is made of: accounts, speed, limit and faults, as plain data.
//!
//! [`Settings`] is filled in by the command line, by tests, or by the presets `Settings::demo` and
//! `Settings::load`, and consumed by `Simulator::new`. Accounts are described in `spec`.

use super::fault::Fault;
use super::latency::Latency;
use super::partner::PartnerSpec;
use super::rate_limit::RateLimit;
use super::spec::AccountSpec;

/// Everything a simulator needs to start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The accounts. Of two with the same name or token the first one is found.
    pub accounts: Vec<AccountSpec>,
    /// The partners whose logins the tokens of some accounts come from. Of two with the same name or
    /// user name the first one is found.
    pub partners: Vec<PartnerSpec>,
    /// The same seed gives the same day.
    pub seed: u64,
    /// Simulated seconds per real second; 0 stands still.
    pub speed: f64,
    /// Delay of every answer.
    pub latency: Latency,
    /// Faults that apply from the start.
    pub faults: Vec<Fault>,
    /// Whether `/_control/` answers. It needs no credential, so the listener should then be on
    /// loopback; that is the caller's responsibility.
    pub control: bool,
    /// How many requests a credential may make.
    pub limit: RateLimit,
    /// How many requests the log remembers; 0 switches it off.
    pub log_capacity: usize,
}

impl Default for Settings {
    /// No accounts and no partners, real time, no faults, the documented limit.
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            partners: Vec::new(),
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
