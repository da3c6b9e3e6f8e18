//! The account as a whole: host, token, access, webhooks, clock, channels, limit; and what to do about
//! failures.

use std::time::Duration;

use super::examination::Examination;
use super::report::Check;
use crate::account::{Api, Auth};
use crate::auth::Token;
use crate::clock::Stamp;
use crate::metrics::Outcome;
use crate::snapshot::FailingReason;
use crate::transport::Error;

/// A fixed token that expires sooner than this is a problem.
const EXPIRES_SOON: Duration = Duration::from_hours(24);
/// Largest difference between the clocks that is no problem; upstream reports whole seconds.
pub(super) const SKEW_MAX: f64 = 10.0;
/// Share of the limit from which on it is a problem.
const TIGHT: f64 = 0.9;

impl Examination<'_> {
    /// Whether the account's address can be reached.
    pub(super) async fn check_host(&mut self) -> bool {
        let url = &self.account.base_url;
        let host = url.origin().ascii_serialization();
        if let Err(error) = self.client.check_reachable().await {
            let problem = error.to_string();
            let words = format!("{host}: {problem}");
            self.findings.problem(Check::Host, words, host_remedy(&problem));
            return false;
        }
        let good = if url.scheme() == "https" { ", and its certificate is good" } else { "" };
        self.findings.ok(Check::Host, format!("{host} answers{good}"));
        true
    }

    /// Whether there is a token.
    pub(super) async fn check_token(&mut self) -> bool {
        let auth = &self.account.auth;
        let findings = &mut self.findings;
        if let Err(error) = self.client.token().await {
            findings.problem(Check::Token, error.to_string(), token_remedy(auth));
            return false;
        }
        let end = self.client.tokens.times().expiry;
        match end.map(|end| end.saturating_sub(Stamp::now().unix)) {
            Some(Duration::ZERO) => {
                let remedy = "replace it; auth: {partner: …} or {oauth: …} renews it by itself";
                findings.problem(Check::Token, "the token has expired", remedy);
            }
            Some(left) if left < EXPIRES_SOON => {
                let left = span(left);
                let words = format!("the token expires in {left}, and then nothing can be read");
                let remedy = "auth: {partner: …} or {oauth: …} renews it by itself";
                findings.problem(Check::Token, words, remedy);
            }
            Some(left) => findings.ok(Check::Token, format!("expires in {}", span(left))),
            None if auth.renews() => {
                findings.ok(Check::Token, "there is one, and it is renewed automatically");
            }
            None => findings.ok(Check::Token, "there is one; its expiry is not known"),
        }
        true
    }

    /// Whether the token is accepted and the channels are active.
    pub(super) async fn check_channels(&mut self) -> bool {
        let channels = match self.timed(self.client.channels()).await {
            Ok(channels) => channels.list,
            Err(error) => {
                let remedy = self.refusal_remedy(&error).await;
                self.findings.problem(Check::Access, error.to_string(), remedy);
                return !matches!(
                    error.outcome(),
                    Outcome::Unauthorized | Outcome::Timeout | Outcome::Connect
                );
            }
        };
        self.findings.ok(Check::Access, "the token is accepted");
        for channel in channels.iter().filter(|channel| !channel.active) {
            let (words, remedy) = channel.messages();
            let (id, transport) = (&channel.id, channel.transport.label());
            let shown = channel.name.as_deref().filter(|_| self.account.export.channel_names);
            let name = shown.map(|name| format!(" {name}")).unwrap_or_default();
            let state = channel.state.label();
            let words = format!(
                "{transport} channel{name} {id} {words} ({state}); counters of its users do not change"
            );
            self.findings.problem_of(vec![id.to_string()], Check::Channels, words, remedy);
        }
        if channels.is_empty() {
            let remedy = "connect a channel in Wazzup24; without one all counters are 0";
            self.findings.problem(Check::Channels, "the account has no channel", remedy);
        } else if channels.iter().all(|channel| channel.active) {
            let words = match channels.len() {
                1 => "the only channel is active".to_owned(),
                count => format!("all {count} channels are active"),
            };
            self.findings.ok(Check::Channels, words);
        }
        self.channels_and_roles.channels = Some(channels.into());
        true
    }

    /// What to do when upstream refused the list of channels; a key of the wrong kind is recognized.
    async fn refusal_remedy(&self, error: &Error) -> &'static str {
        if error.outcome() == Outcome::Unauthorized
            && let Ok(token) = self.client.token().await
        {
            return self.wrong_kind(&token);
        }
        answer_remedy(error.outcome())
    }

    fn wrong_kind(&self, token: &Token) -> &'static str {
        match self.account.api {
            Api::V3 if token.is_jwt() => {
                "this is a technical partner's token, which only v2 accepts: remove api: v3, or put \
                 the account's API key in its place"
            }
            Api::V2 if !token.is_jwt() => {
                "this looks like an API key, which only v3 accepts: set api: v3, or put a \
                 client_access_token in its place"
            }
            _ => "the token is unknown, revoked or has expired: replace it",
        }
    }

    /// Whether there is a subscription to events.
    pub(super) async fn check_webhooks(&mut self) {
        let webhooks = self.timed(self.client.webhooks()).await;
        let findings = &mut self.findings;
        match webhooks {
            Ok(0) => findings.problem(
                Check::Webhooks,
                "no subscription to events; Wazzup24 warns that such an account may not connect \
                 some channels",
                "let the CRM's integration subscribe; the exporter changes no subscription",
            ),
            Ok(1) => findings.ok(Check::Webhooks, "one subscription to events"),
            Ok(count) => findings.ok(Check::Webhooks, format!("{count} subscriptions to events")),
            Err(error) => findings.unknown(Check::Webhooks, error.to_string()),
        }
    }

    /// Whether the limit allows the interval.
    pub(super) fn check_limit(&mut self) {
        let (poll, limit) = (self.account.poll, self.account.rate_limit);
        let users = self.polled.len();
        let allowed = limit.usable() / limit.per.as_secs_f64();
        let needed = users as f64 / poll.interval.as_secs_f64();
        let slowest =
            self.durations.iter().sum::<Duration>().div_f64(self.durations.len().max(1) as f64);
        let sweep = slowest.mul_f64(users as f64 / poll.concurrency as f64);
        let words = format!(
            "{users} users every {} need {needed:.2} requests/s; our share of the limit allows {allowed:.0}/s",
            span(poll.interval)
        );
        if needed > allowed * TIGHT {
            self.findings.problem(Check::Limit, words, "raise poll.interval");
        } else if sweep > poll.interval {
            let words = format!(
                "responses take {slowest:.1?}, so a sweep takes about {sweep:.0?}, longer than the \
                 interval"
            );
            let remedy = "raise poll.interval or poll.concurrency";
            self.findings.problem(Check::Limit, words, remedy);
        } else {
            self.findings.ok(Check::Limit, words);
        }
    }

    /// How many users of the account's list are not polled. Which ones depends on those that are polled already.
    pub(super) fn check_skipped(&mut self) {
        for (count, why, remedy) in [
            (
                self.left_out,
                "are found beyond discover_users.max_users",
                "raise discover_users.max_users, or narrow include and exclude",
            ),
            (
                self.invalid_ids,
                "of the list have ids that are too long or hold a control character",
                "correct their ids in the CRM",
            ),
        ] {
            if count > 0 {
                let words = format!("{count} users {why}, and are not polled");
                self.findings.problem(Check::Limit, words, remedy);
            }
        }
    }
}

