//! Tests of the program against the programs that read it: Prometheus, promtool, an independent
//! parser of OpenMetrics, curl, nginx, and a browser. `make test` installs them; plain `cargo test` leaves these out.
//!
//! The exporter runs as a process of its own, the simulated API in the test, which thus knows what
//! every figure has to be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod alerting;
mod browser;
mod dashboards;
mod documents;
mod exporter;
mod figures;
mod formats;
mod guarded;
mod login;
mod manual;
mod negotiation;
mod page;
#[allow(dead_code, reason = "what it holds for the tests in one process is not needed here")]
#[path = "../it/pki.rs"]
mod pki;
mod process;
mod prometheus;
mod proxy;
mod reset;
mod screenshots;
mod series;
#[allow(dead_code, reason = "what it holds for the tests in one process is not needed here")]
#[path = "../it/support.rs"]
mod support;
