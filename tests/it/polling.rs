//! From upstream's counters to the series of an exposition.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wazzup_exporter::account::Account;
use wazzup_exporter::config;

use wazzup_exporter::simulator::{AccountSpec, Latency, RateLimit, Role, Settings, UserSpec};

use super::support::daemon::World;
use super::support::files::write_private;
use super::support::samples::{counter, value};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::{guard, until_true};

const FAST: &str = "interval: 200ms, timeout: 5s";

#[tokio::test]
async fn a_sweep_is_spread_over_its_interval_and_the_first_one_is_not() {
    let users = 40;
    let world = World::start(still(&["acme"], users), "interval: 3s").await;
    let sweeps = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    world.until("two sweeps", |samples| value(samples, sweeps) >= Some(2.0)).await;
    let arrived: Vec<_> = world.api.log().iter().map(|request| request.arrived).collect();
    let [first, second] = [0, 1].map(|sweep| {
        let [from, to] = [sweep * users, (sweep + 1) * users - 1];
        arrived[to].duration_since(arrived[from])
    });
    // 39 of 40 parts of four fifths of the interval, less what may be made up for.
    assert!(second > Duration::from_millis(2300), "{second:?}");
    assert!(first < second, "{first:?}, {second:?}");
    let share = r#"wazzup_api_rate_limit_share_ratio{account="acme"}"#;
    assert_eq!(value(&world.scrape().await, share), Some(0.6));
    world.stop().await;
}

#[tokio::test]
async fn shows_what_upstream_holds_and_follows_its_changes() {
    let world = World::start(still(&["acme", "globex"], 3), FAST).await;
    for account in ["acme", "globex"] {
        for (user, red) in [("u0", 1.0), ("u1", 11.0), ("u2", 21.0)] {
            let samples = world
                .until("the first figure", |samples| {
                    value(samples, &counter(account, user, "red")) == Some(red)
                })
                .await;
            assert_eq!(value(&samples, &counter(account, user, "grey")), Some(0.0));
        }
    }
    world.api.set("acme", "u1", 4, "grey").unwrap();
    let samples = world
        .until("the turned counter", |samples| {
            value(samples, &counter("acme", "u1", "grey")) == Some(4.0)
        })
        .await;
    assert_eq!(value(&samples, &counter("acme", "u1", "red")), Some(0.0));
    assert_eq!(value(&samples, &counter("globex", "u1", "red")), Some(11.0));
    world.stop().await;
}

