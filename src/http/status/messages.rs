//! The sentences of the status: what is wrong with an account or a figure, and what to do.

use std::sync::Arc;
use std::time::Duration;

use super::document::{AccountProblem, Reason};
use crate::clock::Stamp;
use crate::http::format::{Age, Count};
use crate::metrics::Outcome;
use crate::snapshot::{AccountView, FailingReason, UntrustedReason, UserView};

/// How long before its expiry a token is mentioned. Less than an hour, because programs that renew
/// tokens in files usually do so every hour.
const TOKEN_WARNING: Duration = Duration::from_mins(15);

/// Why an account is not up. `None` while it is, and while its first sweep is still to come.
pub(super) fn account_problem(view: &AccountView, now: Stamp) -> Option<AccountProblem> {
    let facts = &view.facts;
    let (text, remedy) = if facts.down {
        (
            "the task that reads this account failed or got stuck; it is restarted".to_owned(),
            "if this persists, see the exporter's log, and please report it as a bug",
        )
    } else if let Some(reason) = facts.failing {
        let api = view.account.base_url.host_str().unwrap_or("the API");
        (reason.meaning(api), reason.remedy())
    } else if view.up(now) || facts.sweep.is_none() {
        return None;
    } else {
        (
            "no user of the account could be read for too long".to_owned(),
            "see the remarks beside the users",
        )
    };
    let detail = view.users().find_map(|user| detail(user, facts.failing));
    Some(AccountProblem { text: sentence(&text), remedy: sentence(remedy), detail })
}

/// A phrase, with a capital letter and a full stop.
fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).chain(['.']).collect()
}

/// The last error of a user, if it is the reason why the account fails.
fn detail(user: &UserView, failing: Option<FailingReason>) -> Option<Arc<str>> {
    let attempt = user.last_attempt.as_ref()?;
    attempt.problem.clone().filter(|_| failing.is_some() && of_account(attempt.outcome, failing))
}

fn of_account(outcome: Outcome, failing: Option<FailingReason>) -> bool {
    let reason = match failing {
        // Without a token, requests count as unauthorized.
        Some(FailingReason::LoginNeeded | FailingReason::Storage) => {
            Some(FailingReason::Unauthorized)
        }
        other => other,
    };
    reason.is_some() && FailingReason::of(outcome) == reason
}

/// Remarks about an account.
pub(super) fn account_notes(view: &AccountView, now: Stamp) -> Vec<Reason> {
    let facts = &view.facts;
    let mut notes = Vec::new();
    let lists = [
        ("channels_unread", "channels", &facts.channels),
        ("roles_unread", "roles", &facts.roles),
        ("users_unread", "users", &facts.discovery),
    ];
    for (code, what, listing) in lists {
        // If no user can be read, this fails for the same reason.
        if let Some(problem) = listing.problem.as_ref().filter(|_| facts.failing.is_none()) {
            let kept =
                if listing.read.is_some() { "the last one is used" } else { "none is known" };
            let problem = problem.trim_end_matches('.');
            let text = format!("The list of {what} cannot be read, {kept}: {problem}.");
            notes.push(Reason { code, text });
        }
        if let Some(rows) = &listing.unreadable {
            let text = format!("The list of {what} has rows that cannot be read: {rows}.");
            notes.push(Reason { code: "rows_unreadable", text });
        }
    }
    let skipped = facts.skipped;
    if skipped.over_max_users > 0 {
        let most = view.account.discovery.as_ref().map_or(0, |discovery| discovery.max_users);
        let (users, key) = (Count(skipped.over_max_users, "more user"), "discover_users.max_users");
        let text = format!("{users} found and not read, because {key} is {most}.");
        notes.push(Reason { code: "users_left_out", text });
    }
    if skipped.invalid_id > 0 {
        let users = Count(skipped.invalid_id, "user");
        let text =
            format!("{users} of the list not read: the id is too long or has a control character.");
        notes.push(Reason { code: "users_invalid_id", text });
    }
    if view.account.discovery.is_some() && facts.discovery.read.is_some() && facts.users == 0 {
        let text = "The list of users is empty: there is nobody to read.".to_owned();
        notes.push(Reason { code: "users_empty", text });
    }
    if let Some(until) = facts.pause(now) {
        let text = format!("Wazzup24 has asked for a pause that ends in {}.", Age(now.age(until)));
        notes.push(Reason { code: "paused", text });
    }
    if let Some(left) = facts.token_expiry.map(|at| at.saturating_sub(now.unix))
        && left < TOKEN_WARNING
    {
        let text = if left.is_zero() {
            "The account's token has expired: replace it.".to_owned()
        } else {
            format!("The account's token expires in {}: replace it before.", Age(left))
        };
        notes.push(Reason { code: "token_ends", text });
    }
    notes
}

/// Why a user's figure is missing or in doubt; most important first.
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
    let (meaning, remedy) = (reason.meaning(), reason.remedy());
    match user.last_good {
        Some((reading, _)) if reason == UntrustedReason::UnknownType => {
            sentence(&format!("{meaning}: {remedy}. Messages: {}", reading.count))
        }
        _ => sentence(&format!("{meaning}: {remedy}")),
    }
}
