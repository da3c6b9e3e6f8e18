//! Messages with replies, by which outsiders ask the running exporter for something.
//!
//! Whoever listens (http) sends them, whoever does the work (reset) answers; neither knows the other.

pub mod reset;
