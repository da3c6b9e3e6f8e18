//! Reads the counters of unanswered messages of Wazzup24's users and shows them to Prometheus.
//!
//! This library serves the binary `wazzup-exporter`, its tests and benches; it makes no promise of
//! stability. The modules in the order in which a newcomer may read them:
//!
//! 1. The values: [`account`] (identity and settings), [`counter`] (what upstream answers), [`channel`]
//!    (channels and roles, on which a counter depends), [`schedule`] (when to poll, when a reading is
//!    stale) and [`clock`]. [`config`] reads YAML into accounts, with the located errors of `problems`.
//! 2. From upstream to `/metrics`: [`transport`] keeps the connections, [`auth`] the bearer tokens, and
//!    [`api`] sends the requests, each after a permit of [`limit`]. A [`poller`] per account sweeps over
//!    its users and publishes a view into its slot in [`snapshot`], rendered by [`exposition`].
//! 3. The life of the process: [`supervisor`], [`health`], [`shutdown`], [`systemd`], [`reload`],
//!    [`shard`] where several share a configuration, [`storage`] for what survives a restart, and
//!    [`metrics`] about the process itself.
//! 4. The one request that changes something upstream: [`reset`], behind its guards.
//! 5. What people and Prometheus reach: [`http`] with [`web_config`]; [`doctor`] says in words why a
//!    figure may be missing or mislead. [`app`] is the only place that wires things.
//! 6. [`simulator`]: an API for tests and demos, which shares nothing with the rest.
//!
//! The leaves [`text`], [`net`], [`files`] and [`blocking`] hold what several of these need once.
//! `tests/it/architecture.rs` holds who may import what, and that no files import each other in a circle.

pub mod account;
pub mod api;
pub mod app;
pub mod auth;
pub mod blocking;
pub mod channel;
pub mod clock;
pub mod config;
pub mod counter;
pub mod doctor;
pub mod exposition;
pub mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod health;
pub mod http;
pub mod limit;
pub mod metrics;
pub mod net;
pub mod poller;
pub mod problems;
pub mod reload;
pub mod reset;
pub mod schedule;
pub mod shard;
pub mod shutdown;
pub mod simulator;
pub mod snapshot;
pub mod storage;
pub mod supervisor;
pub mod systemd;
pub mod text;
pub mod transport;
pub mod web_config;
