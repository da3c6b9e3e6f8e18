//! What the tests under `tests/` share; `it`, `e2e` and `load` include it by path, and none uses all of it.
//!
//! `wait` has the only loop that waits, [`wait::until`]. An exporter runs as a process ([`exporter`]) or inside the
//! test ([`daemon`]); the API that it polls runs inside the test ([`upstream`]).

#![allow(dead_code, reason = "each of the including targets uses a part of it")]

pub(crate) mod daemon;
pub(crate) mod exporter;
pub(crate) mod files;
pub(crate) mod generated;
pub(crate) mod hanging_fs;
pub(crate) mod http;
pub(crate) mod mount;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod samples;
pub(crate) mod upstream;
pub(crate) mod wait;
