//! How an account is polled while it cannot be read, and how it recovers.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wazzup_exporter::config::{self, Permissions};
use wazzup_exporter::simulator::{
    Access, AccountSpec, Credential, RateLimit, Role, Settings, UserSpec,
};
use wazzup_exporter::storage::Storage;

use super::support::daemon::World;
use super::support::files::{write_config, write_private, write_script};
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::until_true;

const FAST: &str = "interval: 200ms, timeout: 5s";

fn requests(outcome: &str) -> String {
    format!(r#"wazzup_api_requests_total{{account="acme",endpoint="counter",outcome="{outcome}"}}"#)
}

#[tokio::test]
async fn what_is_refused_with_429_is_delayed_and_not_dropped() {
    let mut settings = still(&["acme"], 20);
    settings.faults = vec!["count=3,retry_after=429:1".parse().unwrap()];
    let world = World::start(settings, FAST).await;
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    let samples = world.until("a sweep", |samples| value(samples, ok) >= Some(1.0)).await;
    assert_eq!(value(&samples, &requests("rate_limited")), Some(3.0));
    let sweeps = |result| format!(r#"wazzup_sweeps_total{{account="acme",result="{result}"}}"#);
    for result in ["partial", "failed"] {
        assert_eq!(value(&samples, &sweeps(result)), Some(0.0), "{result}");
    }
    let waited = r#"wazzup_api_rate_limit_wait_seconds_total{account="acme"}"#;
    assert!(value(&samples, waited) >= Some(0.9), "{:?}", value(&samples, waited));
    assert_eq!(value(&samples, &counter("acme", "u19", "red")), Some(191.0));
    world.stop().await;
}

#[tokio::test]
async fn a_pause_of_five_minutes_is_healthy_and_does_not_hold_up_the_end() {
    let mut settings = still(&["acme", "globex"], 3);
    settings.faults = vec!["account=acme,retry_after=429:300".parse().unwrap()];
    // Twice the time limit and five seconds is how far a poller may pass its promise.
    let world = World::start(settings, "interval: 200ms, timeout: 100ms").await;
    let waited = r#"wazzup_sweeps_total{account="globex",result="ok"}"#;
    world.until("seven seconds of sweeps", |samples| value(samples, waited) >= Some(35.0)).await;
    let samples = world.scrape().await;
    let restarts = r#"wazzup_exporter_poller_restarts_total{account="acme"}"#;
    assert_eq!(value(&samples, restarts), Some(0.0));
    assert!(value(&samples, &requests("rate_limited")) <= Some(8.0));
    assert_eq!(world.get("/-/healthy").await.status(), 200);
    let started = Instant::now();
    world.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_refused_token_is_tried_with_single_requests() {
    let mut settings = still(&["acme"], 50);
    settings.accounts[0].access = Access::Revoked;
    let world = World::start(settings, FAST).await;
    world.api_until("probes", |log| log.total >= 11).await;
    // The first sweep has eight requests open when the first refusal comes; then one at a time.
    let log = world.api.log();
    for pair in log[8..].windows(2) {
        let pause = pair[1].arrived.duration_since(pair[0].arrived);
        assert!(pause >= Duration::from_millis(190), "{pause:?} between two probes");
    }
    let asked: Vec<_> = log[8..].iter().map(|request| request.user.clone()).collect();
    assert_ne!(asked[0], asked[1], "another user in turn");
    world.api.set_access("acme", Access::Normal).unwrap();
    let last = counter("acme", "u49", "red");
    let samples = world.until("all figures", |samples| value(samples, &last).is_some()).await;
    assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(1.0));
    world.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_is_asked_once_per_interval_and_recovers_at_once() {
    let poll = "interval: 200ms, timeout: 400ms, stale_after: 800ms";
    let world = World::start(still(&["acme"], 60), poll).await;
    let last = counter("acme", "u59", "red");
    world.until("all figures", |samples| value(samples, &last).is_some()).await;
    world.api.add_fault("status=500".parse().unwrap());
    // Three whole sweeps fail; what comes after them are single requests.
    let failed = r#"wazzup_sweeps_total{account="acme",result="failed"}"#;
    let three = world.until("failed sweeps", |samples| value(samples, failed) >= Some(4.0)).await;
    let more = world
        .until("probes", |samples| {
            value(samples, failed) >= Some(value(&three, failed).unwrap() + 5.0)
        })
        .await;
    let errors = requests("server_error");
    let [sweeps, asked] = [failed, &errors]
        .map(|series| value(&more, series).unwrap() - value(&three, series).unwrap());
    assert!((asked - sweeps).abs() < 1.5, "{asked} requests in {sweeps} sweeps");
    assert_eq!(value(&more, &last), None);
    assert_eq!(value(&more, r#"wazzup_up{account="acme"}"#), Some(0.0));
    let failing = r#"wazzup_account_failing{account="acme",reason="server_error"}"#;
    assert_eq!(value(&more, failing), Some(1.0));
    assert_eq!(world.get("/-/healthy").await.status(), 200);
    world.api.clear_faults();
    let samples = world.until("all figures again", |samples| value(samples, &last).is_some()).await;
    assert!(!samples.contains_key(failing));
    world.stop().await;
}

#[tokio::test]
async fn a_large_account_that_is_down_says_so_after_few_requests() {
    let mut settings = still(&["acme"], 500);
    settings.faults = vec!["status=500".parse().unwrap()];
    let world = World::start(settings, "interval: 5s, timeout: 1s").await;
    let failed = r#"wazzup_sweeps_total{account="acme",result="failed"}"#;
    let samples = world.until("a sweep", |samples| value(samples, failed) == Some(1.0)).await;
    let failing = r#"wazzup_account_failing{account="acme",reason="server_error"}"#;
    assert_eq!(value(&samples, failing), Some(1.0));
    let asked = world.api.counts().total;
    assert!(asked <= 32, "{asked} requests to an upstream that is down");
    world.stop().await;
}

#[tokio::test]
async fn many_broken_users_in_front_do_not_hide_the_others() {
    for status in [400, 401, 403, 500] {
        let mut settings = still(&["acme"], 60);
        for user in 0..30 {
            settings.faults.push(format!("user=u{user},status={status}").parse().unwrap());
        }
        let world = World::start(settings, FAST).await;
        let last = counter("acme", "u59", "red");
        world.until("the others", |samples| value(samples, &last).is_some()).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn while_everything_is_refused_with_429_the_account_says_so() {
    let mut settings = still(&["acme"], 3);
    settings.faults = vec!["retry_after=429:60".parse().unwrap()];
    let world = World::start(settings, FAST).await;
    let failing = r#"wazzup_account_failing{account="acme",reason="rate_limited"}"#;
    let samples = world.until("the reason", |samples| samples.contains_key(failing)).await;
    assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(0.0));
    world.stop().await;
}

#[tokio::test]
async fn one_forbidden_user_does_not_forbid_the_account() {
    let mut settings = still(&["acme"], 12);
    settings.faults = vec!["user=u0,status=403".parse().unwrap()];
    let world = World::start(settings, FAST).await;
    let last = counter("acme", "u11", "red");
    let samples = world.until("the others", |samples| value(samples, &last).is_some()).await;
    assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(1.0));
    assert_eq!(value(&samples, &counter("acme", "u0", "red")), None);
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_was_replaced_in_its_file_costs_no_reading() {
    let user = |id: &str| UserSpec::new(id, "Anna", Role::SalesRep).pinned(7, "red");
    let new = (0..30).fold(AccountSpec::new("new", "10000002", "new-token"), |account, number| {
        account.user(user(&format!("u{number}")))
    });
    let mut old = AccountSpec::new("old", "10000001", "old-token");
    old.access = Access::Revoked;
    let accounts = vec![old, new];
    let limit = RateLimit::UNLIMITED;
    let (api, url) = serve(Settings { accounts, limit, ..Settings::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write_private(&file, "old-token");
    // The first answers come late enough for the token to be replaced meanwhile.
    api.add_fault("latency=300ms,account=old".parse().unwrap());
    let users: Vec<String> = (0..30).map(|number| format!("{{id: 'u{number}'}}")).collect();
    let yaml = format!(
        "poll: {{interval: 1s, timeout: 5s}}\naccounts: [{{name: acme, base_url: '{url}', auth: {{token_file: {}}}, users: [{}]}}]",
        file.display(),
        users.join(", ")
    );
    let world = World::start_with(api, &yaml).await;
    world.api_until("requests with the old token", |log| log.open >= 8).await;
    std::fs::write(&file, "new-token").unwrap();
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    let failed = r#"wazzup_sweeps_total{account="acme",result="failed"}"#;
    let partial = r#"wazzup_sweeps_total{account="acme",result="partial"}"#;
    let samples = world.until("a sweep", |samples| value(samples, ok) >= Some(1.0)).await;
    assert_eq!(value(&samples, failed), Some(0.0));
    // Those who were refused first count as partly failed only if they were not asked again.
    assert_eq!(value(&samples, partial), Some(0.0));
    assert_eq!(value(&samples, &counter("acme", "u29", "red")), Some(7.0));
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_has_ended_by_both_clocks_is_not_sent_and_a_new_one_in_its_file_is() {
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 60;
    let [over, good] = [end, end + 3600].map(|end| {
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end}}}"));
        format!("e30.{claims}.c2ln")
    });
    let mut settings = still(&["old", "new"], 3);
    for (account, token) in settings.accounts.iter_mut().zip([&over, &good]) {
        account.credential = Credential::Token(token.clone().into());
    }
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write_private(&file, &over);
    let yaml = format!(
        "poll: {{{FAST}}}\naccounts: [{{name: acme, base_url: '{url}', channels: {{enabled: false}}, \
         auth: {{token_file: {}}}, users: [{{id: u0}}, {{id: u1}}, {{id: u2}}]}}]",
        file.display()
    );
    let world = World::start_with(api, &yaml).await;
    // Upstream's clock is known from its first answers.
    let failing = r#"wazzup_account_failing{account="acme",reason="unauthorized"}"#;
    world.until("the end", |samples| value(samples, failing) == Some(1.0)).await;
    let sent = world.api.counts().total;
    assert!((1..=3).contains(&sent), "{sent}");
    until_true("the reason", async || {
        world.get("/api/v1/status").await.text().await.unwrap().contains("has expired; replace it")
    })
    .await;
    write_private(&file, &good);
    let ok = requests("ok");
    world.until("new figures", |samples| value(samples, &ok) >= Some(sent as f64 + 3.0)).await;
    assert_eq!(world.api.counts().status(401), 0);
    world.stop().await;
}

/// Waits until times that are shown in whole seconds, as `since` is, come out later than it.
async fn until_later(since: Option<f64>) {
    let since = since.unwrap();
    until_true("another second", async || {
        SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() > since + 1.1
    })
    .await;
}

#[tokio::test]
async fn red_since_lasts_over_short_failures_and_ends_with_zero_or_grey() {
    let world = World::start(still(&["acme"], 1), FAST).await;
    let since = r#"wazzup_unanswered_red_since_timestamp_seconds{account="acme",user="u0"}"#;
    let came = r#"wazzup_unanswered_increase_total{account="acme",user="u0"}"#;
    let answered = r#"wazzup_unanswered_decrease_total{account="acme",user="u0"}"#;
    let first = world.until("red", |samples| samples.contains_key(since)).await;
    world.api.set("acme", "u0", 5, "red").unwrap();
    let more = world.until("more", |samples| value(samples, came) == Some(4.0)).await;
    assert_eq!(more[since], first[since]);
    world.api.set("acme", "u0", 0, "red").unwrap();
    let none = world.until("none", |samples| value(samples, answered) == Some(5.0)).await;
    assert!(!none.contains_key(since));
    world.api.set("acme", "u0", 9, "grey").unwrap();
    let grey = counter("acme", "u0", "grey");
    world.until("grey", |samples| value(samples, &grey) == Some(9.0)).await;
    until_later(value(&first, since)).await;
    world.api.set("acme", "u0", 9, "red").unwrap();
    let again = world.until("red again", |samples| samples.contains_key(since)).await;
    assert_eq!(value(&again, came), Some(4.0), "a turn is no message");
    assert!(value(&again, since) > value(&first, since));
    world.stop().await;
}

#[tokio::test]
async fn red_since_survives_a_restart_of_the_exporter() {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let yaml = configuration(&api, &url, FAST);
    let folder = tempfile::tempdir().unwrap();
    let storage = Some(Storage::new(folder.path().join("data")));
    let since = r#"wazzup_unanswered_red_since_timestamp_seconds{account="acme",user="u1"}"#;
    let came = r#"wazzup_unanswered_increase_total{account="acme",user="u1"}"#;
    let first = World::start_in(api.clone(), &yaml, storage.clone()).await;
    let before = first.until("red", |samples| samples.contains_key(since)).await;
    // What was shown is on disk once the sweep after it has begun.
    let seen = first.api.counts().total;
    first.api_until("another sweep", |log| log.total > seen + 2).await;
    first.stop().await;
    api.set("acme", "u1", 14, "red").unwrap();
    let second = World::start_in(api, &yaml, storage).await;
    let after = second.until("red", |samples| samples.contains_key(since)).await;
    assert_eq!(after[since], before[since]);
    assert_eq!(value(&after, came), Some(3.0), "what came during the outage");
    second.stop().await;
}

/// A token that names its account.
fn token_naming(number: &str) -> String {
    let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"child_id":"{number}"}}"#));
    format!("eyJhbGciOiJub25lIn0.{payload}.c2ln")
}

#[tokio::test]
async fn trends_of_one_account_are_never_those_of_another_whose_token_takes_its_place() {
    let account = |name: &str, number: &str, count| {
        let user = UserSpec::new("u0", "Anna", Role::SalesRep).pinned(count, "red");
        AccountSpec::new(name, number, &token_naming(number)).user(user)
    };
    let accounts = vec![account("one", "10000001", 5), account("two", "10000002", 9)];
    let limit = RateLimit::UNLIMITED;
    let settings = Settings { accounts, speed: 0.0, limit, ..Settings::default() };
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write_private(&file, &token_naming("10000001"));
    let yaml = format!(
        "poll: {{{FAST}}}\naccounts:\n- {{name: acme, base_url: '{url}', auth: {{token_file: '{}'}},\n\
         \x20  channels: {{enabled: false}}, users: [{{id: u0}}]}}\n",
        file.display()
    );
    let storage = Some(Storage::new(folder.path().join("data")));
    let since = r#"wazzup_unanswered_red_since_timestamp_seconds{account="acme",user="u0"}"#;
    let came = r#"wazzup_unanswered_increase_total{account="acme",user="u0"}"#;
    let red = counter("acme", "u0", "red");
    let until_red = async |world: &World, count: f64| {
        world.until("red", |samples| value(samples, &red) == Some(count)).await
    };
    let world = World::start_in(api.clone(), &yaml, storage.clone()).await;
    let first = until_red(&world, 5.0).await;
    until_later(value(&first, since)).await;
    write_private(&file, &token_naming("10000002"));
    let second = until_red(&world, 9.0).await;
    assert!(value(&second, since) > value(&first, since), "while it runs");
    assert_eq!(value(&second, came), Some(0.0));
    world.stop().await;

    until_later(value(&second, since)).await;
    write_private(&file, &token_naming("10000001"));
    let world = World::start_in(api.clone(), &yaml, storage.clone()).await;
    let third = until_red(&world, 5.0).await;
    assert!(value(&third, since) > value(&second, since), "over a restart");
    world.stop().await;

    let world = World::start_in(api, &yaml, storage).await;
    assert_eq!(until_red(&world, 5.0).await[since], third[since], "the same account's are kept");
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_names_another_account_within_a_sweep_books_nothing_under_the_old_one() {
    const USERS: usize = 40;
    let account = |name: &str, number: &str, count| {
        let account = AccountSpec::new(name, number, &token_naming(number));
        (0..USERS).fold(account, |account, user| {
            let user = UserSpec::new(&format!("u{user}"), "Anna", Role::SalesRep);
            account.user(user.pinned(count, "red"))
        })
    };
    let accounts = vec![account("one", "10000001", 5), account("two", "10000002", 9)];
    let limit = RateLimit::UNLIMITED;
    let settings = Settings { accounts, speed: 0.0, limit, ..Settings::default() };
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let (token, script) = (folder.path().join("token"), folder.path().join("get-token"));
    write_private(&token, &token_naming("10000001"));
    let print = r#"printf '{"access_token":"%s","expires_in":2}' "$(cat "#;
    write_script(&script, &format!("#!/bin/sh\n{print}{})\"\n", token.display()));
    let users: Vec<String> = (0..USERS).map(|user| format!("{{id: u{user}}}")).collect();
    let yaml = format!(
        "poll: {{interval: 4s, timeout: 5s}}\naccounts:\n- {{name: acme, base_url: '{url}', \
         auth: {{token_command: ['{}']}}, channels: {{enabled: false}}, users: [{}]}}\n",
        script.display(),
        users.join(", ")
    );
    let file = write_config(folder.path(), &yaml);
    let config = config::load(&file, Permissions { token_command: true }).unwrap();
    let world = World::start_config(api, config, None).await;
    // Regular sweeps are spread over 3.2 s, and the token is renewed at least once in each.
    world.api_until("the second sweep", |log| log.total > USERS as u64 + 2).await;
    write_private(&token, &token_naming("10000002"));
    let shown = |samples: &Samples, family: &str| -> Vec<u64> {
        let wanted = format!("{family}{{account=\"acme\"");
        let found = samples.iter().filter(|(series, _)| {
            series.starts_with(&wanted) && !series.contains(r#"type="grey""#)
        });
        found.map(|(_, value)| value.parse().unwrap()).collect()
    };
    let red = "wazzup_unanswered_messages";
    let mut mixed = Vec::new();
    let changed = |samples: &Samples| {
        let figures = shown(samples, red);
        let new = figures.iter().filter(|count| **count == 9).count();
        if new > 0 && new < figures.len() {
            mixed.push(figures);
        }
        // Messages of two accounts are no messages that came.
        let came = shown(samples, "wazzup_unanswered_increase_total");
        assert!(came.iter().all(|count| *count == 0), "{came:?}");
        new == USERS
    };
    world.until("the figures of the other account", changed).await;
    assert_eq!(mixed, Vec::<Vec<u64>>::new(), "figures of two accounts at once");
    world.stop().await;
}
