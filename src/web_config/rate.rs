//! The section `rate_limit`: how many requests are answered.

use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::duration::nanoseconds;
use crate::problems::place::{At, place};
use crate::problems::scope::Scope;
use crate::problems::written::Written;

/// The section.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RateKeys {
    /// Time for one more request, as Go writes it; a bare number is nanoseconds.
    interval: Option<Spanned<Written>>,
    /// Requests at once.
    burst: Option<Spanned<Written>>,
}

/// A bucket of `burst` requests, which gets one back per `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// Time for one more request; more than nothing.
    pub interval: Duration,
    /// Requests that a full bucket holds; at 0 none is ever answered.
    pub burst: u32,
}

impl RateKeys {
    /// The limit of the section at `at`; an interval of 0 or less limits nothing.
    pub(super) fn check(&self, at: At, scope: &mut Scope<'_>) -> Option<RequestRate> {
        let nanos = self.interval.as_ref().map_or(Some(0), |written| {
            let nanos = match &written.value {
                Written::Number(nanos) => nanos.as_i64(),
                Written::String(text) => nanoseconds(text),
                _ => None,
            };
            if nanos.is_none() {
                let what = "is not a duration; write 1s, 1m30s or 200ms";
                scope.problem(place(written), "interval", what);
            }
            nanos
        });
        let burst = self.burst.as_ref().map_or(Some(0), |written| {
            // A bucket of more than that is never empty.
            if let Some(burst) = written.value.as_number().filter(|number| !number.is_f64()) {
                let burst = burst.as_u64().or(burst.is_i64().then_some(0));
                return burst.map(|burst| u32::try_from(burst).unwrap_or(u32::MAX));
            }
            let what = "is not a whole number; write one, unquoted, as 20";
            scope.problem(place(written), "burst", what);
            None
        });
        let interval = Duration::from_nanos(u64::try_from(nanos?).unwrap_or_default());
        let burst = burst?;
        if interval.is_zero() {
            return None;
        }
        if burst == 0 {
            let what = "answers every request 429, because burst is 0; write burst: 20";
            scope.warn(at, "", what);
        }
        Some(RequestRate { interval, burst })
    }
}
