//! Tests of the exporter as a whole: over real sockets, against the simulated API.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod account_files;
mod architecture;
mod cli;
mod crowds;
mod deploy;
mod docs;
mod doctor;
mod failures;
mod golden;
mod history;
mod lists;
mod login;
mod logs;
mod methods;
mod network;
mod partners;
mod polling;
mod prefix;
mod recovery;
mod relays;
mod reload;
mod reset;
mod reset_cli;
mod reset_crash;
mod running_config;
mod secrets;
mod shards;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod tokens;
mod tokens_crash;
mod tokens_oauth;
mod web;
mod web_config;
mod web_config_reload;
mod web_config_tls;
