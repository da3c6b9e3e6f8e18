//! The role of a user on a channel, which decides the type of the user's counter.

use serde::{Deserialize, Serialize};

/// A user's role on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The counter is always red.
    SalesRep,
    /// The counter is red or grey and turns every few simulated minutes.
    Manager,
    /// The counter is always grey.
    QualityControl,
    /// No role. A user who has none on any channel has a counter of 0.
    None,
}
