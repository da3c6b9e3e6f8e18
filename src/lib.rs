//! Reads the counters of unanswered messages of Wazzup24's users and shows them to Prometheus.

pub mod simulator;
