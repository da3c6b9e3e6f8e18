//! What Prometheus holds after scraping the exporter is what upstream holds.

use std::collections::BTreeSet;

use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

use super::expected::{held, odd};
use super::prometheus::Prometheus;
use super::support::exporter::Exporter;
use super::support::process::logs;
use super::support::samples::{samples, value};
use super::support::upstream::serve;
use super::support::wait::until;

/// The shortest times that the rule `stale_after ≥ 2 × interval + timeout` allows for this interval.
const POLL: &str = "interval: 500ms, timeout: 1s, stale_after: 2s";
const USERS: u64 = 40;

/// Three businesses whose counters stand still: red ones, grey ones and zeros.
fn businesses() -> Settings {
    let account = |(number, name): (u64, &str)| {
        let mut account = AccountSpec::new(name, &(10_000_000 + number).to_string(), name);
        for user in 0..USERS {
            let kind = if user % 3 == 2 { "grey" } else { "red" };
            let spec = UserSpec::new(&format!("u{user}"), "Name", Role::Manager);
            account = account.user(spec.pinned(number * 1_000 + user * 25, kind));
        }
        account
    };
    Settings {
        accounts: (0..).zip(["acme", "globex", "initech"]).map(account).collect(),
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}

async fn start(settings: Settings) -> (Simulator, Exporter, Prometheus) {
    let (api, url) = serve(settings).await;
    let exporter = Exporter::polling(&api, &url, POLL);
    let prometheus = Prometheus::start(&exporter).await;
    (api, exporter, prometheus)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_holds_what_upstream_holds_and_follows_its_changes() {
    let (api, exporter, prometheus) = start(businesses()).await;
    let before = held(&api);
    assert_eq!(before.len(), 3 * USERS as usize * 2);
    prometheus.until_figures(&exporter, "the first figures", &before).await;

    for account in ["acme", "globex", "initech"] {
        for user in 0..USERS {
            let id = format!("u{user}");
            let (counter, kind) = api.counter(account, &id).unwrap();
            let kind = if user % 2 == 0 { kind.as_str() } else { other(&kind) };
            api.set(account, &id, counter * 2 + 1, kind).unwrap();
        }
    }
    api.set("globex", "u7", 1_234_567_890, "red").unwrap();
    prometheus.until_figures(&exporter, "changed figures", &held(&api)).await;

    // Red turns grey: what was red is 0, not gone and not what it was.
    api.set("acme", "u0", 5, "red").unwrap();
    let series =
        |kind| format!(r#"wazzup_unanswered_messages{{account="acme",user="u0",type="{kind}"}}"#);
    prometheus.until_value(&exporter, &series("red"), "5").await;
    api.set("acme", "u0", 9, "grey").unwrap();
    prometheus.until_value(&exporter, &series("grey"), "9").await;
    prometheus.until_value(&exporter, &series("red"), "0").await;
    prometheus.until_figures(&exporter, "all figures", &held(&api)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_removed_upstream_loses_its_series_and_no_other_does() {
    let (api, exporter, prometheus) = start(businesses()).await;
    let up = r#"wazzup_user_up{account="acme",user="u1"}"#;
    prometheus.until_value(&exporter, up, "1").await;
    prometheus.until_figures(&exporter, "the first figures", &held(&api)).await;

    api.remove_user("acme", "u1").unwrap();
    prometheus.until_value(&exporter, up, "0").await;
    prometheus.until_figures(&exporter, "figures of all but u1", &held(&api)).await;
    let unknown = r#"wazzup_user_untrusted{account="acme",user="u1",reason="unknown_user"}"#;
    prometheus.until_value(&exporter, unknown, "1").await;
    prometheus.until_value(&exporter, up, "0").await;
    let others = (3 * USERS - 1).to_string();
    prometheus.until_value(&exporter, "sum(wazzup_user_up)", &others).await;

    let returned = UserSpec::new("u1", "Name", Role::SalesRep).pinned(77, "red");
    api.add_user("acme", returned).unwrap();
    prometheus.until_value(&exporter, up, "1").await;
    prometheus.until_figures(&exporter, "figures of all", &held(&api)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_ids_and_names_come_back_as_labels() {
    let (api, exporter, prometheus) = start(odd()).await;
    prometheus.until_figures(&exporter, "the figures of odd users", &held(&api)).await;
    let infos = prometheus.query("wazzup_user_info").await.unwrap();
    let shown: BTreeSet<_> = infos
        .into_iter()
        .map(|(labels, _)| {
            ["user", "name", "team", "city", "path"].map(|name| labels[name].clone())
        })
        .collect();
    let account = &odd().accounts[0];
    let user = |user: &UserSpec| {
        let [city, path] = ["city", "path"].map(|name| account.labels[name].clone());
        [user.id.clone(), user.name.clone(), user.team.clone().unwrap(), city, path]
    };
    assert_eq!(shown, account.users.iter().map(user).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_without_a_complaint() {
    let (api, exporter, prometheus) = start(businesses()).await;
    prometheus.until_figures(&exporter, "the first figures", &held(&api)).await;
    prometheus.until_value(&exporter, "up", "1").await;
    prometheus.until_value(&exporter, "scrape_samples_scraped > bool 0", "1").await;
    let kept = "scrape_samples_scraped == bool scrape_samples_post_metric_relabeling";
    prometheus.until_value(&exporter, kept, "1").await;

    let processes = [&prometheus.process, &exporter.process];
    let targets = prometheus.api("api/v1/targets", &[]).await.unwrap();
    let active = targets["activeTargets"].as_array().unwrap();
    assert_eq!(active.len(), 1, "{targets}");
    let of_the_target = (&active[0]["health"], &active[0]["lastError"]);
    assert_eq!(of_the_target, (&"up".into(), &"".into()), "{targets}\n{}", logs(&processes));

    let dropped = [
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "prometheus_target_scrapes_sample_out_of_order_total",
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "prometheus_target_scrapes_exceeded_sample_limit_total",
    ];
    // After some more scrapes, which meet the series a second time.
    let scraped = "count_over_time(up[1m]) >= bool 4";
    prometheus.until_value(&exporter, scraped, "1").await;
    let own =
        until("Prometheus' own metrics", &processes, async || prometheus.get("metrics", &[]).await);
    let own = samples(&own.await);
    for counter in dropped {
        assert_eq!(value(&own, counter), Some(0.0), "{counter}\n{}", logs(&processes));
    }
}

fn other(kind: &str) -> &'static str {
    if kind == "red" { "grey" } else { "red" }
}
