//! A large account against the documented limit: 5,000 users with `make load`, fewer as part of
//! `make test`. A target of its own, since it takes time and wants the machine for itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stdout, reason = "the achieved share is what this is run for")]

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use support::daemon::World;
use support::samples::value;
use support::upstream::{configuration, serve, still};
use support::wait::GUARD;
use wazzup_exporter::simulator::{Latency, RateLimit};

/// How many users to poll, from the environment; ten seconds' worth of the limit by default.
fn users() -> usize {
    std::env::var("LOAD_USERS").map_or(1_000, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_account_is_read_without_one_429() {
    let users = users();
    let mut settings = still(&["acme"], users);
    settings.limit = RateLimit::default();
    settings.latency = Latency { min: Duration::ZERO, max: Duration::from_millis(300) };
    let (limit, window) = (settings.limit.requests, settings.limit.window);
    let (api, url) = serve(settings).await;
    // The whole limit allows 97 users a second.
    let seconds = users / 90 + 1;
    let yaml = configuration(&api, &url, &format!("interval: {seconds}s, concurrency: 64"));
    let yaml = yaml.replace("\n    users:", "\n    rate_limit: {share: 100%}\n    users:");
    let world = World::start_with(api, &yaml).await;
    let swept = world.api.wait_until(|log| log.total >= users as u64);
    // The phase and the sweep take up to a minute each.
    tokio::time::timeout(4 * GUARD, swept).await.unwrap();
    let ok = r#"wazzup_sweeps_total{account="acme",result="ok"}"#;
    world.until("the end of the sweep", |samples| value(samples, ok) >= Some(1.0)).await;
    let counts = world.api.counts();
    assert_eq!(counts.status(429), 0, "{:?}", counts.statuses);
    let log = world.api.log();
    let took = log[users - 1].arrived.duration_since(log[0].arrived);
    let share = (users - 1) as f64 / took.as_secs_f64() * window.as_secs_f64() / f64::from(limit);
    assert!(share >= 0.95, "{users} users in {took:.1?}: {:.1} % of the limit", share * 100.0);
    println!("{users} users in {took:.1?}: {:.1} % of the limit, no 429", share * 100.0);
    world.stop().await;
}
