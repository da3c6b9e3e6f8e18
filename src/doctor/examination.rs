//! The examination of an account, check by check, and of one user.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::report::{Diagnosis, Findings, UserReport};
use crate::account::{Account, Api, UserId};
use crate::api::Client;
use crate::channel::ChannelsAndRoles;

/// The findings about an account so far.
pub(super) struct Examination<'a> {
    pub(super) client: &'a Client,
    pub(super) account: &'a Account,
    pub(super) findings: Findings,
    pub(super) channels_and_roles: ChannelsAndRoles,
    /// The ids of the users in the account's list, if it could be read.
    pub(super) listed: HashSet<String>,
    /// The ids of the users that are polled.
    pub(super) polled: Vec<String>,
    /// How many discovered users are beyond `max_users`, and so not polled.
    pub(super) left_out: usize,
    /// How many users of the list cannot be polled, because their ids are none.
    pub(super) invalid_ids: usize,
    /// How long the responses took.
    pub(super) durations: Vec<Duration>,
}

/// Examines an account, and of its users `asked` first, if it is given.
pub async fn examine(client: &Client, account: &Account, asked: Option<&UserId>) -> Diagnosis {
    let mut examination = Examination {
        client,
        account,
        findings: Findings::default(),
        channels_and_roles: ChannelsAndRoles::default(),
        listed: HashSet::new(),
        polled: account.users.iter().map(|user| user.id.to_string()).collect(),
        left_out: 0,
        invalid_ids: 0,
        durations: Vec::new(),
    };
    examination.examine(asked).await;
    Diagnosis {
        account: account.name.to_string(),
        api: if account.api == Api::V2 { "v2" } else { "v3" },
        base_url: account.base_url.to_string(),
        findings: examination.findings.0,
        user: None,
    }
}

/// Examines one user: the raw response, the role and the channels. The caller adds the series.
pub async fn examine_user(client: &Client, user: &UserId) -> UserReport {
    let channels = client.channels().await.map(|channels| channels.list).unwrap_or_default();
    let roles = client.roles().await.ok().flatten().map(|roles| roles.list);
    let (status, answer) = match client.raw_counter(user).await {
        Ok((status, body)) => (Some(status), body),
        Err(error) => (None, error.to_string()),
    };
    let own: Vec<String> = roles
        .iter()
        .flat_map(|roles| roles.channels_of(user.as_str()))
        .map(str::to_owned)
        .collect();
    let own = own.into_iter().map(|id| match channels.iter().find(|channel| *channel.id == *id) {
        Some(channel) => {
            format!("{id} ({}, {})", channel.transport.label(), channel.state.label())
        }
        None => format!("{id} (no such channel any more)"),
    });
    UserReport {
        id: user.to_string(),
        status,
        answer,
        role: roles.as_ref().map(|roles| roles.of(user.as_str()).label()),
        channels: own.collect(),
        series: Vec::new(),
    }
}

impl Examination<'_> {
    async fn examine(&mut self, asked: Option<&UserId>) {
        if !self.check_host().await || !self.check_token().await || !self.check_channels().await {
            return;
        }
        self.check_webhooks().await;
        self.check_users(asked).await;
        self.check_limit();
        self.check_skipped();
    }

    /// Awaits a response and records how long it took.
    pub(super) async fn timed<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let answer = answer.await;
        self.durations.push(started.elapsed());
        answer
    }
}
