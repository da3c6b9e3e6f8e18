//! The users: whether they exist, have roles and can receive messages; and the clock, which comes with
//! the first counter.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt as _};

use super::account::{SKEW_MAX, answer_remedy};
use super::examination::Examination;
use super::report::{Check, Findings, named};
use crate::account::{Api, Auth, UserId};
use crate::api::{CounterResponse, ListedUser};
use crate::channel::Role;
use crate::metrics::Outcome;
use crate::snapshot::UntrustedReason;
use crate::transport::Error;

/// Most users whose counters are read.
const QUERIED_MAX: usize = 50;

/// The users whose counters are not good.
#[derive(Default)]
struct Counters {
    unknown: Vec<String>,
    untyped: Vec<String>,
    failed: Vec<String>,
    /// Why the first of them has failed.
    failure: Option<Error>,
}

impl Examination<'_> {
    pub(super) async fn check_users(&mut self, asked: Option<&UserId>) {
        let listed = self.timed(self.client.users()).await;
        let forbidden = matches!(&listed, Err(error) if error.outcome() == Outcome::Forbidden);
        match listed {
            Ok(users) => {
                if let Some(rows) = users.unreadable.words() {
                    let words = format!("the list of users has rows that cannot be read: {rows}");
                    let remedy = "report the shape of these rows; their users are not polled";
                    self.findings.problem(Check::Access, words, remedy);
                }
                self.choose_users(users.list);
            }
            // The counter will fail for the same reason, with a better message.
            Err(_) if forbidden && self.account.api == Api::V3 => {}
            Err(error) => {
                let words = format!("the list of users cannot be read: {error}");
                if self.account.discovery.is_some() {
                    self.findings.problem(Check::Users, words, answer_remedy(error.outcome()));
                } else {
                    self.findings.unknown(Check::Users, words);
                }
            }
        }
        if self.check_one_counter(forbidden).await {
            let unknown = self.check_counters(asked).await;
            self.check_roles(&unknown).await;
        }
    }

    /// Reads one counter: whether that is allowed, and what the clock says.
    async fn check_one_counter(&mut self, no_list: bool) -> bool {
        let Some(user) = self.polled.iter().find_map(|id| UserId::parse(id).ok()) else {
            let remedy = "list users, or switch on discover_users";
            self.findings.problem(Check::Users, "there is no user to poll", remedy);
            return false;
        };
        let Ok(token) = self.client.token().await else { return false };
        match self.timed(self.client.counter(&token, &user)).await {
            Ok(CounterResponse { reading, asked, .. }) => {
                match reading.server_time {
                    None => self.findings.unknown(Check::Clock, "v3 does not report the time"),
                    Some(theirs) => {
                        check_clock(asked.unix.as_secs_f64() - theirs as f64, &mut self.findings);
                    }
                }
                true
            }
            // Anything may answer without a body.
            Err(error)
                if error.is_unknown_user()
                    && (error.is_of_the_api() || !self.listed.is_empty()) =>
            {
                true
            }
            Err(error) => {
                let remedy = answer_remedy(error.outcome());
                if error.outcome() != Outcome::Forbidden || !no_list {
                    let words = format!("the counter of user {user} cannot be read: {error}");
                    self.findings.problem(Check::Access, words, remedy);
                } else if self.has_api_key() {
                    let words = "the key may read channels, but neither users nor counters: it is a \
                                 key of a CRM's integration (Sidecar)";
                    self.findings.problem(Check::Access, words, "use the account's own API key");
                } else {
                    let words = "the token may read neither users nor counters";
                    self.findings.problem(Check::Access, words, remedy);
                }
                false
            }
        }
    }

    fn has_api_key(&self) -> bool {
        let given = !matches!(self.account.auth, Auth::Partner(_) | Auth::OAuth { .. });
        self.account.api == Api::V3 && given
    }

    /// Reads counters, first those of `asked`, if it is given, and of users missing from the list, which may not
    /// be complete. Returns the users that the account does not have.
    async fn check_counters(&mut self, asked: Option<&UserId>) -> Vec<String> {
        let polled = self.polled.iter().filter_map(|id| UserId::parse(id).ok());
        let mut users: Vec<UserId> = polled.filter(|id| Some(id) != asked).collect();
        users.sort_by_key(|id| self.listed.contains(id.as_str()));
        users.splice(0..0, asked.cloned());
        let count = users.len();
        users.truncate(QUERIED_MAX);
        let Some(counters) = self.read_counters(&users).await else { return Vec::new() };
        let Counters { unknown, untyped, failed, failure } = counters;
        let answered =
            users.iter().map(UserId::as_str).filter(|id| !failed.iter().any(|one| one == id));
        self.note_whether_users_exist(&unknown, &answered.collect());
        if let Some(error) = failure {
            let words = format!("counters cannot be read: {}; {error}", named(&failed));
            let remedy = answer_remedy(error.outcome());
            self.findings.problem_of(failed, Check::Access, words, remedy);
        }
        if !untyped.is_empty() {
            let words = format!("counters of a type that is not known here: {}", named(&untyped));
            let remedy = UntrustedReason::UnknownType.remedy();
            self.findings.problem_of(untyped, Check::Access, words, remedy);
        }
        if count > QUERIED_MAX {
            let words = format!("only {QUERIED_MAX} of {count} counters were read");
            self.findings.unknown(Check::Access, words);
        }
        unknown
    }

    /// Nothing where there is no token.
    async fn read_counters(&self, users: &[UserId]) -> Option<Counters> {
        let mut counters = Counters::default();
        let token = self.client.token().await.ok()?;
        let read = users.iter().map(|id| self.client.counter(&token, id));
        let read = stream::iter(read).buffered(self.account.poll.concurrency);
        let mut read = read.zip(stream::iter(users));
        while let Some((answer, user)) = read.next().await {
            match answer {
                Ok(counter) if counter.reading.values().other.is_none() => {}
                Ok(_) => counters.untyped.push(user.to_string()),
                Err(error) if error.is_unknown_user() => counters.unknown.push(user.to_string()),
                Err(error) => {
                    counters.failed.push(user.to_string());
                    counters.failure.get_or_insert(error);
                }
            }
        }
        Some(counters)
    }

    /// Notes whether all configured users exist: those in the list, and those whose counter was `answered`.
    fn note_whether_users_exist(&mut self, unknown: &[String], answered: &HashSet<&str>) {
        let count = self.account.users.len();
        let ids = self.account.users.iter().map(|user| user.id.as_str());
        let unread = ids.filter(|id| !self.listed.contains(*id) && !answered.contains(id));
        let unread: Vec<String> = unread.map(str::to_owned).collect();
        if !unknown.is_empty() {
            let words = format!("not users of the account: {}", named(unknown));
            let remedy = UntrustedReason::UnknownUser.remedy();
            self.findings.problem_of(unknown.to_vec(), Check::Users, words, remedy);
        } else if !unread.is_empty() {
            let words = format!("it is not known whether these exist: {}", named(&unread));
            self.findings.unknown(Check::Users, words);
        } else if count == 0 {
            self.findings.ok(Check::Users, format!("{} users are found", self.polled.len()));
        } else {
            self.findings.ok(Check::Users, format!("all {count} configured users exist"));
        }
    }

    /// Whether all users but the `unknown` have a role, and one that messages reach.
    async fn check_roles(&mut self, unknown: &[String]) {
        match self.timed(self.client.roles()).await {
            Ok(Some(roles)) => self.channels_and_roles.roles = Some(roles.list.into()),
            Ok(None) => self.findings.unknown(Check::Roles, "v3 does not report roles"),
            Err(error) => self.findings.unknown(Check::Roles, error.to_string()),
        }
        let known = &self.channels_and_roles;
        let polled = self.polled.iter().filter(|id| !unknown.contains(id)).cloned();
        let (without, with): (Vec<_>, Vec<_>) =
            polled.partition(|id| known.of(id).role == Some(Role::None));
        let count = without.len() + with.len();
        let cut_off: Vec<_> = with.into_iter().filter(|id| known.of(id).cut_off).collect();
        let findings = &mut self.findings;
        if known.roles.is_some() && without.is_empty() {
            findings.ok(Check::Roles, format!("all {count} users have a role on a channel"));
        } else if known.roles.is_some() {
            let names = named(&without);
            let words =
                format!("without a role on any channel, so that the counter is always 0: {names}");
            findings.problem_of(without, Check::Roles, words, UntrustedReason::NoRole.remedy());
        }
        if known.channels.is_some() && cut_off.is_empty() {
            findings.ok(Check::Reach, "every user with a role has an active channel");
        } else if known.channels.is_some() {
            let words = format!(
                "none of their channels is active, so that the counter does not change: {}",
                named(&cut_off)
            );
            findings.problem_of(cut_off, Check::Reach, words, "see the channels above");
        }
    }

    /// Which users of the account's list are polled beside the configured ones, in this order.
    fn choose_users(&mut self, listed: Vec<ListedUser>) {
        if let Some(discovery) = &self.account.discovery {
            let configured = self.account.users.iter().map(|user| user.id.as_str());
            let configured: HashSet<&str> = configured.collect();
            let (valid, invalid): (Vec<_>, Vec<_>) =
                listed.iter().partition(|user| UserId::parse(&user.id).is_ok());
            self.invalid_ids = invalid.len();
            let found = valid.into_iter().filter(|user| {
                discovery.includes(&user.id, user.name.as_deref())
                    && !configured.contains(&*user.id)
            });
            let mut found: Vec<String> = found.map(|user| user.id.clone()).collect();
            found.sort_unstable();
            self.left_out = found.len().saturating_sub(discovery.max_users);
            found.truncate(discovery.max_users);
            self.polled.append(&mut found);
        }
        self.listed = listed.into_iter().map(|user| user.id).collect();
    }
}

fn check_clock(skew: f64, findings: &mut Findings) {
    if skew.abs() > SKEW_MAX {
        let side = if skew > 0.0 { "ahead of" } else { "behind" };
        let words = format!("the clock here is {:.0} s {side} that of Wazzup24", skew.abs());
        findings.problem(Check::Clock, words, "synchronize this host's clock with NTP");
    } else {
        findings.ok(Check::Clock, "agrees with that of Wazzup24");
    }
}
