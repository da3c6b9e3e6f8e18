//! The status of made-up accounts, and accounts for the tests of the page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::account::{Account, AccountId, LabelName, Reset, User, fixture};
use crate::channel::{Channel, ChannelState, ChannelsAndRoles, Role, Transport, Trust};
use crate::clock::Stamp;
use crate::counter::{CounterType, Reading, Trend};
use crate::metrics::{LastReset, Outcome, ProcessMetrics, ResetResult, ShardInfo, SweepResult};
use crate::reload::BrokenFile;
use crate::snapshot::{
    AccountView, Attempt, Facts, FailingReason, ListStatus, Point, SkippedUsers, Slot, Sweep,
    UserView,
};

const MINUTE: Duration = Duration::from_mins(1);

/// A user who was read `age` ago.
pub(in crate::http) fn read(id: &str, count: u64, kind: CounterType, age: Duration) -> UserView {
    let at = ago(age);
    let reading = Reading { count, kind, server_time: None, last_message: None };
    let mut trend = Trend::default();
    trend.observe(&reading, at, 2 * MINUTE);
    let last_attempt = Some(Attempt { outcome: Outcome::Ok, problem: None });
    UserView { last_good: Some((reading, at)), last_attempt, trend, ..unread(id) }
}

/// A user with red messages that were read just now.
pub(in crate::http) fn red(id: &str, count: u64) -> UserView {
    read(id, count, CounterType::Red, Duration::from_secs(1))
}

/// A user that has not been read yet.
pub(in crate::http) fn unread(id: &str) -> UserView {
    UserView::new(Arc::clone(&fixture("acme", &[id]).users[0]))
}

/// The same user with another name.
pub(in crate::http) fn named(view: UserView, name: &str) -> UserView {
    let user = User { name: Some(name.to_owned()), ..(*view.user).clone() };
    UserView { user: Arc::new(user), ..view }
}

/// The same user after an attempt that failed.
pub(in crate::http) fn failed(view: UserView, outcome: Outcome, problem: &str) -> UserView {
    UserView { last_attempt: Some(Attempt { outcome, problem: Some(problem.into()) }), ..view }
}

/// The same account a minute after a reset of 970 messages.
pub(in crate::http) fn reset(
    mut view: AccountView,
    result: ResetResult,
    after: Option<u64>,
) -> AccountView {
    let bounds = Reset { cooldown: MINUTE, max_unanswered: 0, token_file: "reset".into() };
    view.account = Arc::new(Account { reset: Some(bounds), ..(*view.account).clone() });
    let last = LastReset { at: ago(MINUTE).unix, result, before: 970, after };
    view.facts.tally.resets.marks.last = Some(last);
    view
}

/// An account that was just swept.
#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
pub(in crate::http) fn account(name: &str, users: Vec<UserView>) -> AccountView {
    let newest = users.iter().filter_map(|user| user.last_good).map(|(_, at)| at);
    let sweep = Sweep { finished: moment(), duration: MINUTE, result: SweepResult::Ok };
    let facts = Facts {
        newest_reading: newest.max_by_key(|at| at.uptime),
        sweep: Some(sweep),
        ..Facts::default()
    };
    AccountView::new(Arc::new(fixture(name, &[])), facts, &users)
}

/// The same account, which fails.
pub(in crate::http) fn failing(view: AccountView, reason: FailingReason) -> AccountView {
    AccountView { facts: Facts { failing: Some(reason), ..view.facts }, ..view }
}

/// The same account with other settings.
pub(in crate::http) fn with(view: AccountView, change: impl FnOnce(&mut Account)) -> AccountView {
    let mut account = (*view.account).clone();
    change(&mut account);
    AccountView { account: Arc::new(account), ..view }
}

/// When everything here happens.
pub(in crate::http) fn moment() -> Stamp {
    Stamp { uptime: 100_000 * MINUTE, unix: Duration::from_secs(1_759_499_127) }
}

fn ago(age: Duration) -> Stamp {
    let Stamp { uptime, unix } = moment();
    Stamp { uptime: uptime.saturating_sub(age), unix: unix.saturating_sub(age) }
}

