//! A simulated Wazzup24 v2 API, for the demo, for running by hand and for tests over loopback.
//!
//! [`Settings`] say what is simulated: [`Settings::demo`] and [`Settings::load`] are ready-made.
//! [`Simulator`] runs them: it serves any listener, and lets a test pin counters, take users away,
//! break things with [`Fault`]s and look at the [`Log`] of what was asked. Nothing here is shared
//! with the client that it is tested against: the wire format is written down a second time, so
//! that one mistake cannot make both ends agree.
//!
//! The server speaks plain HTTP and, with [`Settings::control`], takes orders from anybody who can
//! reach it. Keeping it on loopback is the caller's responsibility.
//!
//! Reading order: `settings`, `model` (how counters move), `world` (the accounts at run time),
//! `api` (what is answered), `fault` and `fault_text`, `record` (the log), `server`, `control`,
//! and `handle`, which is the [`Simulator`] itself. `presets` and `yaml` serve the demo.

mod answer;
mod api;
mod control;
mod fault;
mod fault_text;
mod handle;
mod model;
mod presets;
mod record;
mod rng;
mod server;
mod settings;
#[cfg(test)]
mod test_client;
mod world;
mod yaml;

pub use fault::{Fault, FaultKind};
pub use fault_text::FaultError;
pub use handle::Simulator;
pub use record::{AccountCounts, Counts, Log, Request};
pub use settings::{
    Access, AccountSpec, Latency, LatencyError, Pinned, RateLimit, Role, Settings, UserSpec,
};
pub use world::{AccountState, Unknown, UserState};
