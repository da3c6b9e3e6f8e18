//! The exposition as a whole: what a scrape shows of a view.

mod properties;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::account::{Account, LabelName, Profile, User, fixture};
use crate::clock::Stamp;
use crate::counter::{CounterType, Reading};
use crate::metrics::{Outcome, ProcessMetrics, SweepResult, TallyValues};
use crate::snapshot::{AccountView, Attempt, Facts, FailingReason, ListStatus, Sweep, UserView};

const SECOND: Duration = Duration::from_secs(1);

/// A fixed moment, so that timestamps can be compared.
fn start() -> Stamp {
    Stamp { uptime: 1000 * SECOND, unix: 1_759_499_000 * SECOND }
}

fn read(view: &mut UserView, count: u64, kind: CounterType, at: Stamp) {
    view.last_good = Some((Reading { count, kind, server_time: None, last_message: None }, at));
    view.last_attempt = Some(Attempt { outcome: Outcome::Ok, problem: None });
}

fn fail(view: &mut UserView, outcome: Outcome) {
    view.last_attempt = Some(Attempt { outcome, problem: Some("words".into()) });
}

fn users(account: &Account) -> Vec<UserView> {
    account.users.iter().map(|user| UserView::new(Arc::clone(user))).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn publish(account: &Account, users: Vec<UserView>, facts: Facts) -> Arc<AccountView> {
    let facts = Facts { users: users.len(), ..facts };
    Arc::new(AccountView::new(Arc::new(account.clone()), facts, &users))
}

fn scrape(views: &[Arc<AccountView>], now: Stamp) -> String {
    String::from_utf8(text(views, &[], Format::Text, now)).unwrap()
}

/// The sample lines of one family.
fn samples(text: &str, family: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_user_has_both_types_and_a_turned_counter_leaves_none_behind() {
    let account = fixture("acme", &["1"]);
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Red, start());
    let red = publish(&account, list.clone(), Facts::default());
    assert_eq!(
        samples(&scrape(&[red], start()), "wazzup_unanswered_messages"),
        [
            r#"wazzup_unanswered_messages{account="acme",user="1",type="red"} 5"#,
            r#"wazzup_unanswered_messages{account="acme",user="1",type="grey"} 0"#,
        ]
    );
    read(&mut list[0], 3, CounterType::Grey, start());
    let grey = publish(&account, list, Facts::default());
    assert_eq!(
        samples(&scrape(&[grey], start()), "wazzup_unanswered_messages"),
        [
            r#"wazzup_unanswered_messages{account="acme",user="1",type="red"} 0"#,
            r#"wazzup_unanswered_messages{account="acme",user="1",type="grey"} 3"#,
        ]
    );
}

#[test]
fn an_unknown_type_shows_neither_red_nor_grey() {
    let account = fixture("acme", &["1"]);
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Other, start());
    let text = scrape(&[publish(&account, list, Facts::default())], start());
    assert_eq!(
        samples(&text, "wazzup_unanswered_messages"),
        [r#"wazzup_unanswered_messages{account="acme",user="1",type="other"} 5"#]
    );
    assert_eq!(
        samples(&text, "wazzup_user_untrusted"),
        [r#"wazzup_user_untrusted{account="acme",user="1",reason="unknown_type"} 1"#]
    );
}

#[test]
fn a_reading_is_shown_until_it_is_stale_and_no_longer_however_still_the_poller() {
    let account = fixture("acme", &["1", "2"]);
    let stale_after = account.poll.stale_after;
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Red, start());
    read(&mut list[1], 7, CounterType::Red, start().plus(SECOND));
    let facts = Facts { newest_reading: Some(start().plus(SECOND)), ..Facts::default() };
    let view = publish(&account, list, facts);
    let shown = |now: Stamp| {
        let text = scrape(&[Arc::clone(&view)], now);
        let counters = samples(&text, "wazzup_unanswered_messages");
        let up = [samples(&text, "wazzup_user_up"), samples(&text, "wazzup_up")].concat();
        (counters.len(), up.iter().map(|line| line.ends_with('1')).collect::<Vec<_>>())
    };
    let just_before = stale_after.checked_sub(Duration::from_nanos(1)).unwrap();
    assert_eq!(shown(start().plus(just_before)), (4, vec![true, true, true]));
    assert_eq!(shown(start().plus(stale_after)), (2, vec![false, true, true]));
    assert_eq!(shown(start().plus(stale_after + SECOND)), (0, vec![false, false, false]));
}

#[test]
fn a_failed_attempt_keeps_the_figure_but_not_up() {
    let account = fixture("acme", &["1", "2", "3"]);
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Red, start());
    fail(&mut list[0], Outcome::ServerError);
    fail(&mut list[1], Outcome::NotFound);
    let text = scrape(&[publish(&account, list, Facts::default())], start());
    assert_eq!(
        samples(&text, "wazzup_user_up"),
        [
            r#"wazzup_user_up{account="acme",user="1"} 0"#,
            r#"wazzup_user_up{account="acme",user="2"} 0"#,
        ]
    );
    assert_eq!(samples(&text, "wazzup_unanswered_messages").len(), 2);
    assert_eq!(
        samples(&text, "wazzup_user_untrusted"),
        [r#"wazzup_user_untrusted{account="acme",user="2",reason="unknown_user"} 1"#]
    );
    assert_eq!(samples(&text, "wazzup_user_info").len(), 3);
}

#[test]
fn an_account_that_fails_or_is_down_is_not_up() {
    let account = fixture("acme", &["1"]);
    let fresh = Facts { newest_reading: Some(start()), ..Facts::default() };
    let shown = |facts| {
        let text = scrape(&[publish(&account, users(&account), facts)], start());
        (samples(&text, "wazzup_up"), samples(&text, "wazzup_account_failing"))
    };
    let up = |value| vec![format!(r#"wazzup_up{{account="acme"}} {value}"#)];
    assert_eq!(shown(fresh.clone()), (up(1), vec![]));
    assert_eq!(shown(Facts { down: true, ..fresh.clone() }), (up(0), vec![]));
    let failing = Facts { failing: Some(FailingReason::Unauthorized), ..fresh.clone() };
    let reason = r#"wazzup_account_failing{account="acme",reason="unauthorized"} 1"#.to_owned();
    assert_eq!(shown(failing), (up(0), vec![reason]));
}

#[test]
fn a_whole_exposition_reads_as_documented() {
    let mut account = fixture("acme \"&\" co", &["a/b", "q\"uo\\te"]);
    let label = |name| LabelName::parse(name).unwrap();
    account.labels = [(label("region"), "north".into()), (label("team"), "all".into())].into();
    let anna = User {
        id: account.users[0].id.clone(),
        name: Some("Anna\u{201c}ü".into()),
        labels: [(label("team"), "sales".into())].into(),
    };
    account.users[0] = Arc::new(anna);
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Red, start());
    let facts = Facts {
        newest_reading: Some(start()),
        clock_skew_seconds: Some(-0.25),
        tally: TallyValues { overruns: 2, ..TallyValues::default() },
        ..Facts::default()
    };
    let view = publish(&account, list, facts);
    insta::assert_snapshot!(scrape(&[view], start()));
}

#[test]
fn times_of_events_follow_a_wall_clock_that_is_set() {
    let account = fixture("acme", &["1"]);
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Red, start());
    let listing =
        ListStatus { read: Some(start()), wanted_since: Some(start()), ..ListStatus::default() };
    let sweep = Sweep { finished: start(), duration: SECOND, result: SweepResult::Ok };
    let facts = Facts { discovery: listing, sweep: Some(sweep), ..Facts::default() };
    let view = publish(&account, list, facts);
    let times = |now: Stamp| {
        let text = scrape(std::slice::from_ref(&view), now);
        let families = ["user_last_success", "sweep_last", "list_last_success"];
        let lines =
            families.map(|name| samples(&text, &format!("wazzup_{name}_timestamp_seconds")));
        let time = |line: &String| line.rsplit(' ').next().unwrap().parse().unwrap();
        lines.concat().iter().map(time).collect::<Vec<f64>>()
    };
    let set = Stamp { unix: start().unix + 3600 * SECOND, ..start() };
    let later: Vec<f64> = times(start()).into_iter().map(|time| time + 3600.0).collect();
    assert_eq!((times(set), later.len()), (later, 3));
}

#[test]
fn the_minimal_profile_leaves_out_what_is_not_needed_every_day() {
    let mut account = fixture("acme", &["1"]);
    account.export.profile = Profile::Minimal;
    let mut list = users(&account);
    read(&mut list[0], 5, CounterType::Other, start());
    let text = scrape(&[publish(&account, list, Facts::default())], start());
    for family in [
        "wazzup_unanswered_messages",
        "wazzup_user_up",
        "wazzup_user_info",
        "wazzup_user_untrusted",
        "wazzup_up",
    ] {
        assert_eq!(samples(&text, family).len(), 1, "{family}");
    }
    assert!(!text.contains("wazzup_user_last_success_timestamp_seconds"));
}

#[test]
fn names_of_users_appear_only_where_they_are_wanted() {
    let mut account = fixture("acme", &["1"]);
    account.users[0] = Arc::new(User { name: Some("Anna".into()), ..(*account.users[0]).clone() });
    account.export.user_names = false;
    let text = scrape(&[publish(&account, users(&account), Facts::default())], start());
    assert_eq!(
        samples(&text, "wazzup_user_info"),
        [r#"wazzup_user_info{account="acme",user="1",name="",role=""} 1"#]
    );
}

#[test]
fn the_lines_of_a_family_stand_together_over_all_accounts() {
    let views = ["one", "two", "three"].map(|name| {
        let account = fixture(name, &["1", "2"]);
        let mut list = users(&account);
        read(&mut list[1], 5, CounterType::Red, start());
        publish(&account, list, Facts::default())
    });
    let process = ProcessMetrics::default().gather();
    for (format, now) in [
        (Format::Text, start()),
        (Format::OpenMetrics, start()),
        (Format::OpenMetrics, start().plus(3600 * SECOND)),
    ] {
        let text = text(&views, &process, format, now);
        let text = String::from_utf8(text).unwrap();
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut names: Vec<&str> = families.collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a family is described twice");
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
        assert_eq!(text.matches("# EOF").count(), usize::from(format == Format::OpenMetrics));
    }
}