/// The status of these accounts.
pub(in crate::http) fn status(views: Vec<AccountView>) -> Status {
    status_of(
        &views
            .into_iter()
            .map(|view| Arc::new(Slot::new(Arc::default(), Arc::default(), view)))
            .collect::<Vec<_>>(),
    )
}

fn status_of(slots: &[Arc<Slot>]) -> Status {
    let process = ProcessMetrics::default();
    process.config_loaded(209_876_242_034_240 << 16, Duration::ZERO);
    Status::new(slots, &process, Vec::new(), ago(MINUTE), moment())
}

/// The same account, whose channels were read `age` ago.
pub(in crate::http) fn with_channels(
    view: AccountView,
    channels: Vec<Channel>,
    age: Duration,
) -> AccountView {
    let listing = ListStatus { read: Some(ago(age)), ..ListStatus::default() };
    let channels_and_roles = ChannelsAndRoles { channels: Some(channels.into()), roles: None };
    AccountView { facts: Facts { channels: listing, channels_and_roles, ..view.facts }, ..view }
}

/// A channel with a telephone number for a name.
pub(in crate::http) fn channel(id: &str, active: bool) -> Channel {
    let state = if active { ChannelState::Active } else { ChannelState::QrIdle };
    let name = Some("77000000000".into());
    Channel { id: id.into(), transport: Transport::Whatsapp, state, active, name }
}

/// The same user in a role, perhaps on channels none of which is active.
pub(in crate::http) fn placed(view: UserView, role: Role, cut_off: bool) -> UserView {
    UserView { trust: Trust { role: Some(role), cut_off, not_known: false }, ..view }
}

/// A status in which no list is empty and nothing is left out.
fn everything() -> Status {
    let view = account("acme", vec![failed(red("1", 3), Outcome::Timeout, "no answer within 10s")]);
    let label = || LabelName::parse("team").unwrap();
    let view = with(view, |account| {
        account.account_id = AccountId::parse("78231464").ok();
        account.labels.insert(label(), "sales".to_owned());
    });
    let view = with_channels(view, vec![channel("808e0654", false)], MINUTE);
    let view = AccountView {
        facts: Facts {
            skipped: SkippedUsers { over_max_users: 3, ..SkippedUsers::default() },
            ..view.facts
        },
        ..view
    };
    let view = reset(view, ResetResult::Unknown, None);
    let slot = Slot::new(Arc::default(), Arc::default(), failing(view, FailingReason::Unreachable));
    slot.history.record(Point::of(&slot.view().totals(moment())), moment(), MINUTE);
    status_of(&[Arc::new(slot)])
}

/// The paths of all fields below `value`; what has names of its own is one field.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !path.ends_with("labels") && !path.ends_with("outcomes") => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                into.insert(path.clone());
                fields(value, &path, into);
            }
        }
        Value::Array(items) => {
            for item in items {
                fields(item, &format!("{path}[]"), into);
            }
        }
        _ => {}
    }
}

/// The paths that the tables of the document name: the path in the heading and the first cell.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../../docs/status-page.md");
    let quoted = |text: &str| Some(text.split_once('`')?.1.split_once('`')?.0.to_owned());
    let (mut paths, mut parent) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        if line.starts_with('#') {
            parent = quoted(line).filter(|path| !path.starts_with('/')).unwrap_or_default();
        } else if line.starts_with("| `") {
            let name = quoted(line).unwrap();
            paths.insert(if parent.is_empty() { name } else { format!("{parent}.{name}") });
        }
    }
    paths
}

#[test]
fn the_document_names_every_field_and_no_other() {
    let mut serialized = BTreeSet::new();
    let accounts = vec!["acme".to_owned()];
    let broken = BrokenFile { file: "a.yaml".into(), reason: "a.yaml: is empty".into(), accounts };
    let shard = Some(ShardInfo { ordinal: 1, shards: 3, accounts_elsewhere: 2 });
    let status = Status { shard, broken_files: vec![broken], ..everything() };
    fields(&serde_json::to_value(status).unwrap(), "", &mut serialized);
    assert!(serialized.contains("accounts[].users[].reasons[].code"), "{serialized:?}");
    assert_eq!(documented(), serialized);
}

