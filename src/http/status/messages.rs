//! The sentences of the status: what is wrong with an account or a figure, and what to do.

use std::sync::Arc;
use std::time::Duration;

use super::document::{AccountProblem, Reason};
use crate::clock::Stamp;
use crate::http::format::{age, number_of};
use crate::metrics::Outcome;
use crate::snapshot::{AccountView, Facts, FailingReason, UntrustedReason, UserView};

/// How long before its expiry a token is mentioned. Less than an hour, because programs that renew
/// tokens in files usually do so every hour.
const TOKEN_WARNING: Duration = Duration::from_mins(15);

/// Why an account is not up. `None` while it is, and while its first sweep is still to come.
pub(super) fn account_problem(view: &AccountView, now: Stamp) -> Option<AccountProblem> {
    let (text, remedy) = why_not_up(view, now)?;
    let detail = view.users().find_map(|user| detail(user, view.facts.failing));
    Some(AccountProblem { text: sentence(&text), remedy: sentence(remedy), detail })
}

fn why_not_up(view: &AccountView, now: Stamp) -> Option<(String, &'static str)> {
    let facts = &view.facts;
    if facts.down {
        Some((
            "the task that reads this account failed or got stuck; it is restarted".to_owned(),
            "if this persists, see the exporter's log, and please report it as a bug",
        ))
    } else if let Some(reason) = facts.failing {
        let api = view.account.base_url.host_str().unwrap_or("the API");
        Some((reason.meaning(api), reason.remedy()))
    } else if view.up(now) || facts.sweep.is_none() {
        None
    } else {
        Some((
            "no user of the account could be read for too long".to_owned(),
            "see the remarks beside the users",
        ))
    }
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
    let (facts, skipped) = (&view.facts, view.facts.skipped);
    let mut notes = list_notes(facts);
    let mut note = |code, text| notes.push(Reason { code, text });
    if skipped.over_max_users > 0 {
        let most = view.account.discovery.as_ref().map_or(0, |discovery| discovery.max_users);
        let (users, key) =
            (number_of(skipped.over_max_users, "more user"), "discover_users.max_users");
        note("users_left_out", format!("{users} found and not read, because {key} is {most}."));
    }
    if skipped.invalid_id > 0 {
        let (users, why) = (
            number_of(skipped.invalid_id, "user"),
            "the id is too long or has a control character",
        );
        note("users_invalid_id", format!("{users} of the list not read: {why}."));
    }
    if view.account.discovery.is_some() && facts.discovery.read.is_some() && facts.users == 0 {
        note("users_empty", "The list of users is empty: there is no user to read.".to_owned());
    }
    if let Some(until) = facts.pause(now) {
        let left = age(now.age(until));
        note("paused", format!("Wazzup24 has asked for a pause that ends in {left}."));
    }
    match facts.token_expiry.map(|at| at.saturating_sub(now.unix)) {
        Some(Duration::ZERO) => {
            note("token_ends", "The account's token has expired: replace it.".to_owned());
        }
        Some(left) if left < TOKEN_WARNING => {
            let left = age(left);
            note(
                "token_ends",
                format!("The account's token expires in {left}: replace it before."),
            );
        }
        _ => {}
    }
    notes
}

/// What is wrong with the account's lists.
fn list_notes(facts: &Facts) -> Vec<Reason> {
    let mut notes = Vec::new();
    for (code, what, list) in [
        ("channels_unread", "channels", &facts.channels),
        ("roles_unread", "roles", &facts.roles),
        ("users_unread", "users", &facts.discovery),
    ] {
        // If no user can be read, this fails for the same reason.
        if let Some(problem) = list.problem.as_ref().filter(|_| facts.failing.is_none()) {
            let kept = if list.read.is_some() { "the last one is used" } else { "none is known" };
            let problem = problem.trim_end_matches('.');
            let text = format!("The list of {what} cannot be read, {kept}: {problem}.");
            notes.push(Reason { code, text });
        }
        if let Some(rows) = &list.unreadable {
            let text = format!("The list of {what} has rows that cannot be read: {rows}.");
            notes.push(Reason { code: "rows_unreadable", text });
        }
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
    let mut add = |code, text| reasons.push(Reason { code, text });
    let Some(attempt) = &user.last_attempt else {
        add("not_read", "Not read yet.".to_owned());
        return reasons;
    };
    if of_account(attempt.outcome, view.facts.failing) {
        add("account_failing", "The account cannot be read.".to_owned());
    } else if let Some(problem) = &attempt.problem
        && attempt.outcome != Outcome::NotFound
    {
        let problem = problem.trim_end_matches('.');
        add("failed", format!("The last attempt failed: {problem}."));
    }
    if let Some((_, at)) = user.last_good
        && user.live(stale_after, now).is_none()
    {
        let (last, limit) = (age(at.age(now)), age(stale_after));
        add("stale", format!("Last read {last} ago; figures older than {limit} are not shown."));
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
