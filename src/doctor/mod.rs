//! Asks the API why counters may be missing, frozen or meaningless, and says it in words.
//!
//! [`examine`] looks at one account from the outside in: can its host be reached, is there a token, is
//! it taken, do channels work, do the users exist and have roles, has the limit room. What is wrong
//! comes with a remedy. [`app`](crate::app) gives it the same client that a poller would use, and
//! `wazzup-exporter doctor` prints the [`Diagnosis`].

mod account;
mod people;
mod report;
mod words;

use std::time::{Duration, Instant};

use crate::account::{Account, Api, UserId};
use crate::api::{Client, ListedUser};
use crate::channel::Surroundings;

pub use self::report::{Check, Diagnosis, Finding, UserReport, Verdict};

/// What was learnt of an account so far.
struct Examination<'a> {
    client: &'a Client,
    account: &'a Account,
    findings: Vec<Finding>,
    surroundings: Surroundings,
    /// Everybody on the account's list, if it could be read.
    listed: Option<Vec<ListedUser>>,
    /// How long the answers took.
    took: Vec<Duration>,
}

/// Looks at an account.
pub async fn examine(client: &Client, account: &Account) -> Diagnosis {
    let mut examination = Examination {
        client,
        account,
        findings: Vec::new(),
        surroundings: Surroundings::default(),
        listed: None,
        took: Vec::new(),
    };
    examination.examine().await;
    Diagnosis {
        account: account.name.to_string(),
        api: if account.api == Api::V2 { "v2" } else { "v3" },
        base_url: account.base_url.to_string(),
        findings: examination.findings,
        user: None,
    }
}

/// Looks at one user: the answer as it comes, the role and the channels. The series are for the
/// caller to add.
pub async fn examine_user(client: &Client, user: &UserId) -> UserReport {
    let (channels, roles) = (client.channels().await.ok(), client.roles().await.ok().flatten());
    let (status, answer) = match client.raw_counter(user).await {
        Ok(raw) => (Some(raw.status), raw.body),
        Err(error) => (None, error.to_string()),
    };
    let own: Vec<String> = roles
        .iter()
        .flat_map(|roles| roles.channels_of(user.as_str()))
        .map(str::to_owned)
        .collect();
    let own = own.into_iter().map(|id| {
        match channels.iter().flatten().find(|channel| *channel.id == *id) {
            Some(channel) => {
                format!("{id} ({}, {})", channel.transport.label(), channel.state.label())
            }
            None => format!("{id} (no such channel any more)"),
        }
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
    async fn examine(&mut self) {
        if !self.look_at_host().await || !self.look_at_token().await {
            return;
        }
        if !self.look_at_channels().await {
            return;
        }
        self.look_at_webhooks().await;
        self.look_at_people().await;
        self.look_at_limit();
    }

    /// Waits for an answer and remembers how long it took.
    async fn timed<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        let answer = answer.await;
        self.took.push(asked.elapsed());
        answer
    }
}
