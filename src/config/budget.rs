//! Whether upstream's limit has room for what the accounts want to ask.
//!
//! Accounts with the same credential share one limit. [`check`] judges those of one file, and
//! [`admission`](super::admission) those that share one with another file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{Account, Credential, RateLimit};

use crate::problems::place::Spot;
use crate::problems::report::Report;
use crate::text;

/// Share of a limit that may be planned for. The rest is for what no plan foresees: the windows of
/// upstream are not ours, and a refused request costs a pause of all.
const USABLE: f64 = 0.97;
/// Longest interval that is suggested; no longer one can be configured.
const INTERVAL_MAX: Duration = Duration::from_hours(24);
/// The unit of short suggestions.
const TICK: Duration = Duration::from_millis(100);
/// From here on suggestions are whole seconds.
const SHORT: Duration = Duration::from_secs(10);
/// Most accounts that a message names.
const NAMED_MAX: usize = 5;

/// An account and where it stands.
pub(super) struct Placed {
    pub(super) account: Arc<Account>,
    /// What a message about it starts with: `accounts[0] "acme"`.
    pub(super) words: String,
    pub(super) spot: Spot,
    /// Where its own `rate_limit` stands, if it has one.
    pub(super) rate_limit: Option<Spot>,
}

/// What one account asks of a limit: a request for each user in each interval.
#[derive(Debug, Clone, Copy)]
struct Demand {
    users: usize,
    interval: Duration,
}

/// Accounts that share a limit, because they have the same credential; in the order of the file, because of
/// many problems only the first are reported.
pub(super) fn groups<A: AsRef<Account>>(accounts: &[A]) -> Vec<(Credential, Vec<&A>)> {
    let mut groups: Vec<(Credential, Vec<&A>)> = Vec::new();
    let mut places = HashMap::new();
    for account in accounts {
        let credential = account.as_ref().credential();
        let place = *places.entry(credential.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(account),
            None => groups.push((credential, vec![account])),
        }
    }
    groups
}

impl AsRef<Account> for Placed {
    fn as_ref(&self) -> &Account {
        &self.account
    }
}

/// What these accounts, the only ones of a process, want to ask beyond their limits.
pub fn over_budget(accounts: &[Arc<Account>]) -> Vec<String> {
    let problem =
        |group: Vec<&Arc<Account>>| Some(format!("{}: {}", names(&group), overdrawn(&group)?));
    groups(accounts).into_iter().filter_map(|(_, group)| problem(group)).collect()
}

/// Notes every group of accounts that cannot be served.
pub(super) fn check(accounts: &[Placed], report: &mut Report) {
    for (_, group) in groups(accounts) {
        if let Some(first) = group.first() {
            check_group(&group, first, report);
        }
    }
}

/// Notes a group of accounts with one credential that cannot be served; `at` is where their sum is
/// noted, one of them.
pub(super) fn check_group(group: &[&Placed], at: &Placed, report: &mut Report) {
    let Some((first, others)) = group.split_first() else { return };
    let limit = first.account.rate_limit;
    let mut agreed = true;
    for other in others.iter().filter(|other| other.account.rate_limit != limit) {
        agreed = false;
        let message = format!(
            "{}: rate_limit differs from that of {:?}, which has the same token and so shares one \
             limit with it; write the same for both; the other one is at {}",
            other.words,
            first.account.name.as_str(),
            first.rate_limit.as_ref().unwrap_or(&first.spot)
        );
        report.problem(other.rate_limit.as_ref().unwrap_or(&other.spot), message);
    }
    if !agreed {
        return;
    }
    if let Some(problem) = overdrawn(group) {
        report.problem(&at.spot, format!("{}: {problem}", at.words));
    }
}

/// What is wrong with a group of accounts that have one limit, if it has no room for all of them.
fn overdrawn<A: AsRef<Account>>(group: &[&A]) -> Option<String> {
    let limit = group.first()?.as_ref().rate_limit;
    let demand =
        |account: &Account| Demand { users: users(account), interval: account.poll.interval };
    let demands: Vec<Demand> = group.iter().map(|one| demand(one.as_ref())).collect();
    (!fits(&demands, Duration::ZERO, limit)).then(|| explain(group, &demands, limit))
}

