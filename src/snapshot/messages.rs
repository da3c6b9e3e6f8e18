//! What the reasons mean and what to do about them: the sentences of the status page and the doctor. The runbooks
//! have them in tables, which a test compares.

use super::{FailingReason, UntrustedReason};

impl FailingReason {
    /// What is wrong; `api` is what does not answer as it should.
    pub fn meaning(self, api: &str) -> String {
        let text = match self {
            Self::Unauthorized => "Wazzup24 refuses the account's token.",
            Self::Forbidden => "The account's token may not read counters.",
            Self::LoginNeeded => {
                "The customer's login has ended, and nothing else can give a token."
            }
            Self::RateLimited => "Wazzup24 reports too many requests with this token.",
            Self::Unreachable => return format!("There is no answer from {api}."),
            Self::ServerError => return format!("{api} reports an error of its own."),
            Self::Malformed => {
                return format!("The responses of {api} are not those of the Wazzup24 API.");
            }
            Self::Storage => {
                "The account's tokens cannot be stored, and are not used without that."
            }
        };
        text.to_owned()
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "Give it a valid token: the old one has expired, was revoked, or is for another API. A new one in \
                 a token file is picked up within five minutes."
            }
            Self::Forbidden => {
                "Use a token that may read this of the account, or ask Wazzup24 to allow it."
            }
            Self::LoginNeeded => {
                "Run `wazzup-exporter login` for the account and let the customer log in."
            }
            Self::RateLimited => {
                "Look for other programs that use the token, or set a lower rate_limit or a longer interval."
            }
            Self::Unreachable => {
                "Check network, firewall and proxy between this machine and Wazzup24."
            }
            Self::ServerError => {
                "Usually this is temporary. If it persists, ask Wazzup24's support."
            }
            Self::Malformed => {
                "Check base_url and proxy_url: another server may answer in place of Wazzup24."
            }
            Self::Storage => {
                "See the log: make room on the disk, stop the other process that uses --storage.path, or see why \
                 the disk does not respond."
            }
        }
    }
}

impl UntrustedReason {
    /// Why the counter may not count.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NoRole => "Without a role on any channel the counter is always 0.",
            Self::NoActiveChannel => {
                "No message reaches the user, because none of the channels is active: the counter does not change."
            }
            Self::UnknownUser => "Wazzup24 does not know this user.",
            Self::UnknownType => "Wazzup24 reports a type that is neither red nor grey.",
            Self::NotKnown => {
                "Channels or roles cannot be read, so it is not known whether the counter means anything."
            }
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoRole => "Give a role on a channel in Wazzup24, or do not poll the user.",
            Self::NoActiveChannel => "Connect a channel in Wazzup24.",
            Self::UnknownUser => "Correct the id, or remove the user from the configuration.",
            Self::UnknownType => "Report it as an issue of the exporter.",
            Self::NotKnown => "See why the list cannot be read.",
        }
    }
}
