//! Why an account cannot be read, and why a counter may not count.

use strum::{IntoStaticStr, VariantArray};

use crate::metrics::{Outcome, closed_lists};

/// Why no user of an account can be read: the label `reason` of `wazzup_account_failing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FailingReason {
    /// The token is missing, wrong, ended or revoked.
    Unauthorized,
    /// The token may not read counters.
    Forbidden,
    /// The customer has to log in again, nothing else can give a token.
    LoginNeeded,
    /// Upstream says that the limit is passed.
    RateLimited,
    /// No response.
    Unreachable,
    /// Upstream answers 5xx.
    ServerError,
    /// Upstream answers something that is not its API.
    Malformed,
    /// What has to survive a restart cannot be stored or read: a full or hung disk, another owner.
    Storage,
}

/// Why a user's counter may not count: the label `reason` of `wazzup_user_untrusted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum UntrustedReason {
    /// The user has no role on any channel, so the counter is always 0.
    NoRole,
    /// No message can reach the user, because none of the channels is active.
    NoActiveChannel,
    /// Upstream does not know the user.
    UnknownUser,
    /// Upstream reports a type that is neither red nor grey.
    UnknownType,
    /// Roles or channels are wanted and not known, so none of the other reasons can be excluded.
    NotKnown,
}

closed_lists!(FailingReason, UntrustedReason);

impl FailingReason {
    /// The reason that a request's outcome would be if every user shared it; `None` for a success
    /// and for what concerns one user only.
    pub fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Ok | Outcome::NotFound => None,
            Outcome::Unauthorized => Some(Self::Unauthorized),
            Outcome::Forbidden => Some(Self::Forbidden),
            Outcome::RateLimited => Some(Self::RateLimited),
            Outcome::Timeout | Outcome::Connect => Some(Self::Unreachable),
            Outcome::ServerError => Some(Self::ServerError),
            Outcome::ClientError | Outcome::Malformed => Some(Self::Malformed),
        }
    }
}
