//! Reads the counters of unanswered messages of Wazzup24's users and shows them to Prometheus.

pub mod account;
pub mod config;
pub mod counter;
pub mod schedule;
pub mod simulator;
