//! Tokens of label accounts: refresh tokens that are good once, and must never be lost.

use wazzup_exporter::simulator::{Endpoint, Login, TokenQuirk};
use wazzup_exporter::storage::Storage;

use super::partners::{Scene, folder_of, id, label, main_partner};
use super::support::daemon::World;
use super::support::exporter::{Exporter, config_flag, run};
use super::support::files::write_private;
use super::support::samples::{Samples, counter, value};
use super::support::wait::until_true;

const FAST: &str = "interval: 100ms, timeout: 5s";

fn failing(reason: &str) -> String {
    format!(r#"wazzup_account_failing{{account="acme",reason="{reason}"}}"#)
}

fn sweeps(samples: &Samples, result: &str) -> f64 {
    let series = format!(r#"wazzup_sweeps_total{{account="acme",result="{result}"}}"#);
    value(samples, &series).unwrap_or(0.0)
}

fn spoilt(samples: &Samples) -> f64 {
    sweeps(samples, "partial") + sweeps(samples, "failed")
}

/// Waits for so many good sweeps more.
async fn more_sweeps(world: &World, more: f64) -> Samples {
    let before = sweeps(&world.scrape().await, "ok");
    world.until("sweeps", |samples| sweeps(samples, "ok") >= before + more).await
}

async fn acme(life: u64) -> Scene {
    Scene::new(main_partner(life), vec![label("acme", 0, 3)]).await
}

#[tokio::test]
async fn many_renewals_lose_neither_a_token_nor_a_reading() {
    let scene = acme(1).await;
    let world = scene.world(FAST).await;
    for renewals in [1, 4, 8] {
        scene.until_granted(Endpoint::Refresh, renewals).await;
        let samples = more_sweeps(&world, 2.0).await;
        assert!(spoilt(&samples) < 1.0);
    }
    let samples = world.scrape().await;
    let refreshed = value(&samples, r#"wazzup_token_refreshes_total{account="acme",result="ok"}"#);
    assert!(refreshed >= Some(8.0), "{refreshed:?}");
    // A refresh token lives for seven days.
    let expiry = r#"wazzup_token_expiry_timestamp_seconds{account="acme"}"#;
    let renewed = r#"wazzup_token_last_refresh_timestamp_seconds{account="acme"}"#;
    let life = value(&samples, expiry).unwrap() - value(&samples, renewed).unwrap();
    assert!((life - 7.0 * 86_400.0).abs() < 1.0, "{life}");
    world.stop().await;
    assert!(scene.keeps_the_live_one("acme"));
    assert_eq!(scene.asked(Endpoint::Refresh), scene.granted(Endpoint::Refresh));
}

#[tokio::test]
async fn a_restart_costs_no_renewal() {
    let scene = acme(3600).await;
    for _ in 0..2 {
        let world = scene.world(FAST).await;
        more_sweeps(&world, 2.0).await;
        world.stop().await;
    }
    assert_eq!(scene.asked(Endpoint::Refresh), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_in_mid_sweep_is_renewed_once() {
    let scene = Scene::new(main_partner(3600), vec![label("acme", 0, 40)]).await;
    let world = scene.world("interval: 500ms, timeout: 5s").await;
    more_sweeps(&world, 1.0).await;
    scene.api.add_fault("latency=20ms,endpoint=counter".parse().unwrap());
    let before = scene.api.counts().endpoint(Endpoint::Counter);
    let halfway = before + 20;
    world.api_until("half a sweep", |log| log.endpoint(Endpoint::Counter) >= halfway).await;
    scene.api.expire_tokens("acme").unwrap();
    let samples = more_sweeps(&world, 3.0).await;
    assert!(spoilt(&samples) < 1.0);
    assert_eq!(scene.asked(Endpoint::Refresh), 2);
    world.stop().await;
    assert!(scene.keeps_the_live_one("acme"));
}

#[tokio::test]
async fn a_shutdown_waits_for_the_answer_to_a_refresh() {
    let scene = acme(3600).await;
    let world = scene.world(FAST).await;
    more_sweeps(&world, 1.0).await;
    scene.api.add_fault("late=1s,endpoint=refresh".parse().unwrap());
    scene.api.expire_tokens("acme").unwrap();
    world.api_until("a refresh", |log| log.endpoint(Endpoint::Refresh) >= 2).await;
    assert!(!scene.keeps_the_live_one("acme"), "it was answered before the shutdown");
    world.stop().await;
    assert!(scene.keeps_the_live_one("acme"));
}

#[tokio::test]
async fn a_poller_that_is_replaced_in_a_renewal_loses_nothing() {
    let scene = acme(1).await;
    scene.api.add_fault("late=400ms,endpoint=refresh".parse().unwrap());
    let world = scene.world(FAST).await;
    for (round, timeout) in [6, 7, 8, 9].into_iter().enumerate() {
        let asked = round as u64 + 1;
        world.api_until("a refresh", |log| log.endpoint(Endpoint::Refresh) >= asked).await;
        // The poller goes away, in the first round also while it waits.
        let poll = format!("interval: 100ms, timeout: {timeout}s");
        let config = scene.config(&poll);
        world.accounts.replace(config.accounts).await;
    }
    more_sweeps(&world, 2.0).await;
    world.stop().await;
    assert_eq!(scene.asked(Endpoint::Refresh), scene.granted(Endpoint::Refresh));
    assert!(scene.keeps_the_live_one("acme"));
}

#[tokio::test]
async fn a_revoked_token_is_reported_once_tried_once_and_over_with_the_next_login() {
    let scene = acme(3600).await;
    let file = scene.config_file(FAST);
    let data = format!("--storage.path={}", scene.path("data").display());
    let process = Exporter::start(&[&config_flag(&file), &data]);
    process.until("figures", |samples| sweeps(samples, "ok") >= 1.0).await;
    scene.api.revoke_tokens("acme").unwrap();
    let reason = failing("login_needed");
    let samples = process.until("the reason", |samples| samples.contains_key(&reason)).await;
    let later = sweeps(&samples, "failed") + 10.0;
    process.until("sweeps", |samples| sweeps(samples, "failed") >= later).await;
    assert_eq!(scene.asked(Endpoint::Refresh), 2);
    // Also another start does not ask again.
    process.signal(rustix::process::Signal::TERM);
    let (_, log) = process.end();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("level=WARN")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("wazzup-exporter login acme"), "{log}");
    let process = Exporter::start(&[&config_flag(&file), &data]);
    process.until("sweeps", |samples| sweeps(samples, "failed") >= 5.0).await;
    assert_eq!(scene.asked(Endpoint::Refresh), 2);
    scene.log_in(0, "acme").await;
    process.until("figures", |samples| sweeps(samples, "ok") >= 2.0).await;
    assert_eq!(scene.asked(Endpoint::Refresh), 3);
    assert!(scene.keeps_the_live_one("acme"));
}

#[tokio::test]
async fn a_login_beside_a_healthy_exporter_is_taken_up() {
    let scene = acme(3600).await;
    let world = scene.world(FAST).await;
    more_sweeps(&world, 1.0).await;
    scene.log_in(0, "acme").await;
    scene.until_granted(Endpoint::Refresh, 2).await;
    let samples = more_sweeps(&world, 2.0).await;
    assert!(spoilt(&samples) < 1.0);
    world.stop().await;
    let kept = scene.kept("acme").unwrap();
    let live = scene.api.live_refresh_tokens("acme").unwrap();
    assert!(live.contains(&kept["refresh_token"].as_str().unwrap().to_owned()));
    assert_eq!(scene.asked(Endpoint::Refresh), 2);
}

#[tokio::test]
async fn a_slip_in_the_login_file_does_not_cost_the_live_refresh_token() {
    let scene = acme(3600).await;
    let file = scene.login_file("acme");
    let mut asked = 1;
    for restart in [false, true] {
        let mut world = scene.world(FAST).await;
        more_sweeps(&world, 1.0).await;
        let login = std::fs::read_to_string(&file).unwrap();
        write_private(&file, "rubbish\n");
        until_true("a refusal", async || {
            scene.kept("acme").is_some_and(|kept| kept["login_needed"] == "revoked")
        })
        .await;
        asked += 1;
        assert_eq!(scene.asked(Endpoint::Refresh), asked);
        if restart {
            world.stop().await;
            world = scene.world(FAST).await;
        }
        write_private(&file, &login);
        // After a restart the access token that is stored is still good.
        if !restart {
            let granted = scene.granted(Endpoint::Refresh);
            scene.until_granted(Endpoint::Refresh, granted + 1).await;
            asked += 1;
        }
        more_sweeps(&world, 2.0).await;
        world.stop().await;
        // As the token in use, or beside the refused one until the next renewal.
        let kept = scene.kept("acme").unwrap();
        let stored = [&kept, &kept["earlier"]].map(|tokens| tokens["refresh_token"].as_str());
        let live = scene.api.live_refresh_tokens("acme").unwrap();
        assert!(stored.contains(&Some(live[0].as_str())), "restarted: {restart}");
    }
}

#[tokio::test]
async fn before_the_first_login_a_login_is_needed() {
    let scene = acme(3600).await;
    let config = scene.config(FAST);
    std::fs::remove_file(scene.login_file("acme")).unwrap();
    let world = World::start_config(scene.api.clone(), config, Some(scene.storage())).await;
    let reason = failing("login_needed");
    world.until("the reason", |samples| samples.contains_key(&reason)).await;
    assert_eq!(scene.api.counts().total, 0);
    scene.log_in(0, "acme").await;
    more_sweeps(&world, 2.0).await;
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_on_the_way_costs_a_login_and_one_attempt() {
    let scene = acme(3600).await;
    let world = scene.world(FAST).await;
    more_sweeps(&world, 1.0).await;
    scene.api.add_fault("lost,endpoint=refresh,count=1".parse().unwrap());
    scene.api.expire_tokens("acme").unwrap();
    let reason = failing("login_needed");
    let samples = world.until("the reason", |samples| samples.contains_key(&reason)).await;
    let later = sweeps(&samples, "failed") + 10.0;
    world.until("sweeps", |samples| sweeps(samples, "failed") >= later).await;
    // The first one, the one that was lost, and the old token once more.
    assert_eq!(scene.asked(Endpoint::Refresh), 3);
    assert_eq!(scene.kept("acme").unwrap()["login_needed"], "answer_lost");
    let page = world.get("/").await.text().await.unwrap();
    assert!(page.contains("was lost"), "{page}");
    world.stop().await;
}

#[tokio::test]
async fn a_refresh_that_did_not_reach_upstream_costs_nothing() {
    let scene = acme(1).await;
    let world = scene.world(FAST).await;
    more_sweeps(&world, 1.0).await;
    for (fault, reason) in [
        ("reset,endpoint=refresh", "unreachable"),
        ("status=503,endpoint=refresh", "server_error"),
        ("malformed,endpoint=refresh", "malformed"),
    ] {
        scene.api.add_fault(fault.parse().unwrap());
        let reason = failing(reason);
        world.until(fault, |samples| samples.contains_key(&reason)).await;
        scene.api.clear_faults();
        more_sweeps(&world, 1.0).await;
    }
    world.stop().await;
    assert!(scene.keeps_the_live_one("acme"));
    assert_eq!(scene.kept("acme").unwrap()["login_needed"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_wrong_login_of_the_partner_does_not_cost_the_refresh_token() {
    let scene = acme(3600).await;
    scene.api.set_login("main", Login::Refused).unwrap();
    let world = scene.world(FAST).await;
    let reason = failing("unauthorized");
    let samples = world.until("the reason", |samples| samples.contains_key(&reason)).await;
    let later = sweeps(&samples, "failed") + 3.0;
    world.until("sweeps", |samples| sweeps(samples, "failed") >= later).await;
    assert_eq!(scene.asked(Endpoint::Refresh), 1);
    world.stop().await;
    assert_eq!(scene.kept("acme").unwrap()["started"], false);
    scene.api.set_login("main", Login::Good).unwrap();
    let world = scene.world(FAST).await;
    more_sweeps(&world, 2.0).await;
    world.stop().await;
    assert!(scene.keeps_the_live_one("acme"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_is_not_used_and_not_lost() {
    let scene = acme(3600).await;
    let world = scene.world(FAST).await;
    more_sweeps(&world, 1.0).await;
    scene.api.add_fault("late=500ms,endpoint=refresh,count=1".parse().unwrap());
    scene.api.expire_tokens("acme").unwrap();
    world.api_until("a refresh", |log| log.endpoint(Endpoint::Refresh) >= 2).await;
    // A folder in the place of the file: it cannot be replaced.
    let file = scene.path(&format!("data/id.{}/oauth.json", id(0)));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let reason = failing("storage");
    world.until("the reason", |samples| samples.contains_key(&reason)).await;
    std::fs::remove_dir(&file).unwrap();
    more_sweeps(&world, 2.0).await;
    assert_eq!(scene.asked(Endpoint::Refresh), 2);
    world.stop().await;
    assert!(scene.keeps_the_live_one("acme"));
}

#[tokio::test]
async fn a_second_owner_is_refused_and_spends_nothing() {
    let scene = acme(3600).await;
    let other = Storage::new(scene.path("data")).account(folder_of("acme")).unwrap();
    let world = scene.world(FAST).await;
    let reason = failing("storage");
    world.until("the reason", |samples| samples.contains_key(&reason)).await;
    let page = world.get("/").await.text().await.unwrap();
    let owner = format!("is locked by process {}", std::process::id());
    assert!(page.contains(&owner), "{page}");
    assert_eq!(scene.api.counts().total, 0);
    drop(other);
    more_sweeps(&world, 1.0).await;
    world.stop().await;
}

#[tokio::test]
async fn a_login_to_another_account_is_refused() {
    let scene = acme(3600).await;
    let file = scene.config_file(FAST);
    let yaml = std::fs::read_to_string(&file).unwrap().replace(&id(0), &id(1));
    write_private(&file, &yaml);
    let config =
        wazzup_exporter::config::load(&file, wazzup_exporter::config::Permissions::default())
            .unwrap();
    let world = World::start_config(scene.api.clone(), config, Some(scene.storage())).await;
    let reason = failing("login_needed");
    world.until("the reason", |samples| samples.contains_key(&reason)).await;
    let page = world.get("/").await.text().await.unwrap();
    assert!(page.contains(&format!("the login was to account {}", id(0))), "{page}");
    assert_eq!(scene.api.counts().endpoint(Endpoint::Counter), 0);
    world.stop().await;
}

#[tokio::test]
async fn an_account_that_is_gone_leaves_its_storage_to_others() {
    let scene =
        Scene::new(main_partner(3600), vec![label("acme", 0, 2), label("globex", 1, 2)]).await;
    let world = scene.world(FAST).await;
    more_sweeps(&world, 1.0).await;
    let stranger = Storage::new(scene.path("data"));
    assert!(stranger.account(folder_of("acme")).is_err());
    let accounts = scene.config(FAST).accounts.into_iter();
    let rest = accounts.filter(|account| account.name.as_str() != "acme").collect();
    world.accounts.replace(rest).await;
    until_true("the storage", async || stranger.account(folder_of("acme")).is_ok()).await;
    world.stop().await;
}

#[tokio::test]
async fn refresh_tokens_that_last_are_used_again() {
    let partner = main_partner(1).quirk(TokenQuirk::LastingRefreshTokens);
    let scene = Scene::new(partner, vec![label("acme", 0, 3)]).await;
    let world = scene.world(FAST).await;
    scene.until_granted(Endpoint::Refresh, 3).await;
    let samples = more_sweeps(&world, 2.0).await;
    assert!(spoilt(&samples) < 1.0);
    world.stop().await;
    assert_eq!(scene.kept("acme").unwrap()["refresh_token"], "seed-of-acme");
}

#[tokio::test]
async fn poll_beside_an_exporter_spends_nothing() {
    let scene = acme(3600).await;
    let file = scene.config_file(FAST);
    let flags = [config_flag(&file), format!("--storage.path={}", scene.path("data").display())];
    let poll = ["poll".to_owned(), flags[0].clone(), flags[1].clone()];
    // Alone it renews, and stores what it gets.
    let alone = run(&poll).await;
    assert!(alone.status.success(), "{alone:?}");
    assert_eq!(scene.asked(Endpoint::Refresh), 1);
    assert!(scene.keeps_the_live_one("acme"));
    let process = Exporter::start(&[&flags[0], &flags[1]]);
    process.until("figures", |samples| sweeps(samples, "ok") >= 1.0).await;
    let beside = run(&poll).await;
    assert!(beside.status.success(), "{beside:?}");
    let text = String::from_utf8(beside.stdout).unwrap();
    let samples = super::support::samples::samples(&text);
    assert_eq!(value(&samples, &counter("acme", "u2", "red")), Some(7.0));
    assert_eq!(scene.asked(Endpoint::Refresh), 1);
    // Once the token is over and the exporter cannot renew it, there is nothing to poll with.
    scene.api.set_login("main", Login::Refused).unwrap();
    scene.api.expire_tokens("acme").unwrap();
    scene.api.wait_until(|log| log.endpoint(Endpoint::Refresh) >= 2).await;
    let over = run(&poll).await;
    assert_eq!(over.status.code(), Some(1), "{over:?}");
    assert_eq!(scene.asked(Endpoint::Refresh), 2);
}