#[test]
fn sums_leave_out_unknown_figures_and_count_them() {
    let users = vec![red("1", 3), read("2", 4, CounterType::Grey, MINUTE), unread("3")];
    let sums = |users| {
        let account = status(vec![account("acme", users)]).accounts.remove(0);
        (account.totals.red, account.totals.grey, account.totals.users_missing)
    };
    assert_eq!(sums(users), (Some(3), Some(4), 1));
    assert_eq!(sums(vec![unread("1")]), (None, None, 1));
}

/// The codes and texts of the only user's reasons.
fn reasons(user: UserView, failing_reason: Option<FailingReason>) -> Vec<(&'static str, String)> {
    let view = account("acme", vec![user]);
    let view = AccountView { facts: Facts { failing: failing_reason, ..view.facts }, ..view };
    let mut status = status(vec![view]);
    let reasons = std::mem::take(&mut status.accounts[0].users[0].reasons);
    reasons.into_iter().map(|reason| (reason.code, reason.text.replace('\u{a0}', " "))).collect()
}

fn codes(user: UserView, failing: Option<FailingReason>) -> Vec<&'static str> {
    reasons(user, failing).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn a_fresh_reading_has_no_reasons() {
    assert_eq!(reasons(red("1", 3), None), []);
}

#[test]
fn every_missing_figure_has_its_reasons() {
    let old = || read("1", 3, CounterType::Red, 14 * MINUTE);
    assert_eq!(codes(unread("1"), None), ["not_read"]);
    let stale = "Last read 14 min ago; figures older than 2 min are not shown.".to_owned();
    assert_eq!(reasons(old(), None), [("stale", stale)]);
    let hung = || failed(old(), Outcome::Timeout, "no answer within 10s");
    assert_eq!(
        reasons(hung(), None)[0],
        ("failed", "The last attempt failed: no answer within 10s.".to_owned())
    );
    assert_eq!(codes(hung(), None), ["failed", "stale"]);
    assert_eq!(codes(hung(), Some(FailingReason::Unreachable)), ["account_failing", "stale"]);
    let unknown = failed(old(), Outcome::NotFound, "upstream answered 404: USER_NOT_FOUND");
    assert_eq!(codes(unknown, None), ["unknown_user", "stale"]);
    let other = read("1", 7, CounterType::Other, MINUTE);
    let words = "Wazzup24 reports a type that is neither red nor grey: report it as an issue of the exporter. Messages: 7.";
    assert_eq!(reasons(other, None), [("unknown_type", words.to_owned())]);
}

#[test]
fn a_figure_that_may_not_count_is_in_doubt_and_says_why() {
    let role_and_reasons = |user: UserView| {
        let status = status(vec![account("acme", vec![user])]);
        let user = &status.accounts[0].users[0];
        let codes: Vec<_> = user.reasons.iter().map(|reason| reason.code).collect();
        (user.role, user.in_doubt, codes)
    };
    assert_eq!(
        role_and_reasons(placed(red("1", 3), Role::SalesRep, false)),
        (Some("sales_rep"), false, vec![])
    );
    let cut_off = placed(red("1", 3), Role::SalesRep, true);
    assert_eq!(role_and_reasons(cut_off), (Some("sales_rep"), true, vec!["no_active_channel"]));
    let idle = placed(red("1", 0), Role::None, false);
    assert_eq!(role_and_reasons(idle.clone()), (Some("none"), true, vec!["no_role"]));
    // Discovered users of a CRM need not answer customers.
    let found = UserView { found: true, ..idle };
    assert_eq!(role_and_reasons(found), (Some("none"), false, vec!["no_role"]));
}

