//! Reads the counters of unanswered messages of Wazzup24's users and shows them to Prometheus.
//!
//! This library serves the binary `wazzup-exporter`, its tests and benches; it makes no promise of
//! stability. The modules in the order in which a newcomer may read them:
//!
//! 1. What it is about: [`account`] (identity and settings), [`counter`] (what upstream answers),
//!    [`channel`] (what a counter rests on), [`config`] (YAML into accounts, with the located errors
//!    of [`yaml`]), [`schedule`] (when to poll, when a reading is stale) and [`clock`].
//! 2. How a figure comes about: [`upstream`] asks the API, held back by [`limit`]; a [`poller`] per
//!    account sweeps over its users and writes them into its slot in [`snapshot`], rendered by
//!    [`exposition`].
//! 3. What keeps it running: [`supervisor`], [`health`], [`shutdown`], [`systemd`] as the one who watches,
//!    [`storage`] for what must survive the process, [`metrics`] about itself, and [`reload`], which is
//!    asked through [`control`].
//! 4. The one thing that it changes upstream: [`control`] carries the wish, [`reset`] distrusts it.
//! 5. How it is seen: [`http`]; why it may mislead: [`doctor`]; and [`app`], the only place that wires things.
//! 6. [`simulator`], an API to try it on, which shares nothing with the rest.

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
pub mod health;
pub mod http;
pub mod limit;
pub mod metrics;
pub mod net;
pub mod poller;
pub mod reload;
pub mod reset;
pub mod schedule;
pub mod shutdown;
pub mod simulator;
pub mod snapshot;
pub mod storage;
pub mod supervisor;
pub mod systemd;
pub mod text;
pub mod transport;
pub mod web_config;
pub mod yaml;
