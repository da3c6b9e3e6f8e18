//! A failure of upstream affects its own account or user, and never becomes a number.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use wazzup_exporter::app::Daemon;
use wazzup_exporter::config;
use wazzup_exporter::shard::Shard;
use wazzup_exporter::shutdown::Shutdown;
use wazzup_exporter::simulator::{Access, Fault, Log};

use super::support::daemon::{World, options};
use super::support::samples::{Samples, counter, value};
use super::support::upstream::{configuration, serve, still};
use super::support::wait::{guard, until_true};

const FAST: &str = "interval: 200ms, timeout: 5s";

#[tokio::test]
async fn a_failure_of_one_user_costs_that_user_only() {
    for (fault, outcome) in [
        ("status=500", "server_error"),
        ("status=401", "unauthorized"),
        ("status=403", "forbidden"),
        ("status=404", "not_found"),
        ("status=400", "client_error"),
        ("status=204", "malformed"),
        ("reset", "connect"),
        ("truncated", "malformed"),
        ("oversized", "malformed"),
        ("malformed", "malformed"),
        (r#"body={"data":{"counter":"five","type":"red"}}"#, "malformed"),
        ("gzip", "malformed"),
        ("header=Age: 10800", "malformed"),
        (r#"body={"data":{"counter":0},"meta":{}}"#, "malformed"),
        (r#"body={"data":{"counter":-1,"type":"red"}}"#, "malformed"),
        (r#"body={"counter":0,"type":"red"}"#, "malformed"),
        ("body=", "malformed"),
    ] {
        let mut settings = still(&["acme"], 5);
        let (before, kind) = fault.split_at(fault.find("body=").unwrap_or(0));
        settings.faults = vec![format!("{before}user=u2,{kind}").parse().unwrap()];
        let world = World::start(settings, FAST).await;
        let requests = format!(
            r#"wazzup_api_requests_total{{account="acme",endpoint="counter",outcome="{outcome}"}}"#
        );
        let samples = world.until(fault, |samples| value(samples, &requests) >= Some(2.0)).await;
        for (user, red) in [("u0", 1.0), ("u1", 11.0), ("u3", 31.0), ("u4", 41.0)] {
            assert_eq!(value(&samples, &counter("acme", user, "red")), Some(red), "{fault}");
            assert_eq!(value(&samples, &up("acme", user)), Some(1.0), "{fault}");
        }
        assert_eq!(value(&samples, &counter("acme", "u2", "red")), None, "{fault}");
        assert_eq!(value(&samples, &counter("acme", "u2", "grey")), None, "{fault}");
        assert_eq!(value(&samples, &up("acme", "u2")), Some(0.0), "{fault}");
        assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(1.0), "{fault}");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_comes_from_a_cache_or_compressed_is_refused_in_these_words() {
    let world = World::start(still(&["acme"], 2), FAST).await;
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    world.until("a sweep", |samples| value(samples, ok) >= Some(1.0)).await;
    let old = "old; something on the way may answer from a cache";
    for (fault, words) in [
        ("header=Age: 10800", old),
        // From a cache that adds no Age.
        ("header=Date: Sun, 09 Sep 2001 01:46:40 GMT", old),
        ("gzip", "it is encoded as gzip, which was not asked for"),
    ] {
        let good = value(&world.scrape().await, ok).unwrap();
        world.until("sweeps", |samples| value(samples, ok) >= Some(good + 2.0)).await;
        world.api.add_fault(fault.parse().unwrap());
        until_true(fault, async || {
            world.get("/api/v1/status").await.text().await.unwrap().contains(words)
        })
        .await;
        world.api.clear_faults();
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_again_behind_the_poller_s_back() {
    let mut settings = still(&["acme"], 1);
    settings.faults = vec!["reset".parse().unwrap()];
    let world = World::start(settings, FAST).await;
    let failed =
        r#"wazzup_api_requests_total{account="acme",endpoint="counter",outcome="connect"}"#;
    let samples = world.until("failures", |samples| value(samples, failed) >= Some(3.0)).await;
    world.shutdown.begin();
    // One more may have been under way when the exposition was made.
    let seen = world.api.counts().total as f64;
    let counted = value(&samples, failed).unwrap();
    assert!(seen <= counted + 2.0, "upstream saw {seen} requests, {counted} were counted");
    world.stop().await;
}

#[tokio::test]
async fn what_fails_once_is_asked_again_in_the_same_sweep() {
    let mut settings = still(&["acme"], 3);
    settings.faults = vec!["count=1,user=u1,status=500".parse().unwrap()];
    let (api, url) = serve(settings).await;
    let yaml = configuration(&api, &url, "interval: 1h, timeout: 5s");
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let report = wazzup_exporter::app::poll_once(config, &Shard::WHOLE, None).await.unwrap();
    assert!(report.incomplete.is_empty(), "{:?}", report.incomplete);
    let samples =
        super::support::samples::samples(std::str::from_utf8(&report.exposition).unwrap());
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    assert_eq!(value(&samples, ok), Some(1.0));
    assert_eq!(value(&samples, &counter("acme", "u1", "red")), Some(11.0));
    assert_eq!(api.counts().total, 4);
}

#[tokio::test]
async fn a_user_who_is_asked_again_in_the_same_sweep_is_never_shown_as_failed() {
    let world = World::start(still(&["acme"], 40), "interval: 4s, concurrency: 1").await;
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    let up = r#"wazzup_user_up{account="acme",user="u3"}"#;
    world.until("the first sweep", |samples| value(samples, ok) >= Some(1.0)).await;
    world.api.add_fault("count=1,user=u3,status=500".parse().unwrap());
    world
        .until("another sweep", |samples| {
            assert_eq!(value(samples, up), Some(1.0));
            value(samples, ok) >= Some(2.0)
        })
        .await;
    assert_eq!(world.api.counts().status(500), 1);
    assert_eq!(
        value(&world.scrape().await, r#"wazzup_sweeps_total{account="acme",result="partial"}"#),
        Some(0.0)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_so() {
    let (other, other_url) = serve(still(&["elsewhere"], 1)).await;
    let mut settings = still(&["acme"], 1);
    settings.faults = vec![format!("redirect={other_url}/v2/").parse().unwrap()];
    let world = World::start(settings, FAST).await;
    let failing = r#"wazzup_account_failing{account="acme",reason="malformed"}"#;
    world.until("the failure", |samples| samples.contains_key(failing)).await;
    let status = world.get("/api/v1/status").await.text().await.unwrap();
    assert!(status.contains("which is not followed; check base_url"), "{status}");
    assert_eq!(other.counts().total, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_refused_token_is_named_and_leaves_other_accounts_alone() {
    for (access, reason) in [(Access::Revoked, "unauthorized"), (Access::Forbidden, "forbidden")] {
        let mut settings = still(&["acme", "globex"], 2);
        settings.accounts[0].access = access;
        let world = World::start(settings, FAST).await;
        let failing = format!(r#"wazzup_account_failing{{account="acme",reason="{reason}"}}"#);
        let samples = world
            .until(reason, |samples| {
                samples.contains_key(&failing)
                    && value(samples, &counter("globex", "u1", "red")) == Some(11.0)
            })
            .await;
        assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(0.0));
        assert_eq!(value(&samples, &counter("acme", "u0", "red")), None);
        assert_eq!(value(&samples, r#"wazzup_up{account="globex"}"#), Some(1.0));
        world.api.set_access("acme", Access::Normal).unwrap();
        let samples = world
            .until("recovery", |samples| {
                value(samples, r#"wazzup_up{account="acme"}"#) == Some(1.0)
            })
            .await;
        assert!(!samples.contains_key(&failing));
        world.stop().await;
    }
}

#[tokio::test]
async fn figures_vanish_when_upstream_is_gone_for_longer_than_they_keep() {
    let poll = "interval: 200ms, timeout: 400ms, stale_after: 1s";
    let world = World::start(still(&["acme"], 3), poll).await;
    let series = counter("acme", "u2", "red");
    world.until("a figure", |samples| value(samples, &series) == Some(21.0)).await;
    world.api.add_fault("status=500".parse().unwrap());
    let samples = world.until("no figure", |samples| !samples.contains_key(&series)).await;
    assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(0.0));
    assert_eq!(value(&samples, &up("acme", "u2")), Some(0.0));
    assert!(samples.keys().any(|series| series.starts_with("wazzup_user_info{")));
    world.api.clear_faults();
    world.until("the figure again", |samples| value(samples, &series) == Some(21.0)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_type_never_documented_is_neither_red_nor_grey() {
    let world = World::start(still(&["acme"], 1), FAST).await;
    world.api.set("acme", "u0", 5, serde_json::Value::Null).unwrap();
    let other = counter("acme", "u0", "other");
    let samples = world.until("other", |samples| value(samples, &other) == Some(5.0)).await;
    assert!(!samples.contains_key(&counter("acme", "u0", "red")));
    assert!(!samples.contains_key(&counter("acme", "u0", "grey")));
    world.api.set("acme", "u0", 0, "violet").unwrap();
    let red = counter("acme", "u0", "red");
    let samples = world.until("zero", |samples| value(samples, &red) == Some(0.0)).await;
    assert!(!samples.contains_key(&other));
    world.stop().await;
}

#[tokio::test]
async fn an_account_that_hangs_holds_up_neither_others_nor_the_end() {
    let names = ["hung", "a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let mut settings = still(&names, 100);
    let hang: Fault = "hang,account=hung".parse().unwrap();
    settings.faults = vec![hang];
    let world = World::start(settings, "interval: 500ms, timeout: 60s, concurrency: 8").await;
    world
        .api_until("every user of the others twice while eight requests hang", |log| {
            let enough = log.status(200) >= 2 * 9 * 100 && log.open >= 8;
            enough && read_twice(log) == 9 * 100
        })
        .await;
    let counts = world.api.counts();
    assert_eq!(counts.accounts["hung"].max_open, 8, "{counts:?}");
    let samples = world.scrape().await;
    assert_eq!(value(&samples, r#"wazzup_up{account="hung"}"#), Some(0.0));
    assert_eq!(value(&samples, r#"wazzup_up{account="i"}"#), Some(1.0));
    let started = Instant::now();
    world.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn every_fault_of_an_account_has_its_outcome_and_leaves_the_others_alone() {
    for (fault, outcome, reason) in [
        ("status=500", "server_error", Some("server_error")),
        ("status=503", "server_error", Some("server_error")),
        ("status=400", "client_error", Some("malformed")),
        ("status=401", "unauthorized", Some("unauthorized")),
        ("status=403", "forbidden", Some("forbidden")),
        ("hang", "timeout", Some("unreachable")),
        ("latency=30s", "timeout", Some("unreachable")),
        ("reset", "connect", Some("unreachable")),
        ("truncated", "malformed", Some("malformed")),
        ("truncated=404", "not_found", Some("malformed")),
        ("empty=404", "not_found", Some("malformed")),
        ("oversized", "malformed", Some("malformed")),
        ("malformed", "malformed", Some("malformed")),
        (r#"body={"data":"nothing here"}"#, "malformed", Some("malformed")),
        ("body=<html>nothing here</html>", "malformed", Some("malformed")),
        ("redirect=http://127.0.0.1:9/", "client_error", Some("malformed")),
        ("latency=50ms", "ok", None),
    ] {
        let mut settings = still(&["acme", "globex"], 3);
        let (conditions, kind) = ("account=acme", fault);
        settings.faults = vec![format!("{conditions},{kind}").parse().unwrap()];
        let world = World::start(settings, "interval: 300ms, timeout: 250ms").await;
        let requests = format!(
            r#"wazzup_api_requests_total{{account="acme",endpoint="counter",outcome="{outcome}"}}"#
        );
        let failing =
            |reason| format!(r#"wazzup_account_failing{{account="acme",reason="{reason}"}}"#);
        let samples = world
            .until(fault, |samples| {
                value(samples, &requests) >= Some(2.0)
                    && reason.is_none_or(|reason| samples.contains_key(&failing(reason)))
                    && value(samples, &counter("globex", "u2", "red")) == Some(21.0)
            })
            .await;
        let shown = value(&samples, &counter("acme", "u0", "red"));
        assert_eq!(shown, (outcome == "ok").then_some(1.0), "{fault}");
        let up = value(&samples, r#"wazzup_up{account="acme"}"#);
        assert_eq!(up, Some(f64::from(u8::from(outcome == "ok"))), "{fault}");
        assert_eq!(value(&samples, r#"wazzup_up{account="globex"}"#), Some(1.0), "{fault}");
        world.stop().await;
    }
}

#[tokio::test]
async fn an_empty_404_fails_the_account_as_well_until_a_user_was_read() {
    let mut settings = still(&["acme"], 2);
    settings.faults = vec!["empty=404".parse().unwrap()];
    let world = World::start(settings, FAST).await;
    let unknown = |samples: &Samples, user: &str| {
        let reason = "reason=\"unknown_user\"";
        let series = format!("wazzup_user_untrusted{{account=\"acme\",user=\"{user}\",{reason}}}");
        samples.contains_key(&series)
    };
    let failing = r#"wazzup_account_failing{account="acme",reason="malformed"}"#;
    let samples = world.until("the failure", |samples| samples.contains_key(failing)).await;
    assert!(unknown(&samples, "u0") || unknown(&samples, "u1"));
    world.api.clear_faults();
    let up = |user| move |samples: &Samples| value(samples, &up("acme", user)) == Some(1.0);
    let samples = world.until("a reading", up("u0")).await;
    assert!(!samples.contains_key(failing));
    world.api.add_fault("empty=404,user=u0".parse().unwrap());
    let samples = world.until("the user to be unknown", |samples| unknown(samples, "u0")).await;
    assert!(!samples.contains_key(&counter("acme", "u0", "red")));
    world.api.add_fault("empty=404".parse().unwrap());
    let samples = world.until("all to be unknown", |samples| unknown(samples, "u1")).await;
    assert!(!samples.contains_key(failing));
    world.stop().await;
}

#[tokio::test]
async fn each_of_many_unknown_users_is_asked_again() {
    let mut settings = still(&["acme"], 6);
    let unknown = |user| format!("empty=404,user=u{user}").parse().unwrap();
    settings.faults = (0..6).map(unknown).collect();
    let world = World::start(settings, FAST).await;
    let sweeps = r#"wazzup_sweeps_total{account="acme",result="failed"}"#;
    let failed = |samples: &Samples| value(samples, sweeps) >= Some(5.0);
    world.until("five sweeps", failed).await;
    world.api.clear_faults();
    for user in [0, 1, 2, 3, 5] {
        world.api.add_fault(unknown(user));
    }
    let read = |samples: &Samples| value(samples, &up("acme", "u4")) == Some(1.0);
    world.until("the one who is known now", read).await;
    world.stop().await;
}

#[tokio::test]
async fn a_task_that_keeps_the_thread_of_the_pollers_does_not_keep_the_process_from_ending() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let yaml = configuration(&api, &url, FAST);
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let polling = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let daemon = Daemon::bind(&options(), config).await.unwrap();
    let shutdown = Shutdown::default();
    let daemon = daemon.polling_in(polling.handle().clone()).run(shutdown.clone());
    let daemon = tokio::spawn(daemon);
    let (keeps, kept) = oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    polling.spawn(async move {
        keeps.send(()).unwrap();
        released.recv().unwrap_err();
    });
    guard("the task", kept).await.unwrap();
    shutdown.begin();
    guard("the end of the exporter", daemon).await.unwrap().unwrap();
    drop(release);
    polling.shutdown_background();
}

#[tokio::test]
async fn forty_hung_accounts_leave_the_others_fresh() {
    let names: Vec<String> = (0..40).map(|number| format!("hung{number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("good");
    let mut settings = still(&names, 20);
    for name in &names[..40] {
        settings.faults.push(format!("hang,account={name}").parse().unwrap());
    }
    let (api, url) = serve(settings).await;
    // Eight requests of each hung account would be five times the cap.
    let yaml = configuration(&api, &url, "interval: 500ms, timeout: 1s, stale_after: 3s");
    let world = World::start_with(api, &format!("max_in_flight: 64\n{yaml}")).await;
    let timeouts = |samples: &Samples| {
        let hung = |name: &&&str| {
            let series = format!(
                r#"wazzup_api_requests_total{{account="{name}",endpoint="counter",outcome="timeout"}}"#
            );
            value(samples, &series) >= Some(8.0)
        };
        names[..40].iter().filter(hung).count()
    };
    let ok = r#"wazzup_sweeps_total{account="good",result="ok"}"#;
    let calm = world.until("all to be known as hung", |samples| timeouts(samples) == 40).await;
    let from = value(&calm, ok).unwrap_or(0.0);
    let samples = world.until("sweeps", |samples| value(samples, ok) >= Some(from + 5.0)).await;
    assert_eq!(value(&samples, r#"wazzup_up{account="good"}"#), Some(1.0));
    for user in 0..20 {
        assert_eq!(value(&samples, &up("good", &format!("u{user}"))), Some(1.0), "u{user}");
    }
    world.stop().await;
}

#[tokio::test]
async fn one_sweep_does_not_wait_for_a_long_pause_and_says_when_to_come_back() {
    let mut settings = still(&["acme", "globex"], 3);
    settings.faults = vec!["account=acme,retry_after=429:3600".parse().unwrap()];
    let (api, url) = serve(settings).await;
    let yaml = configuration(&api, &url, "interval: 1h");
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let report = wazzup_exporter::app::poll_once(config, &Shard::WHOLE, None).await.unwrap();
    let [acme] = &report.incomplete[..] else { panic!("{:?}", report.incomplete) };
    assert!(acme.starts_with("acme (Wazzup24 asks to wait; run it again after 20"), "{acme}");
    let samples: Samples =
        super::support::samples::samples(std::str::from_utf8(&report.exposition).unwrap());
    let failing = r#"wazzup_account_failing{account="acme",reason="rate_limited"}"#;
    assert_eq!(value(&samples, failing), Some(1.0));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = r#"wazzup_account_paused_until_timestamp_seconds{account="acme"}"#;
    let left = value(&samples, until).unwrap() - now.as_secs_f64();
    assert!(left > 1800.0 && left < 3602.0, "{left}");
    let other = r#"wazzup_account_paused_until_timestamp_seconds{account="globex"}"#;
    assert_eq!(value(&samples, other), None);
    assert_eq!(value(&samples, &counter("globex", "u2", "red")), Some(21.0));
}

#[tokio::test]
async fn one_sweep_of_everything_returns_what_could_not_be_read() {
    let mut settings = still(&["acme", "globex"], 3);
    settings.faults = vec!["status=500,account=globex,user=u1".parse().unwrap()];
    let (api, url) = serve(settings).await;
    let yaml = configuration(&api, &url, "interval: 1h");
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let report = wazzup_exporter::app::poll_once(config, &Shard::WHOLE, None).await.unwrap();
    assert_eq!(report.incomplete, ["globex"]);
    let samples: Samples =
        super::support::samples::samples(std::str::from_utf8(&report.exposition).unwrap());
    assert_eq!(value(&samples, &counter("globex", "u2", "red")), Some(21.0));
    assert_eq!(value(&samples, &counter("globex", "u1", "red")), None);
    let partial = r#"wazzup_sweeps_total{account="globex",result="partial"}"#;
    assert_eq!(value(&samples, partial), Some(1.0));
    // The user that failed is asked once more.
    assert_eq!(api.counts().total, 7);
}

#[tokio::test]
async fn a_token_that_upstream_repeats_is_not_shown() {
    for fault in [
        r#"body={"data":"token-of-acme"}"#,
        "redirect=http://127.0.0.1/?token=token-of-acme",
        "retry_after=429:token-of-acme",
    ] {
        let mut settings = still(&["acme"], 1);
        settings.faults = vec![fault.parse().unwrap()];
        let world = World::start(settings, FAST).await;
        let down = up("acme", "u0");
        world.until("the failure", |samples| value(samples, &down) == Some(0.0)).await;
        for path in ["/", "/metrics", "/api/v1/status"] {
            let text = world.get(path).await.text().await.unwrap();
            assert!(!text.contains("token-of-acme"), "{fault} on {path}: {text}");
        }
        world.stop().await;
    }
}

/// Users that upstream has answered at least twice.
fn read_twice(log: &Log) -> usize {
    let mut reads = BTreeMap::new();
    for request in log.requests().filter(|request| request.status == Some(200)) {
        *reads.entry((request.account.as_deref(), request.user.as_deref())).or_insert(0) += 1;
    }
    reads.values().filter(|count| **count >= 2).count()
}

fn up(account: &str, user: &str) -> String {
    format!(r#"wazzup_user_up{{account="{account}",user="{user}"}}"#)
}
