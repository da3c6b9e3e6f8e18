//! What upstream answers when asked for a user's counter.
//!
//! A [`Reading`] is made only by [`upstream`](crate::upstream) from a well-formed answer, so a number
//! in it is a number that Wazzup24 said. [`Reading::shown`] is the one place that decides which
//! figures such an answer justifies.

/// Largest counter that is accepted: above it a gauge (a 64-bit float) would no longer be exact.
pub const COUNT_MAX: u64 = 1 << 53;

/// Whose customers the unanswered messages of a counter are.
///
/// One user has one counter with one type at a time (docs/upstream.md, "Unanswered counter").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterType {
    /// The user is responsible for the customers; only red notifies.
    Red,
    /// The user only looks on.
    Grey,
    /// Neither word: upstream said `null` or something never documented.
    Other,
}

/// One good answer to "how many messages wait for this user's reply".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Unanswered messages over all chats of the user, at most [`COUNT_MAX`].
    pub count: u64,
    /// The type of the counter.
    pub kind: CounterType,
    /// The server's clock in unix seconds, where the answer carried it.
    pub server_time: Option<i64>,
}

/// The figures that a reading justifies; `None` means: nothing is known, show no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Messages of the user's own customers.
    pub red: Option<u64>,
    /// Messages the user only looks on.
    pub grey: Option<u64>,
    /// Messages of an unknown type.
    pub other: Option<u64>,
}

impl CounterType {
    /// The value of the label `type`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Grey => "grey",
            Self::Other => "other",
        }
    }
}

impl Reading {
    /// Splits the one counter into the figures per type.
    ///
    /// A known type carries the counter and the other one is 0, because a user has only one of
    /// them. Zero messages are zero of either type. Messages of an unknown type are neither red nor
    /// grey, and claiming 0 for these would be a guess.
    pub fn shown(&self) -> Shown {
        match (self.kind, self.count) {
            (CounterType::Red, count) => Shown::known(count, 0),
            (CounterType::Grey, count) => Shown::known(0, count),
            (CounterType::Other, 0) => Shown::known(0, 0),
            (CounterType::Other, count) => Shown { red: None, grey: None, other: Some(count) },
        }
    }
}

impl Shown {
    /// No figure at all: the user has no live reading.
    pub const NOTHING: Self = Self { red: None, grey: None, other: None };

    fn known(red: u64, grey: u64) -> Self {
        Self { red: Some(red), grey: Some(grey), other: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(count: u64, kind: CounterType) -> Shown {
        Reading { count, kind, server_time: None }.shown()
    }

    #[test]
    fn the_reported_type_carries_the_counter_and_the_other_is_zero() {
        assert_eq!(shown(5, CounterType::Red), Shown { red: Some(5), grey: Some(0), other: None });
        assert_eq!(shown(5, CounterType::Grey), Shown { red: Some(0), grey: Some(5), other: None });
    }

    #[test]
    fn an_unknown_type_is_neither_red_nor_grey() {
        assert_eq!(shown(5, CounterType::Other), Shown { red: None, grey: None, other: Some(5) });
    }

    #[test]
    fn zero_of_an_unknown_type_is_zero_of_both() {
        assert_eq!(
            shown(0, CounterType::Other),
            Shown { red: Some(0), grey: Some(0), other: None }
        );
    }
}
