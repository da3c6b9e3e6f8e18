//! A request for a reset, and the reply to it.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::Serialize;

use crate::counter::CounterType;
use crate::poller::Readings;

/// A request for a reset with a valid token; nothing else is validated yet.
pub struct ResetRequest {
    /// The declared type of the body.
    pub content_type: Option<Vec<u8>>,
    /// The body, unless it is too long or incomplete.
    pub body: Option<Bytes>,
    /// The address of the other end of the connection.
    pub caller: SocketAddr,
    /// What the client calls itself, as it came.
    pub user_agent: Option<Vec<u8>>,
}

/// The reply to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetReply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON document.
    pub body: ReplyBody,
}

/// The JSON document of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReplyBody {
    /// What happened, or why nothing did, as a code.
    pub code: &'static str,
    /// The same for people, with what to do.
    pub message: String,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its id in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The unanswered messages before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Figures>,
    /// The unanswered messages afterwards, where they could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Figures>,
    /// The status that upstream answered with, if it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// Unanswered messages over all users of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
pub struct Figures {
    /// Of customers that users are responsible for.
    pub red: u64,
    /// Of customers that users only look on.
    pub grey: u64,
    /// Of an unknown type.
    pub other: u64,
    /// All of them.
    pub total: u64,
    /// Users who were read.
    pub users: usize,
}

impl Figures {
    /// The sums over all readings. The total is an upper bound: one message may count for several users.
    pub(super) fn of(readings: &Readings) -> Self {
        let mut figures = Self { users: readings.len(), ..Self::default() };
        for (_, reading) in readings {
            let of_its_kind = match reading.kind {
                CounterType::Red => &mut figures.red,
                CounterType::Grey => &mut figures.grey,
                CounterType::Other => &mut figures.other,
            };
            *of_its_kind = of_its_kind.saturating_add(reading.count);
            figures.total = figures.total.saturating_add(reading.count);
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::UserId;
    use crate::counter::Reading;

    #[test]
    fn the_total_is_of_every_kind() {
        let user = |id: &str, count, kind| {
            let reading = Reading { count, kind, server_time: None, last_message: None };
            (UserId::parse(id).unwrap(), reading)
        };
        let figures = Figures::of(&vec![
            user("1", 5, CounterType::Red),
            user("2", 7, CounterType::Grey),
            user("3", 11, CounterType::Other),
            user("4", 2, CounterType::Red),
        ]);
        assert_eq!(figures, Figures { red: 7, grey: 7, other: 11, total: 25, users: 4 });
    }
}