#[tokio::test]
async fn odd_ids_reach_upstream_as_one_segment_and_come_back_escaped() {
    let odd = [
        ("a/b", "a%2Fb", "a/b"),
        ("ünï", "%C3%BCn%C3%AF", "ünï"),
        ("q\"uo\\te", "q%22uo%5Cte", r#"q\"uo\\te"#),
        ("%2E", "%252E", "%2E"),
        ("a b?c=d#e&f+g", "a%20b%3Fc%3Dd%23e%26f%2Bg", "a b?c=d#e&f+g"),
    ];
    let mut account = AccountSpec::new("acme", "12345678", "token");
    for (number, (id, _, _)) in odd.iter().enumerate() {
        let user = UserSpec::new(id, "Name", Role::SalesRep).pinned(number as u64 + 1, "red");
        account = account.user(user);
    }
    let settings = Settings { accounts: vec![account], ..Settings::default() };
    let world = World::start(settings, FAST).await;
    for (number, (_, _, label)) in odd.iter().enumerate() {
        let red = Some(number as f64 + 1.0);
        let series = counter("acme", label, "red");
        world.until(label, |samples| value(samples, &series) == red).await;
    }
    let paths: Vec<String> = world.api.log().into_iter().map(|request| request.path).collect();
    for (_, segment, _) in odd {
        let path = format!("/v2/counters/unanswered/{segment}");
        assert!(paths.contains(&path), "{path} is not among {paths:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn each_user_is_asked_once_per_sweep_with_its_account_s_token() {
    let world = World::start(still(&["acme", "globex"], 20), FAST).await;
    world.api_until("three sweeps of both", |log| log.total >= 120).await;
    let log = world.api.log();
    for name in ["acme", "globex"] {
        let requests = log.iter().filter(|request| request.account.as_deref() == Some(name));
        let users: Vec<_> = requests.map(|request| request.user.clone().unwrap()).collect();
        for sweep in users.chunks_exact(20) {
            let mut sorted = sweep.to_vec();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), 20, "a user was asked twice in a sweep: {sweep:?}");
        }
    }
    assert_eq!(world.api.counts().status(401), 0);
    world.stop().await;
}

#[tokio::test]
async fn concurrency_is_bounded_per_account_and_over_all() {
    let mut settings = still(&["one", "two", "three"], 30);
    let latency = Duration::from_millis(20);
    settings.latency = Latency { min: latency, max: latency };
    let (api, url) = serve(settings).await;
    let yaml = configuration(&api, &url, "interval: 200ms, timeout: 5s, concurrency: 4");
    let world = World::start_with(api, &format!("max_in_flight: 6\n{yaml}")).await;
    let mut most_open = 0;
    world
        .api_until("two sweeps of all", |log| {
            most_open = most_open.max(log.open);
            log.total >= 180
        })
        .await;
    assert!((5..=6).contains(&most_open), "{most_open} requests were open together");
    for (account, counts) in world.api.counts().accounts {
        assert!(counts.max_open <= 4, "{account}: {counts:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_sweep_that_outlasts_its_interval_is_followed_at_once_and_counted() {
    let mut settings = still(&["acme"], 4);
    let latency = Duration::from_millis(150);
    settings.latency = Latency { min: latency, max: latency };
    let world = World::start(settings, "interval: 100ms, timeout: 5s, concurrency: 1").await;
    let overruns = r#"wazzup_sweep_overruns_total{account="acme"}"#;
    let samples = world.until("overruns", |samples| value(samples, overruns) >= Some(2.0)).await;
    let sweeps = value(&samples, r#"wazzup_sweeps_total{account="acme",result="ok"}"#).unwrap();
    assert!(sweeps >= 2.0);
    let log = world.api.log();
    let order: Vec<_> = log.iter().filter_map(|request| request.user.as_deref()).collect();
    for (number, user) in order.iter().enumerate() {
        assert_eq!(*user, format!("u{}", number % 4), "sweeps overlap: {order:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn accounts_start_apart_from_each_other() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let world = World::start(still(&names, 1), "interval: 2s, timeout: 5s").await;
    world.api_until("one request of each", |log| log.total >= 8).await;
    let mut first = BTreeMap::new();
    for request in world.api.log() {
        first.entry(request.account.unwrap()).or_insert(request.arrived);
    }
    let earliest = first.values().min().unwrap();
    let latest = first.values().max().unwrap();
    assert_eq!(first.len(), 8);
    // The names' phases are fixed and spread over more than half of the interval.
    assert!(latest.duration_since(*earliest) > Duration::from_secs(1));
    world.stop().await;
}

#[tokio::test]
async fn a_replaced_token_file_is_read_again() {
    let (api, url) = serve(Settings {
        accounts: vec![
            AccountSpec::new("old", "10000001", "old-token"),
            AccountSpec::new("new", "10000002", "new-token")
                .user(UserSpec::new("1", "Anna", Role::SalesRep).pinned(7, "red")),
        ],
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write_private(&file, "old-token\n");
    let yaml = format!(
        "poll: {{{FAST}}}\naccounts: [{{name: acme, base_url: '{url}', auth: {{token_file: {}}}, users: [{{id: '1'}}]}}]",
        file.display()
    );
    let world = World::start_with(api, &yaml).await;
    let unknown = r#"wazzup_user_untrusted{account="acme",user="1",reason="unknown_user"}"#;
    world.until("the old account's answer", |samples| samples.contains_key(unknown)).await;
    write_private(&file, "new-token\n");
    let series = counter("acme", "1", "red");
    world.until("the new account's answer", |samples| value(samples, &series) == Some(7.0)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_refused_token_that_is_replaced_in_its_file_ends_the_wait_for_the_next_sweep() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write_private(&file, "revoked\n");
    let yaml = format!(
        "poll: {{interval: 1h, timeout: 5s}}\n\
         accounts: [{{name: acme, base_url: '{url}', auth: {{token_file: {}}}, users: [{{id: u0}}]}}]",
        file.display()
    );
    let world = World::start_with(api, &yaml).await;
    let refused = r#"wazzup_account_failing{account="acme",reason="unauthorized"}"#;
    world.until("the refusal", |samples| samples.contains_key(refused)).await;
    write_private(&file, "token-of-acme\n");
    // The file is looked at every 30 seconds; the next sweep is an hour away.
    let red = counter("acme", "u0", "red");
    world.until("a reading", |samples| value(samples, &red) == Some(1.0)).await;
    world.stop().await;
}

#[tokio::test]
async fn readiness_comes_with_the_first_attempt_of_every_account() {
    let world = World::start(still(&["acme", "globex"], 1), "interval: 1s, timeout: 5s").await;
    until_true("readiness", async || {
        // Counted before readiness is read, so that no request is answered in between.
        let total = world.api.counts().total;
        let ready = world.get("/-/ready").await.status() == 200;
        assert!(ready || total <= 10, "not ready after many attempts");
        ready
    })
    .await;
    let counts = world.api.counts();
    assert_eq!(counts.accounts.len(), 2, "{counts:?}");
    assert_eq!(world.get("/-/healthy").await.status(), 200);
    world.stop().await;
}

#[tokio::test]
async fn accounts_are_replaced_while_running_without_a_gap() {
    let (api, url) = serve(still(&["stays", "changes", "goes", "comes"], 2)).await;
    let whole = configuration(&api, &url, FAST);
    let parse = |yaml: &str| config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let all = parse(&whole).accounts;
    let mut first = parse(&whole);
    first.accounts.retain(|account| account.name.as_str() != "comes");
    let world = World::start_config(api, first, None).await;
    let red = |account| counter(account, "u1", "red");
    world
        .until("all figures", |samples| {
            ["stays", "changes", "goes"].iter().all(|name| samples.contains_key(&red(name)))
        })
        .await;
    let mut changed = Account::clone(&all[1]);
    changed.poll.interval = Duration::from_hours(1);
    world.api.add_fault("hang,account=changes".parse().unwrap());
    let swept = r#"wazzup_sweeps_total{account="stays",result="ok"}"#;
    let before = value(&world.scrape().await, swept).unwrap();
    let wanted = vec![Arc::clone(&all[0]), Arc::new(changed), Arc::clone(&all[3])];
    guard("the replacement", world.accounts.replace(wanted)).await;
    let now = world.scrape().await;
    assert_eq!(value(&now, &red("stays")), Some(11.0));
    assert_eq!(value(&now, &red("changes")), Some(11.0), "a changed account keeps its readings");
    let interval = r#"wazzup_poll_interval_seconds{account="changes"}"#;
    assert_eq!(value(&now, interval), Some(3600.0));
    assert!(!now.keys().any(|series| series.contains(r#"account="goes""#)));
    assert!(value(&now, swept) >= Some(before));
    world.until("the new account", |samples| value(samples, &red("comes")) == Some(11.0)).await;
    world.until("the old one's rhythm", |samples| value(samples, swept) > Some(before + 1.0)).await;
    world.stop().await;
}