#[test]
fn channels_are_listed_while_known_with_their_names_where_allowed() {
    let shown = |names: bool, age: Duration| {
        let view = with(account("acme", vec![]), |account| account.export.channel_names = names);
        let view = with_channels(view, vec![channel("808e", false)], age);
        let channels = status(vec![view]).accounts.remove(0).channels;
        channels
            .into_iter()
            .map(|one| (one.state, one.active, one.name, one.text))
            .collect::<Vec<_>>()
    };
    let waits = "waits for its QR code";
    assert_eq!(shown(false, MINUTE), [("qridle", false, None, waits)]);
    assert_eq!(shown(true, MINUTE), [("qridle", false, Some("77000000000".into()), waits)]);
    assert_eq!(shown(true, 60 * MINUTE), []);
}

#[test]
fn an_account_has_its_remarks() {
    let notes = |change: fn(&mut Facts)| {
        let mut view = account("acme", vec![red("1", 3)]);
        change(&mut view.facts);
        let notes = status(vec![view]).accounts.remove(0).notes.into_iter();
        notes.map(|note| (note.code, note.text.replace('\u{a0}', " "))).collect::<Vec<_>>()
    };
    assert_eq!(notes(|_| ()), []);
    let roles =
        "The list of roles cannot be read, none is known: upstream answered 403.".to_owned();
    assert_eq!(
        notes(|facts| {
            let problem = Some("upstream answered 403".into());
            facts.roles = ListStatus { problem, ..ListStatus::default() };
        }),
        [("roles_unread", roles)]
    );
    let left_out = notes(|facts| facts.skipped.over_max_users = 12);
    assert_eq!(left_out[0].0, "users_left_out");
    assert!(left_out[0].1.starts_with("12 more users found"), "{left_out:?}");
    let ends = notes(|facts| facts.token_expiry = Some(moment().unix + 5 * MINUTE));
    let words = "The account's token expires in 5 min: replace it before.".to_owned();
    assert_eq!(ends, [("token_ends", words)]);
    assert_eq!(notes(|facts| facts.token_expiry = Some(moment().unix + 60 * MINUTE)), []);
}

#[test]
fn a_failure_beside_a_fresh_figure_is_shown() {
    let user = failed(red("1", 3), Outcome::ServerError, "upstream answered 500.");
    assert_eq!(
        reasons(user, None),
        [("failed", "The last attempt failed: upstream answered 500.".to_owned())]
    );
}

#[test]
fn a_failing_account_has_a_text_a_remedy_and_the_last_error() {
    let trouble = |view| status(vec![view]).accounts.remove(0).trouble;
    assert_eq!(trouble(account("acme", vec![red("1", 3)])), None);
    let refused = failed(unread("1"), Outcome::Unauthorized, "upstream answered 401");
    let other = failed(unread("2"), Outcome::Timeout, "no answer within 10s");
    let view = || account("acme", vec![other.clone(), refused.clone()]);
    let problem = trouble(failing(view(), FailingReason::Unauthorized)).unwrap();
    assert_eq!(problem.text, "Wazzup24 refuses the account's token.");
    assert!(problem.remedy.starts_with("Give it a valid token"), "{}", problem.remedy);
    assert_eq!(problem.detail.as_deref(), Some("upstream answered 401"));
    let problem = trouble(failing(view(), FailingReason::Unreachable)).unwrap();
    assert_eq!(problem.text, "There is no answer from 127.0.0.1.");
    assert_eq!(problem.detail.as_deref(), Some("no answer within 10s"));
    let down = AccountView { facts: Facts { down: true, ..view().facts }, ..view() };
    assert!(trouble(down).unwrap().text.contains("failed or got stuck"));
    let silent = trouble(account("acme", vec![unread("1")])).unwrap();
    assert_eq!(silent.text, "No user of the account could be read for too long.");
}

#[test]
fn an_account_before_its_first_sweep_has_no_problem() {
    let view = account("acme", vec![unread("1")]);
    let view = AccountView { facts: Facts::default(), ..view };
    let status = status(vec![view]);
    assert_eq!((&status.accounts[0].trouble, status.accounts[0].up), (&None, false));
}

#[test]
fn without_user_names_no_name_is_shown() {
    let view = account("acme", vec![named(red("1", 3), "Anna")]);
    let hidden = with(view, |account| account.export.user_names = false);
    let json = serde_json::to_string(&status(vec![hidden])).unwrap();
    assert!(!json.contains("Anna"), "{json}");
}
