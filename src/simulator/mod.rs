//! A simulated Wazzup24 API, for the demo, for running by hand and for tests over loopback.
//!
//! [`Settings`] say what is simulated: [`Settings::demo`] and [`Settings::load`] are ready-made.
//! [`Simulator`] runs them: it serves any listener, and lets a test pin counters, take users away,
//! break things with [`Fault`]s and read the [`Log`] of requests. Nothing here is shared
//! with the client that it is tested against: the wire format is written down a second time, so
//! that one mistake cannot make both ends agree.
//!
//! The server speaks plain HTTP and, with [`Settings::control`], takes commands from any client that can
//! reach it. Keeping it on loopback is the caller's responsibility.
//!
//! Reading order: `settings`, `spec`, `channels`, `shapes` and `partner` say what is simulated;
//! `model` how counters move; `user`, `account` and `world` are it at run time; `endpoint` and `api`
//! take requests; `lists`, `v3` and `answer` hold what is answered, `oauth`, `authorize` and `tokens`
//! what it takes to be answered; then `fault` and `fault_text`, `record`, and `handle`, which is the
//! [`Simulator`] itself, with `control` and `server`. `presets` are ready-made, `yaml` and `files`
//! configure an exporter for them.

mod account;
mod answer;
mod api;
mod authorize;
mod channels;
mod control;
mod endpoint;
mod fault;
mod fault_text;
mod files;
#[cfg(test)]
mod fixtures;
mod handle;
mod latency;
mod lists;
mod lock;
mod model;
mod oauth;
mod partner;
mod presets;
mod rate_limit;
mod record;
mod rng;
mod server;
mod settings;
mod shapes;
mod spec;
#[cfg(test)]
mod test_client;
mod tokens;
mod user;
mod v3;
mod world;
mod yaml;

pub use channels::ChannelSpec;
pub use endpoint::Endpoint;
pub use fault::Fault;
pub use fault_text::FaultError;
pub use files::WriteError;
pub use handle::Simulator;
pub use latency::{Latency, LatencyError};
pub use partner::{Login, PartnerSpec, TokenQuirk};
pub use rate_limit::RateLimit;
pub use record::{AccountCounts, Counts, Log, PartnerCounts, Request};
pub use settings::Settings;
pub use shapes::{ChannelsShape, SettingsShape, Shapes, UsersShape};
pub use spec::{Access, AccountSpec, Credential, Discovery, Pinned, Role, UserSpec};
pub use world::Unknown;
