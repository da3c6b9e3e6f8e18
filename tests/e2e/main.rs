//! Tests of the program against the programs that read it: Prometheus, promtool, an independent
//! parser of OpenMetrics, curl, nginx, and a browser. `make test` installs them; plain `cargo test` leaves these out.
//!
//! The exporter runs as a process of its own, the simulated API in the test, which thus knows what
//! every figure has to be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod alerting;
mod attack;
mod browser;
mod dashboards;
mod documents;
mod expected;
mod figures;
mod formats;
mod frozen_disk;
mod guarded;
mod hung_connection;
mod hung_files;
mod login;
mod manual;
mod many;
mod memory;
mod negotiation;
mod nginx;
mod page;
mod paused;
mod prometheus;
mod proxy;
mod read_only_secrets;
mod reset;
mod screenshots;
mod series;
mod shards;
mod starved;
#[path = "../support/mod.rs"]
mod support;
