//! What is wrong with an account or a figure, and what to do, in words.

use std::sync::Arc;
use std::time::Duration;

use super::document::{AccountProblem, Reason};
use crate::clock::Stamp;
use crate::http::format::{Age, Count};
use crate::metrics::Outcome;
use crate::snapshot::{AccountView, FailingReason, UntrustedReason, UserView};

/// How long before its end a token is spoken of. Those of files live an hour, and whoever replaces them
/// by a program should not have to read of it all the time.
const TOKEN_WARNING: Duration = Duration::from_mins(15);

/// Why an account is not up. `None` while it is, and while its first sweep is still to come.
pub(super) fn account_problem(view: &AccountView, now: Stamp) -> Option<AccountProblem> {
    let facts = &view.facts;
    let (text, remedy) = if facts.down {
        (
            "The part of the exporter that reads this account died or got stuck; it is started anew."
                .to_owned(),
            "If this lasts, the exporter's log says why. Please report it as a bug.",
        )
    } else if let Some(reason) = facts.failing {
        (failing(reason, view), remedy(reason))
    } else if view.up(now) || facts.sweep.is_none() {
        return None;
    } else {
        (
            "Nobody of the account could be read for too long.".to_owned(),
            "The remarks beside the users say why.",
        )
    };
    let detail = view.users().find_map(|user| detail(user, facts.failing));
    Some(AccountProblem { text, remedy, detail })
}

/// What went wrong for a user, if it is what fails the account.
fn detail(user: &UserView, failing: Option<FailingReason>) -> Option<Arc<str>> {
    let attempt = user.last_attempt.as_ref()?;
    attempt.problem.clone().filter(|_| failing.is_some() && of_account(attempt.outcome, failing))
}

fn of_account(outcome: Outcome, failing: Option<FailingReason>) -> bool {
    failing.is_some() && FailingReason::of(outcome) == failing
}

fn failing(reason: FailingReason, view: &AccountView) -> String {
    let api = view.account.base_url.host_str().unwrap_or("the API").to_owned();
    match reason {
        FailingReason::Unauthorized => "Wazzup24 refuses the account's token.".to_owned(),
        FailingReason::Forbidden => "The account's token may not read counters.".to_owned(),
        FailingReason::LoginNeeded => {
            "The customer's login has ended, and nothing else can give a token.".to_owned()
        }
        FailingReason::RateLimited => {
            "Wazzup24 says that too much is asked of it with this token.".to_owned()
        }
        FailingReason::Unreachable => format!("There is no answer from {api}."),
        FailingReason::ServerError => format!("{api} answers only that it has failed."),
        FailingReason::Malformed => format!("What answers at {api} is not the API of Wazzup24."),
    }
}

fn remedy(reason: FailingReason) -> &'static str {
    match reason {
        FailingReason::Unauthorized => {
            "Give it a valid token: the old one has ended, was revoked, or is of another API. A new one in \
             a token file is picked up within five minutes."
        }
        FailingReason::Forbidden => {
            "Use a token that may read counters of this account, or ask Wazzup24 to allow it."
        }
        FailingReason::LoginNeeded => {
            "Run `wazzup-exporter login` for the account and let the customer log in."
        }
        FailingReason::RateLimited => {
            "Look for other programs that use the token, or set a lower rate_limit or a longer interval."
        }
        FailingReason::Unreachable => {
            "Check network, firewall and proxy between this machine and Wazzup24."
        }
        FailingReason::ServerError => {
            "Usually this passes by itself. If it lasts, ask Wazzup24's support."
        }
        FailingReason::Malformed => {
            "Check base_url and proxy_url: something else answers in place of Wazzup24."
        }
    }
}

/// What is to be known of an account beside its figures.
pub(super) fn account_notes(view: &AccountView, now: Stamp) -> Vec<Reason> {
    let facts = &view.facts;
    let mut notes = Vec::new();
    let lists = [
        ("channels_unread", "channels", &facts.channels),
        ("roles_unread", "roles", &facts.roles),
        ("users_unread", "users", &facts.discovery),
    ];
    for (code, what, listing) in lists {
        // Where nobody can be read, this fails for the same reason.
        if let Some(problem) = listing.problem.as_ref().filter(|_| facts.failing.is_none()) {
            let kept =
                if listing.read.is_some() { "the last one is used" } else { "none is known" };
            let problem = problem.trim_end_matches('.');
            let text = format!("The list of {what} cannot be read, {kept}: {problem}.");
            notes.push(Reason { code, text });
        }
    }
    if facts.left_out > 0 {
        let most = view.account.discovery.as_ref().map_or(0, |discovery| discovery.max_users);
        let (left_out, key) = (Count(facts.left_out, "more user"), "discover_users.max_users");
        let text = format!("{left_out} found and not read, because {key} is {most}.");
        notes.push(Reason { code: "users_left_out", text });
    }
    if let Some(left) = facts.token_expiry.map(|at| at.saturating_sub(now.unix))
        && left < TOKEN_WARNING
    {
        let text = if left.is_zero() {
            "The account's token has ended: replace it.".to_owned()
        } else {
            format!("The account's token ends in {}: replace it before.", Age(left))
        };
        notes.push(Reason { code: "token_ends", text });
    }
    notes
}

/// Why a user's figure is missing or not to be trusted; most important first.
pub(super) fn user_reasons(user: &UserView, view: &AccountView, now: Stamp) -> Vec<Reason> {
    let stale_after = view.account.poll.stale_after;
    let mut reasons: Vec<Reason> = user
        .untrusted(stale_after, now)
        .map(|reason| Reason { code: reason.label(), text: untrusted(reason, user) })
        .collect();
    let Some(attempt) = &user.last_attempt else {
        let text = "Not read yet.".to_owned();
        reasons.push(Reason { code: "not_read", text });
        return reasons;
    };
    let live = user.live(stale_after, now).is_some();
    if of_account(attempt.outcome, view.facts.failing) {
        let text = "The account cannot be read.".to_owned();
        reasons.push(Reason { code: "account_failing", text });
    } else if let Some(problem) = &attempt.problem
        && attempt.outcome != Outcome::NotFound
    {
        let text = format!("The last attempt failed: {}.", problem.trim_end_matches('.'));
        reasons.push(Reason { code: "failed", text });
    }
    if let Some((_, at)) = user.last_good.filter(|_| !live) {
        let text = format!(
            "Last read {} ago; figures older than {} are not shown.",
            Age(at.age(now)),
            Age(stale_after)
        );
        reasons.push(Reason { code: "stale", text });
    }
    reasons
}

fn untrusted(reason: UntrustedReason, user: &UserView) -> String {
    match reason {
        UntrustedReason::NoRole => {
            "Without a role on any channel the counter is always 0: give the user one in Wazzup24."
                .to_owned()
        }
        UntrustedReason::NoActiveChannel => {
            "No message reaches the user, because none of the channels is active: the counter stands \
             still."
                .to_owned()
        }
        UntrustedReason::UnknownUser => {
            "Wazzup24 does not know this user: check the id, or take the user out of the configuration."
                .to_owned()
        }
        UntrustedReason::UnknownType => {
            let count = user.last_good.map_or(0, |(reading, _)| reading.count);
            format!("Wazzup24 reports {count} messages of a type that is neither red nor grey.")
        }
    }
}
