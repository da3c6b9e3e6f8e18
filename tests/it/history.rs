//! The history in the status: the last hours, here the last seconds.

use std::path::Path;

use serde_json::Value;
use wazzup_exporter::config;

use super::support::daemon::World;
use super::support::upstream::{configuration, serve, still};
use super::support::wait::until;

const QUICK: &str = "interval: 200ms, timeout: 1500ms, stale_after: 3s";

/// The points of an account: the sum of red, and whether users were missing from it.
async fn points(world: &World, account: usize) -> Vec<(Option<u64>, bool)> {
    let text = world.get("/api/v1/status").await.text().await.unwrap();
    let status: Value = serde_json::from_str(&text).unwrap();
    let list = |name: &str| status["accounts"][account]["history"][name].as_array().cloned();
    let red = list("red").unwrap_or_default();
    let partial = list("partial").unwrap_or_default();
    assert_eq!(red.len(), partial.len(), "{status}");
    let pairs = red.iter().zip(&partial);
    pairs.map(|(red, partial)| (red.as_u64(), partial.as_bool().unwrap())).collect()
}

/// Waits until the last point is this one; returns all of them.
async fn until_last(
    world: &World,
    what: &str,
    last: (Option<u64>, bool),
) -> Vec<(Option<u64>, bool)> {
    until(what, &[], async || {
        let points = points(world, 0).await;
        if points.last() == Some(&last) { Ok(points) } else { Err(format!("{points:?}")) }
    })
    .await
}

#[tokio::test]
async fn a_time_in_which_nothing_was_known_is_a_gap_and_a_partial_sum_is_marked() {
    let world = World::start(still(&["acme"], 2), QUICK).await;
    until_last(&world, "a first sum", (Some(12), false)).await;
    world.api.remove_user("acme", "u1").unwrap();
    until_last(&world, "a sum of one user", (Some(1), true)).await;
    world.api.add_fault("status=500".parse().unwrap());
    until_last(&world, "a gap", (None, false)).await;
    world.api.clear_faults();
    let points = until_last(&world, "a sum after the gap", (Some(1), true)).await;
    let mut course = points;
    course.dedup();
    let known = [
        (Some(12), false),
        // A user whom upstream no longer knows counts for nothing at once.
        (Some(1), true),
        (None, false),
        (Some(1), true),
    ];
    assert!(course.ends_with(&known), "{course:?}");
    world.stop().await;
}

#[tokio::test]
async fn the_history_outlives_a_change_of_settings_but_not_of_the_account() {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let yaml = |poll: &str| configuration(&api, &url, poll);
    let world = World::start_with(api.clone(), &yaml(QUICK)).await;
    let accounts =
        |yaml: &str| config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap().accounts;
    let before = until_last(&world, "a first sum", (Some(12), false)).await.len();
    let calmer = yaml("interval: 300ms, timeout: 1500ms, stale_after: 4s");
    world.accounts.replace(accounts(&calmer)).await;
    let after = points(&world, 0).await;
    assert!(after.len() >= before, "{after:?}");
    // Another account under the same name, of which nothing can be known.
    let other = calmer.replace("10000000", "20000000").replace("token-of-acme", "unknown-token");
    world.accounts.replace(accounts(&other)).await;
    let after = points(&world, 0).await;
    assert!(after.iter().all(|point| *point == (None, false)), "{after:?}");
    world.stop().await;
}
