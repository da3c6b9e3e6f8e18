//! Why an account cannot be read, and why a counter may not count; what that means and what to do about it, as
//! phrases of the status page, the doctor and the runbooks. A test compares the latter.

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

impl FailingReason {
    /// What is wrong; `api` is what does not answer as it should.
    pub fn meaning(self, api: &str) -> String {
        let text = match self {
            Self::Unauthorized => "Wazzup24 refuses the account's token",
            Self::Forbidden => "the account's token may not read counters",
            Self::LoginNeeded => {
                "the customer's login has ended, and nothing else can give a token"
            }
            Self::RateLimited => "Wazzup24 reports too many requests with this token",
            Self::Unreachable => return format!("there is no answer from {api}"),
            Self::ServerError => return format!("a server error is reported by {api}"),
            Self::Malformed => {
                return format!("the responses of {api} are not those of the Wazzup24 API");
            }
            Self::Storage => "the account's tokens cannot be stored, and are not used without that",
        };
        text.to_owned()
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "give it a valid token: the old one has expired, was revoked, or is for another API. A new one in \
                 a token file is picked up within half a minute"
            }
            Self::Forbidden => "use a token that may read this, or ask Wazzup24 to allow it",
            Self::LoginNeeded => {
                "run `wazzup-exporter login` for the account and let the customer log in"
            }
            Self::RateLimited => {
                "look for other programs that use the token, or set a lower rate_limit or a longer interval"
            }
            Self::Unreachable => {
                "check network, firewall and proxy between this machine and Wazzup24"
            }
            Self::ServerError => {
                "usually this is temporary; if it persists, ask Wazzup24's support"
            }
            Self::Malformed => {
                "check base_url and proxy_url: another server may answer in place of Wazzup24"
            }
            Self::Storage => {
                "see the log: make room on the disk, stop the other process that uses --storage.path, or see why \
                 the disk does not respond"
            }
        }
    }
}

impl UntrustedReason {
    /// Why the counter may not count.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NoRole => "without a role on any channel the counter is always 0",
            Self::NoActiveChannel => {
                "no message reaches the user, because none of the channels is active, and the counter does not change"
            }
            Self::UnknownUser => "Wazzup24 does not know this user",
            Self::UnknownType => "Wazzup24 reports a type that is neither red nor grey",
            Self::NotKnown => {
                "channels or roles cannot be read, so it is not known whether the counter means anything"
            }
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoRole => "give a role on a channel in Wazzup24, or do not poll the user",
            Self::NoActiveChannel => "connect a channel in Wazzup24",
            Self::UnknownUser => "correct the id, or remove the user from the configuration",
            Self::UnknownType => "report it as an issue of the exporter",
            Self::NotKnown => "see why the list cannot be read",
        }
    }
}