/// Users that may have to be read: those who are found may be as many as is allowed.
fn users(account: &Account) -> usize {
    account.users.len() + account.discovery.as_ref().map_or(0, |found| found.max_users)
}

/// The numbers and the remedy.
fn explain<A: AsRef<Account>>(group: &[&A], demands: &[Demand], limit: RateLimit) -> String {
    let (needed, allowed) = (rate(demands, Duration::ZERO), usable(limit));
    let needed = number(needed, f64::ceil);
    let discovers = group.iter().any(|one| one.as_ref().discovery.is_some());
    let who = match (group, demands) {
        ([_], [demand]) => {
            let users = if demand.users == 1 { "user" } else { "users" };
            let found = if discovers { ", those to be found included," } else { "" };
            format!(
                "{} {users}{found} every {} need {needed}",
                demand.users,
                text::duration(demand.interval)
            )
        }
        _ => format!("{} have the same token and together need {needed}", names(group)),
    };
    let (requests, per, share) = (limit.requests, text::duration(limit.per), limit.share);
    let allowed = number(allowed, f64::floor);
    let part = if share < 100 { format!("{share}% of ") } else { String::new() };
    let limit_words = format!("{part}the limit, {requests} per {per}, allows {allowed}/s");
    let remedy = match suggest(demands, limit) {
        Some(interval) if group.len() == 1 => {
            format!("raise poll.interval to {} or more", text::duration(interval))
        }
        Some(interval) => {
            let short = group.iter().filter(|one| one.as_ref().poll.interval < interval);
            let short: Vec<&A> = short.copied().collect();
            format!(
                "raise poll.interval of {} to {} or more",
                names(&short),
                text::duration(interval)
            )
        }
        None => "poll fewer users, or correct rate_limit".to_owned(),
    };
    let fewer = if discovers { ", or lower discover_users.max_users" } else { "" };
    let whole = RateLimit { share: 100, ..limit };
    let raise =
        if fits(demands, Duration::ZERO, whole) { ", or raise rate_limit.share" } else { "" };
    format!("{who} requests/s; {limit_words}: {remedy}{fewer}{raise}")
}

fn names<A: AsRef<Account>>(group: &[&A]) -> String {
    text::names(group.iter().map(|one| one.as_ref().name.as_str()), NAMED_MAX)
}

/// The shortest interval for all of them when none has a shorter one.
fn suggest(demands: &[Demand], limit: RateLimit) -> Option<Duration> {
    let (mut low, mut high) = (0, ticks(INTERVAL_MAX));
    if !fits(demands, INTERVAL_MAX, limit) {
        return None;
    }
    // `high` always fits, `low` never.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(demands, TICK * middle, limit) { high = middle } else { low = middle }
    }
    let exact = TICK * high;
    Some(if exact < SHORT { exact } else { Duration::from_secs_f64(exact.as_secs_f64().ceil()) })
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX)
}

/// Whether the limit has room when no interval is shorter than `least`.
fn fits(demands: &[Demand], least: Duration, limit: RateLimit) -> bool {
    rate(demands, least) <= usable(limit)
}

/// Requests per second when no interval is shorter than `least`; falls as that grows.
fn rate(demands: &[Demand], least: Duration) -> f64 {
    let one = |demand: &Demand| demand.users as f64 / demand.interval.max(least).as_secs_f64();
    demands.iter().map(one).sum()
}

/// Requests per second that may be planned for.
fn usable(limit: RateLimit) -> f64 {
    limit.usable() * USABLE / limit.per.as_secs_f64()
}

