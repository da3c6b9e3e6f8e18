//! Reading the configuration again while the exporter runs: on SIGHUP, on request, or when it changes.
//!
//! [`run`] is the one task that does it, so that two never overlap; [`Reloads`] asks it to.

mod reloader;
mod request;

pub use self::reloader::{AppliedConfig, ConfigSource, Triggers, decline, run};
pub use self::request::{ReloadError, ReloadRequests, Reloaded, Reloads, reloads};