/// A duration, rounded for a sentence.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What to do when the host cannot be reached.
pub(super) fn host_remedy(problem: &str) -> &'static str {
    if problem.contains("certificate") {
        "compare the clock of this host; a proxy that opens TLS needs tls.ca_file with its authority"
    } else if problem.contains("dns") || problem.contains("lookup") || problem.contains("resolve") {
        "correct base_url, or the name server of this host"
    } else {
        "check base_url, the network and the firewall; behind a proxy set proxy_url or HTTPS_PROXY"
    }
}

/// What to do when there is no token.
pub(super) fn token_remedy(auth: &Auth) -> &'static str {
    match auth {
        Auth::Token(_) | Auth::TokenEnv { .. } => "put another token into the configuration",
        Auth::TokenFile(_) => "put a token into the file, alone, readable for the exporter",
        Auth::TokenCommand(_) => "run the command by hand as the user that the exporter runs as",
        Auth::Partner(_) => {
            "check email and password_file of the partner, and the account's number"
        }
        Auth::OAuth { .. } => FailingReason::LoginNeeded.remedy(),
    }
}

/// What to do when a request fails.
pub(super) fn answer_remedy(outcome: Outcome) -> &'static str {
    // Of what concerns one user alone, such as 404: as for any answer that is not the API's.
    FailingReason::of(outcome).unwrap_or(FailingReason::Malformed).remedy()
}