/// A rate with at least three digits that matter, rounded away from the other side.
fn number(rate: f64, round: fn(f64) -> f64) -> String {
    let digits = (2.0 - rate.log10().floor()).clamp(0.0, 6.0) as i32;
    let unit = 10_f64.powi(digits);
    // What lies on a boundary shall not cross it by an error of the last bit.
    let nearest = (rate * unit).round();
    let rounded = if (rate * unit - nearest).abs() < 1e-6 { nearest } else { round(rate * unit) };
    format!("{}", rounded / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every(users: usize, seconds: f64) -> Demand {
        Demand { users, interval: Duration::from_secs_f64(seconds) }
    }

    fn limit(requests: u32, seconds: f64) -> RateLimit {
        RateLimit { requests, per: Duration::from_secs_f64(seconds), share: 100 }
    }

    #[test]
    fn our_share_of_the_limit_of_upstream_has_room_for_58_requests_a_second() {
        let ours = RateLimit::default();
        assert!(fits(&[every(1746, 30.0)], Duration::ZERO, ours));
        assert!(!fits(&[every(1747, 30.0)], Duration::ZERO, ours));
    }

    #[test]
    fn the_limit_of_upstream_has_room_for_97_requests_a_second() {
        let upstream = RateLimit { share: 100, ..RateLimit::default() };
        assert!(fits(&[every(2910, 30.0)], Duration::ZERO, upstream));
        assert!(!fits(&[every(2911, 30.0)], Duration::ZERO, upstream));
        assert!(fits(&[every(1000, 30.0), every(1910, 30.0)], Duration::ZERO, upstream));
        assert!(!fits(&[every(1000, 30.0), every(1911, 30.0)], Duration::ZERO, upstream));
    }

    #[test]
    fn the_shortest_interval_that_works_is_suggested() {
        let upstream = RateLimit { share: 100, ..RateLimit::default() };
        for (demands, seconds) in [
            (&[every(6000, 30.0)][..], 62.0),
            (&[every(20, 0.1)], 0.3),
            (&[every(970, 9.0)], 10.0),
            (&[every(971, 9.0)], 11.0),
            // What is polled rarely enough already is left alone.
            (&[every(50_000, 86_400.0), every(3_100, 30.0)], 33.0),
        ] {
            let expected = Duration::from_secs_f64(seconds);
            assert_eq!(suggest(demands, upstream), Some(expected), "{demands:?}");
        }
        assert_eq!(suggest(&[every(100, 30.0)], limit(1, 3600.0)), None);
    }

    #[test]
    fn rates_are_rounded_so_that_what_is_refused_looks_refused() {
        assert_eq!(number(200.0, f64::ceil), "200");
        assert_eq!(number(97.0, f64::floor), "97");
        assert_eq!(number(97.000_1, f64::ceil), "97.1");
        assert_eq!(number(96.999, f64::floor), "96.9");
        assert_eq!(number(0.97 / 3600.0, f64::floor), "0.000269");
        assert_eq!(number(1e9, f64::floor), "1000000000");
    }

    fn demands() -> impl Strategy<Value = Vec<Demand>> {
        let demand = (0_usize..100_000, 100_u64..86_400_000)
            .prop_map(|(users, millis)| Demand { users, interval: Duration::from_millis(millis) });
        proptest::collection::vec(demand, 1..6)
    }

    proptest! {
        #[test]
        fn a_suggested_interval_is_always_accepted_and_never_needed_where_all_fits(
            demands in demands(), requests in 1_u32..=100_000, per in 100_u64..=3_600_000,
            share in 1_u8..=100,
        ) {
            let limit = RateLimit { requests, per: Duration::from_millis(per), share };
            if let Some(interval) = suggest(&demands, limit) {
                prop_assert!(interval >= TICK && interval <= INTERVAL_MAX);
                let raised: Vec<Demand> = demands.iter().map(|demand| Demand {
                    interval: demand.interval.max(interval), ..*demand
                }).collect();
                prop_assert!(fits(&raised, Duration::ZERO, limit));
                let unit = if interval <= SHORT { TICK } else { Duration::from_secs(1) };
                let shorter = interval.saturating_sub(unit);
                if !shorter.is_zero() && !fits(&demands, Duration::ZERO, limit) {
                    prop_assert!(!fits(&demands, shorter, limit));
                }
            } else {
                prop_assert!(!fits(&demands, INTERVAL_MAX, limit));
            }
        }
    }
}
