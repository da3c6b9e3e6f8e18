//! The users: whether they exist, have roles and can receive messages; and the clock, which comes with
//! the first counter.

use std::collections::HashSet;

use super::account::SKEW_MAX;
use super::examination::Examination;
use super::remedies::answer_remedy;
use super::report::{Check, Finding, named};
use crate::account::{Api, Auth, UserId};
use crate::api::{CounterResponse, ListError};
use crate::channel::Role;
use crate::metrics::Outcome;
use crate::snapshot::UntrustedReason;

/// Limit of users that are queried one by one.
const QUERIED_MAX: usize = 50;

impl Examination<'_> {
    pub(super) async fn check_users(&mut self) {
        let client = self.client;
        let listed = self.timed(client.users()).await;
        let forbidden = matches!(&listed, Err(error) if error.outcome() == Outcome::Forbidden);
        match listed {
            Ok(users) => {
                if let Some(rows) = users.unreadable.words() {
                    let words = format!("the list of users has rows that cannot be read: {rows}");
                    let remedy = "report the shape of these rows; their users are not polled";
                    self.findings.push(Finding::problem(Check::Access, words, remedy));
                }
                self.listed = Some(users.list);
            }
            Err(error) => self.note_list(&error),
        }
        if !self.check_one_counter(forbidden).await {
            return;
        }
        self.check_unknown_users().await;
        self.check_roles().await;
    }

    fn note_list(&mut self, error: &ListError) {
        if error.outcome() == Outcome::Forbidden && self.account.api == Api::V3 {
            // The counter will fail for the same reason, with a better message.
            return;
        }
        let words = format!("the list of users cannot be read: {error}");
        self.findings.push(if self.account.discovery.is_some() {
            Finding::problem(Check::Users, words, answer_remedy(error.outcome()))
        } else {
            Finding::unknown(Check::Users, words)
        });
    }

    /// Reads one counter: whether that is allowed, and what the clock says.
    async fn check_one_counter(&mut self, no_list: bool) -> bool {
        let Some(user) = self.polled().into_iter().find_map(|id| UserId::parse(&id).ok()) else {
            let remedy = "list users, or switch on discover_users";
            self.findings.push(Finding::problem(Check::Users, "there is no user to poll", remedy));
            return false;
        };
        let client = self.client;
        let Ok(token) = client.token().await else { return false };
        match self.timed(client.counter(&token, &user)).await {
            Ok(CounterResponse { reading, asked, .. }) => {
                self.findings.push(match reading.server_time {
                    None => Finding::unknown(Check::Clock, "v3 does not report the time"),
                    Some(theirs) => clock(asked.unix.as_secs_f64() - theirs as f64),
                });
                true
            }
            Err(error) if error.outcome() == Outcome::NotFound => true,
            Err(error) if error.outcome() == Outcome::Forbidden && no_list => {
                let (words, remedy) = match (self.account.api, &self.account.auth) {
                    (
                        Api::V3,
                        Auth::Token(_)
                        | Auth::TokenEnv { .. }
                        | Auth::TokenFile(_)
                        | Auth::TokenCommand(_),
                    ) => (
                        "the key may read channels, but neither users nor counters: it is a key of a \
                         CRM's integration (Sidecar)",
                        "use the account's own API key",
                    ),
                    _ => (
                        "the token may read neither users nor counters",
                        answer_remedy(error.outcome()),
                    ),
                };
                self.findings.push(Finding::problem(Check::Access, words, remedy));
                false
            }
            Err(error) => {
                let words = format!("the counter of user {user} cannot be read: {error}");
                let remedy = answer_remedy(error.outcome());
                self.findings.push(Finding::problem(Check::Access, words, remedy));
                false
            }
        }
    }

    /// Configured users that the account does not have. A user missing from the list is queried, in case
    /// the list is not complete.
    async fn check_unknown_users(&mut self) {
        let known: HashSet<&str> =
            self.listed.iter().flatten().map(|user| user.id.as_str()).collect();
        let configured = self.account.users.iter().map(|user| user.id.clone());
        let missing: Vec<UserId> = configured.filter(|id| !known.contains(id.as_str())).collect();
        let Ok(token) = self.client.token().await else { return };
        let mut unknown = Vec::new();
        for id in missing.iter().take(QUERIED_MAX) {
            if let Err(error) = self.client.counter(&token, id).await
                && error.outcome() == Outcome::NotFound
            {
                unknown.push(id.to_string());
            }
        }
        let count = self.account.users.len();
        self.findings.push(if !unknown.is_empty() {
            let words = format!("configured, but not users of the account: {}", named(&unknown));
            let remedy = UntrustedReason::UnknownUser.remedy();
            Finding::problem(Check::Users, words, remedy).about(unknown)
        } else if missing.len() > QUERIED_MAX {
            Finding::unknown(Check::Users, format!("only {QUERIED_MAX} of {count} were queried"))
        } else if count == 0 {
            Finding::ok(Check::Users, format!("{} users are found", self.polled().len()))
        } else {
            Finding::ok(Check::Users, format!("all {count} configured users exist"))
        });
    }

    async fn check_roles(&mut self) {
        let client = self.client;
        match self.timed(client.roles()).await {
            Ok(Some(roles)) => self.channels_and_roles.roles = Some(roles.list.into()),
            Ok(None) => {
                self.findings.push(Finding::unknown(Check::Roles, "v3 does not report roles"));
            }
            Err(error) => {
                self.findings.push(Finding::unknown(Check::Roles, error.to_string()));
            }
        }
        let unknown: HashSet<String> = self
            .findings
            .iter()
            .filter(|finding| finding.check == Check::Users)
            .flat_map(|finding| finding.concerns.clone())
            .collect();
        let polled: Vec<String> =
            self.polled().into_iter().filter(|id| !unknown.contains(id)).collect();
        let of = |id: &String| self.channels_and_roles.of(id);
        let without: Vec<String> =
            polled.iter().filter(|id| of(id).role == Some(Role::None)).cloned().collect();
        let cut_off: Vec<String> = polled
            .iter()
            .filter(|id| of(id).cut_off && of(id).role != Some(Role::None))
            .cloned()
            .collect();
        let count = polled.len();
        if self.channels_and_roles.roles.is_some() {
            self.findings.push(if without.is_empty() {
                Finding::ok(Check::Roles, format!("all {count} users have a role on a channel"))
            } else {
                let words = format!(
                    "without a role on any channel, so that the counter is always 0: {}",
                    named(&without)
                );
                let remedy = UntrustedReason::NoRole.remedy();
                Finding::problem(Check::Roles, words, remedy).about(without)
            });
        }
        if self.channels_and_roles.channels.is_some() {
            self.findings.push(if cut_off.is_empty() {
                Finding::ok(Check::Reach, "every user with a role has an active channel")
            } else {
                let words = format!(
                    "none of their channels is active, so that the counter does not change: {}",
                    named(&cut_off)
                );
                let remedy = "see the channels above";
                Finding::problem(Check::Reach, words, remedy).about(cut_off)
            });
        }
    }

    /// The ids of the users that are polled.
    pub(super) fn polled(&self) -> Vec<String> {
        let configured = self.account.users.iter().map(|user| user.id.to_string());
        let most = self.account.discovery.as_ref().map_or(0, |discovery| discovery.max_users);
        configured.chain(self.found().into_iter().take(most)).collect()
    }

    /// The ids of discovered users beyond `max_users`, which are not polled.
    pub(super) fn left_out(&self) -> Vec<String> {
        let most = self.account.discovery.as_ref().map_or(usize::MAX, |found| found.max_users);
        self.found().into_iter().skip(most).collect()
    }

    /// How many users of the list cannot be polled, because their ids are none.
    pub(super) fn invalid_ids(&self) -> usize {
        let listed = self.listed.iter().flatten();
        listed.filter(|user| UserId::parse(&user.id).is_err()).count()
    }

    /// The ids of discovered users that are not configured, in the order in which they are polled.
    fn found(&self) -> Vec<String> {
        let Some(discovery) = &self.account.discovery else { return Vec::new() };
        let configured: HashSet<&str> =
            self.account.users.iter().map(|user| user.id.as_str()).collect();
        let listed = self.listed.iter().flatten();
        let found = listed.filter(|user| discovery.includes(&user.id, user.name.as_deref()));
        let found = found.filter(|user| !configured.contains(user.id.as_str()));
        let mut found: Vec<String> = found
            .filter(|user| UserId::parse(&user.id).is_ok())
            .map(|user| user.id.clone())
            .collect();
        found.sort_unstable();
        found
    }
}

fn clock(skew: f64) -> Finding {
    if skew.abs() > SKEW_MAX {
        let side = if skew > 0.0 { "ahead of" } else { "behind" };
        let words = format!("the clock here is {:.0} s {side} that of Wazzup24", skew.abs());
        Finding::problem(Check::Clock, words, "synchronize this host's clock with NTP")
    } else {
        Finding::ok(Check::Clock, "agrees with that of Wazzup24")
    }
}
