//! The only place that wires things: from a configuration to a running exporter.
//!
//! [`Daemon::bind`] opens everything that can fail, [`Daemon::run`] runs until shutdown. [`poll_once`]
//! makes one sweep without listening anywhere, [`diagnose`] checks why counters may mislead, [`Login`]
//! logs a customer in, [`healthcheck`] and [`request_reset`] call a daemon that runs elsewhere. The binary
//! uses these, and so do tests.

mod components;
mod daemon;
mod doctor;
mod error;
mod healthcheck;
mod listen;
mod listeners;
mod login;
mod options;
mod poll;
mod reset;
mod sampling;
mod web_reload;

pub use self::daemon::{Daemon, TaskPanicked};
pub use self::doctor::diagnose;
pub use self::error::CommandError;
pub use self::healthcheck::healthcheck;
pub use self::listen::{BindError, InvalidListenAddress, ListenAddress};
pub use self::listeners::check_admin;
pub use self::login::Login;
pub use self::options::{Options, StartError};
pub use self::poll::{PollReport, poll_once};
pub use self::reset::{ResetAnswer, request_reset, reset_client, reset_history};
pub use self::sampling::SAMPLING_PERIOD;
pub use crate::http::{InvalidPrefix, Prefix, is_site_path};
