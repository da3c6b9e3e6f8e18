//! Tokens of white-label accounts, which a partner's login is exchanged for.

use std::time::Duration;

use wazzup_exporter::simulator::{Endpoint, Login};

use super::partners::{COUNT, Scene, main_partner, white};
use super::support::daemon::World;
use super::support::exporter::{Exporter, config_flag};
use super::support::files::write_private;
use super::support::samples::{Samples, counter, value};

const FAST: &str = "interval: 200ms, timeout: 5s";

fn sweeps(account: &str, result: &str) -> String {
    format!(r#"wazzup_sweeps_total{{account="{account}",result="{result}"}}"#)
}

/// How many sweeps of all accounts ended so.
fn all_sweeps(samples: &Samples, result: &str) -> f64 {
    let ending = format!(r#",result="{result}"}}"#);
    let found = samples.iter().filter(|(series, _)| {
        series.starts_with("wazzup_sweeps_total{") && series.ends_with(&ending)
    });
    found.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

async fn whole_sweeps(world: &World, account: &str, more: f64) -> Samples {
    let ok = sweeps(account, "ok");
    let before = value(&world.scrape().await, &ok).unwrap_or(0.0);
    world.until("sweeps", |samples| value(samples, &ok) >= Some(before + more)).await
}

#[tokio::test]
async fn a_token_that_ends_in_mid_sweep_costs_no_reading_and_one_renewal() {
    let scene = Scene::new(main_partner(3600), vec![white("acme", 0, 60)]).await;
    scene.api.add_fault("latency=20ms,endpoint=counter".parse().unwrap());
    let world = scene.world("interval: 1s, timeout: 5s").await;
    world.api_until("half a sweep", |log| log.endpoint(Endpoint::Counter) >= 30).await;
    scene.api.expire_tokens("acme").unwrap();
    let samples = whole_sweeps(&world, "acme", 2.0).await;
    for result in ["partial", "failed"] {
        assert_eq!(value(&samples, &sweeps("acme", result)), Some(0.0), "{result}");
    }
    for user in 0..60 {
        let shown = value(&samples, &counter("acme", &format!("u{user}"), "red"));
        assert_eq!(shown, Some(COUNT as f64), "u{user}");
    }
    assert_eq!(scene.granted(Endpoint::Exchange), 2);
    assert_eq!(scene.asked(Endpoint::MachineToken), 1);
    assert!(scene.api.counts().status(401) > 0, "no request was refused");
    let renewed = r#"wazzup_token_refreshes_total{account="acme",result="ok"}"#;
    assert_eq!(value(&samples, renewed), Some(2.0));
    assert!(samples.contains_key(r#"wazzup_token_last_refresh_timestamp_seconds{account="acme"}"#));
    assert!(!samples.contains_key(r#"wazzup_token_expiry_timestamp_seconds{account="acme"}"#));
    world.stop().await;
}

#[tokio::test]
async fn requests_in_flight_end_while_a_new_token_is_awaited() {
    let scene = Scene::new(main_partner(3600), vec![white("acme", 0, 8)]).await;
    let world = scene.world("interval: 1s, timeout: 2s").await;
    whole_sweeps(&world, "acme", 1.0).await;
    for fault in ["user=u0,status=401", "endpoint=counter,latency=500ms", "endpoint=exchange,hang"]
    {
        scene.api.add_fault(fault.parse().unwrap());
    }
    world.api_until("a renewal", |log| log.endpoint(Endpoint::Exchange) >= 2).await;
    let requests = |samples: &Samples, outcome| {
        let labels = format!(r#"account="acme",endpoint="counter",outcome="{outcome}""#);
        value(samples, &format!("wazzup_api_requests_total{{{labels}}}"))
    };
    let before = requests(&world.scrape().await, "ok");
    let samples = world.until("answers", |samples| requests(samples, "ok") > before).await;
    assert_eq!(requests(&samples, "timeout"), Some(0.0));
    world.stop().await;
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    let mut partner = main_partner(2);
    partner.machine_ttl = Duration::from_secs(2);
    let scene = Scene::new(partner, vec![white("acme", 0, 3), white("globex", 1, 3)]).await;
    let world = scene.world(FAST).await;
    world.api_until("renewals", |log| log.endpoint(Endpoint::Exchange) >= 8).await;
    let samples = whole_sweeps(&world, "acme", 1.0).await;
    assert_eq!(scene.api.counts().status(401), 0);
    assert!(all_sweeps(&samples, "partial") + all_sweeps(&samples, "failed") < 1.0);
    assert!(scene.granted(Endpoint::MachineToken) >= 2);
    world.stop().await;
}

#[tokio::test]
async fn a_sweep_that_outlives_its_token_sends_no_request_with_it() {
    let scene = Scene::new(main_partner(2), vec![white("acme", 0, 40)]).await;
    // Regular sweeps are spread over 3.2 s.
    let world = scene.world("interval: 4s, timeout: 5s").await;
    let samples = whole_sweeps(&world, "acme", 3.0).await;
    assert_eq!(scene.api.counts().status(401), 0);
    assert!(all_sweeps(&samples, "partial") + all_sweeps(&samples, "failed") < 1.0);
    assert!(scene.granted(Endpoint::Exchange) >= 4, "tokens were renewed within sweeps");
    world.stop().await;
}

#[tokio::test]
async fn machine_tokens_that_are_revoked_are_replaced_once_for_all() {
    let accounts: Vec<_> = (0..10).map(|n| white(&format!("a{n}"), n, 2)).collect();
    let scene = Scene::new(main_partner(3600), accounts).await;
    let world = scene.world(FAST).await;
    world.until("figures", |samples| all_sweeps(samples, "ok") >= 20.0).await;
    scene.api.revoke_machine_tokens("main").unwrap();
    for account in 0..10 {
        scene.api.expire_tokens(&format!("a{account}")).unwrap();
    }
    world.api_until("new tokens", |log| log.endpoint(Endpoint::Exchange) >= 20).await;
    let before = all_sweeps(&world.scrape().await, "ok");
    let samples = world.until("sweeps", |samples| all_sweeps(samples, "ok") >= before + 20.0).await;
    assert_eq!(scene.granted(Endpoint::MachineToken), 2);
    assert_eq!(scene.granted(Endpoint::Exchange), 20);
    assert!(all_sweeps(&samples, "partial") + all_sweeps(&samples, "failed") < 1.0);
    world.stop().await;
}

#[tokio::test]
async fn five_hundred_tokens_that_end_at_once_cost_no_sweep() {
    const ACCOUNTS: u64 = 500;
    let accounts = (0..ACCOUNTS as usize).map(|n| white(&format!("a{n:03}"), n, 1)).collect();
    let scene = Scene::new(main_partner(3600), accounts).await;
    let config = scene.config("interval: 6s, timeout: 30s");
    let world = World::start_config(scene.api.clone(), config, None).await;
    scene.until_granted(Endpoint::Exchange, ACCOUNTS).await;
    for account in 0..ACCOUNTS {
        scene.api.expire_tokens(&format!("a{account:03}")).unwrap();
    }
    scene.until_granted(Endpoint::Exchange, 2 * ACCOUNTS).await;
    let all = ACCOUNTS as f64;
    let samples = world.until("sweeps", |samples| all_sweeps(samples, "ok") >= 2.0 * all).await;
    assert!(all_sweeps(&samples, "partial") + all_sweeps(&samples, "failed") < 1.0);
    assert_eq!(scene.asked(Endpoint::MachineToken), 1);
    assert_eq!(scene.asked(Endpoint::Exchange), 2 * ACCOUNTS);
    world.stop().await;
}

#[tokio::test]
async fn a_dead_login_is_one_failure_one_request_and_one_line() {
    let accounts: Vec<_> = (0..20).map(|n| white(&format!("a{n:02}"), n, 2)).collect();
    let scene = Scene::new(main_partner(3600), accounts).await;
    scene.api.set_login("main", Login::Refused).unwrap();
    let file = scene.config_file(FAST);
    let process = Exporter::start(&[&config_flag(&file)]);
    let asked_often = |samples: &Samples| all_sweeps(samples, "failed") >= 100.0;
    let samples = process.until("failed sweeps", asked_often).await;
    for account in 0..20 {
        let failing =
            format!(r#"wazzup_account_failing{{account="a{account:02}",reason="unauthorized"}}"#);
        assert_eq!(value(&samples, &failing), Some(1.0), "{failing}");
    }
    assert_eq!(scene.api.counts().total, 1, "{:?}", scene.api.log());
    scene.api.set_login("main", Login::Good).unwrap();
    write_private(&scene.path("main.password"), "pa55word");
    let all_read = |samples: &Samples| all_sweeps(samples, "ok") >= 20.0;
    process.until("figures", all_read).await;
    assert_eq!(scene.granted(Endpoint::MachineToken), 1);
    assert_eq!(scene.asked(Endpoint::MachineToken), 2);
    process.signal(rustix::process::Signal::TERM);
    let (_, log) = process.end();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("the login of the partner fails"), 1, "{log}");
    assert_eq!(lines("OAUTH_CLIENT_UNAUTHORIZED"), 1, "{log}");
    assert_eq!(lines("the login of the partner works again"), 1, "{log}");
    assert_eq!(lines("cannot be read") + lines("can be read again"), 0, "{log}");
    assert!(!log.contains("pa55word"), "{log}");
}

#[tokio::test]
async fn a_login_that_fails_on_the_way_is_tried_again_soon_and_by_one() {
    let accounts: Vec<_> = (0..20).map(|n| white(&format!("a{n:02}"), n, 1)).collect();
    let scene = Scene::new(main_partner(3600), accounts).await;
    scene.api.set_login("main", Login::Failing).unwrap();
    let world = scene.world(FAST).await;
    world.api_until("three attempts", |log| log.endpoint(Endpoint::MachineToken) >= 3).await;
    let log = scene.api.log();
    let pauses = log.windows(2).map(|pair| pair[1].arrived.duration_since(pair[0].arrived));
    let pauses: Vec<_> = pauses.collect();
    assert!(
        pauses[0] >= Duration::from_secs(1) && pauses[1] >= Duration::from_secs(2),
        "{pauses:?}"
    );
    let failing = r#"wazzup_account_failing{account="a00",reason="server_error"}"#;
    assert!(world.scrape().await.contains_key(failing));
    scene.api.set_login("main", Login::Good).unwrap();
    world.until("figures", |samples| all_sweeps(samples, "ok") >= 20.0).await;
    world.stop().await;
}

#[tokio::test]
async fn while_the_token_is_good_a_dead_login_is_no_failure() {
    let scene = Scene::new(main_partner(3), vec![white("acme", 0, 2)]).await;
    let world = scene.world(FAST).await;
    world.until("figures", |samples| all_sweeps(samples, "ok") >= 1.0).await;
    scene.api.set_login("main", Login::Refused).unwrap();
    // Renewed ahead of its end, in vain.
    world.api_until("an attempt", |log| log.endpoint(Endpoint::Exchange) >= 2).await;
    let samples = world.scrape().await;
    assert!(all_sweeps(&samples, "partial") + all_sweeps(&samples, "failed") < 1.0);
    assert_eq!(value(&samples, r#"wazzup_up{account="acme"}"#), Some(1.0));
    let failing = r#"wazzup_account_failing{account="acme",reason="unauthorized"}"#;
    world.until("the end of the token", |samples| samples.contains_key(failing)).await;
    world.stop().await;
}

#[tokio::test]
async fn an_account_that_the_partner_does_not_have_does_not_disturb_the_others() {
    let mut stranger = white("stranger", 1, 2);
    stranger.credential =
        wazzup_exporter::simulator::Credential::WhiteLabel { partner: "another".to_owned() };
    let scene = Scene::new(main_partner(3600), vec![white("acme", 0, 2), stranger]).await;
    let file = scene.config_file(FAST);
    let yaml = std::fs::read_to_string(&file).unwrap().replace("\"another\"", "\"main\"");
    std::fs::write(&file, yaml).unwrap();
    let config =
        wazzup_exporter::config::load(&file, wazzup_exporter::config::Permissions::default())
            .unwrap();
    let world = World::start_config(scene.api.clone(), config, None).await;
    let failing = r#"wazzup_account_failing{account="stranger",reason="forbidden"}"#;
    world.until("the reason", |samples| samples.contains_key(failing)).await;
    let samples = whole_sweeps(&world, "acme", 10.0).await;
    assert_eq!(value(&samples, &sweeps("acme", "failed")), Some(0.0));
    assert_eq!(scene.asked(Endpoint::MachineToken), 1);
    assert_eq!(scene.asked(Endpoint::Exchange), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_pause_of_the_token_endpoint_shows_at_the_accounts_that_it_stops() {
    let accounts = vec![white("acme", 0, 2), white("globex", 1, 2)];
    let scene = Scene::new(main_partner(3600), accounts).await;
    let world = scene.world(FAST).await;
    world.until("figures of both", |samples| all_sweeps(samples, "ok") >= 4.0).await;
    let paused =
        |name| format!(r#"wazzup_account_paused_until_timestamp_seconds{{account="{name}"}}"#);
    assert!(!world.scrape().await.contains_key(&paused("globex")));
    scene.api.add_fault("endpoint=exchange,retry_after=429:3600".parse().unwrap());
    scene.api.expire_tokens("globex").unwrap();
    let samples = world.until("the pause", |samples| samples.contains_key(&paused("globex"))).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let left = value(&samples, &paused("globex")).unwrap() - now;
    assert!((3500.0..=3602.0).contains(&left), "{left}");
    assert!(!samples.contains_key(&paused("acme")), "its token is good");
    let failing = r#"wazzup_account_failing{account="globex",reason="rate_limited"}"#;
    world.until("the reason", |samples| samples.contains_key(failing)).await;
    let good = value(&samples, &sweeps("acme", "ok")).unwrap();
    let goes_on = |samples: &Samples| value(samples, &sweeps("acme", "ok")) > Some(good + 1.0);
    world.until("sweeps of the other", goes_on).await;
    world.stop().await;
}
