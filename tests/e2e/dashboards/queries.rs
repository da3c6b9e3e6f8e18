//! The demo's companies, an exporter, a Prometheus, and every query of every dashboard.

use wazzup_exporter::simulator::Settings;

use super::NAMES;
use super::grafana::{Query, Variables, dashboard, offered, queries, several};
use crate::alerting::prometheus_folder;
use crate::prometheus::Prometheus;
use crate::support::exporter::Exporter;
use crate::support::upstream::serve;
use crate::support::wait::until;

/// All of everything, as the dashboards open: all jobs are those that were found.
fn all() -> Variables {
    let variables =
        [("job", &*several(&["wazzup"])), ("account", ".+"), ("team", ".*"), ("user", ".*")];
    variables.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// What a person chooses who looks at one thing. A manager has a dashboard of his own, by his id.
fn chosen(name: &str) -> Variables {
    let mut variables = all();
    variables.insert("job", several(&["wazzup", "a.b"]));
    if name == "manager" {
        variables.insert("account", "nomad-travel".to_owned());
        variables.insert("user", "101".to_owned());
    } else {
        variables.insert("account", several(&["nomad-travel", "uyut-mebel"]));
        variables.insert("team", several(&["tours", "showroom"]));
        variables.insert("user", several(&["Aigerim Sadykova", "Данияр Ахметов"]));
    }
    variables
}

/// The demo with working hours that are now, and what it needs to be polled every second.
pub(super) async fn demo() -> (Exporter, Prometheus) {
    let exporter = demo_exporter().await;
    let prometheus = Prometheus::start(&exporter).await;
    (exporter, prometheus)
}

async fn demo_exporter() -> Exporter {
    let (api, url) = serve(Settings::demo(1)).await;
    let hours = "    working_hours: {timezone: UTC, days: mon-sun, from: '00:00', to: '24:00'}\n";
    let yaml = api.exporter_config(&url, "1s");
    let yaml = yaml.replace("    account_id:", &format!("{hours}    account_id:"));
    assert!(yaml.contains("working_hours"), "{yaml}");
    Exporter::configured(&api, &yaml, &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_finds_what_it_is_for() {
    let exporter = demo_exporter().await;
    // Some ask for what rules record. Port 1 of loopback stands for an Alertmanager that nobody needs here.
    let folder = prometheus_folder(exporter.address, "127.0.0.1:1", "");
    let prometheus = Prometheus::configured(folder).await;
    let processes = [&exporter.process, &prometheus.process];
    for name in NAMES {
        let everything = if name == "manager" { chosen(name) } else { all() };
        for query in queries(name) {
            until(&query.place, &processes, async || finds(&query, &prometheus, &everything).await)
                .await;
        }
    }
    // What the demo has found by now is found by whoever looks at a part of it, too.
    for name in NAMES {
        for query in queries(name) {
            let series = query.run(&prometheus, &chosen(name)).await.unwrap();
            let of_others = |labels: &super::grafana::Labels| {
                let account = labels.get("account").is_some_and(|one| {
                    name != "exporter-health" && one != "nomad-travel" && one != "uyut-mebel"
                });
                let person = labels.get("name").is_some_and(|one| {
                    name == "team-backlog"
                        && labels.contains_key("user")
                        && one != "Aigerim Sadykova"
                        && one != "Данияр Ахметов"
                });
                account || person
            };
            let others: Vec<_> = series.iter().filter(|one| of_others(one)).collect();
            assert!(others.is_empty(), "{}: {others:?}", query.place);
        }
    }
}

/// Whether a query has series, and each of them the labels that it needs.
async fn finds(
    query: &Query,
    prometheus: &Prometheus,
    variables: &Variables,
) -> Result<(), String> {
    let series = query.run(prometheus, variables).await?;
    if series.is_empty() && query.may_be_empty.is_none() {
        return Err("no series".to_owned());
    }
    for labels in &series {
        let missing: Vec<_> =
            query.labels.iter().filter(|label| !labels.contains_key(*label)).collect();
        assert!(missing.is_empty(), "{}: {missing:?} of {labels:?}", query.place);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_variable_offers_what_there_is() {
    let (exporter, prometheus) = demo().await;
    let processes = [&exporter.process, &prometheus.process];
    for name in NAMES {
        let dashboard = dashboard(name);
        let variables = if name == "manager" { chosen(name) } else { all() };
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if variable["type"] != "query" {
                continue;
            }
            let wanted = match (name, variable["name"].as_str().unwrap()) {
                (_, "job") => ("wazzup", "wazzup"),
                (_, "account") => ("nomad-travel", "nomad-travel"),
                (_, "team") => ("tours", "tours"),
                ("manager", _) => ("Aigerim Sadykova", "101"),
                (_, _) => ("Игорь \"Мастер\" Белов", "Игорь \"Мастер\" Белов"),
            };
            let wanted = (wanted.0.to_owned(), wanted.1.to_owned());
            until(&format!("{name}: {wanted:?}"), &processes, async || {
                let offered = offered(&prometheus, variable, &variables).await?;
                if offered.contains(&wanted) { Ok(()) } else { Err(format!("{offered:?}")) }
            })
            .await;
        }
    }
}

/// With `user_names: false` nobody has a name.
#[tokio::test(flavor = "multi_thread")]
async fn without_names_a_manager_is_chosen_by_the_id() {
    let (api, url) = serve(Settings::demo(1)).await;
    let yaml = format!("export: {{user_names: false}}\n{}", api.exporter_config(&url, "1s"));
    let exporter = Exporter::configured(&api, &yaml, &[]);
    let prometheus = Prometheus::start(&exporter).await;
    let dashboard = dashboard("manager");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let user = variables.iter().find(|one| one["name"] == "user").unwrap();
    until("a manager by the id", &[&exporter.process, &prometheus.process], async || {
        let offered = offered(&prometheus, user, &chosen("manager")).await?;
        let wanted = ("101".to_owned(), "101".to_owned());
        if offered.contains(&wanted) { Ok(()) } else { Err(format!("{offered:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_exporter_no_query_makes_up_a_figure() {
    let (exporter, prometheus) = demo().await;
    let red = "count(wazzup_unanswered_messages) > bool 0";
    prometheus.until_value(&exporter, red, "1").await;
    drop(exporter);
    until("a target that is down", &[&prometheus.process], async || {
        match prometheus.query("up").await?.as_slice() {
            [(_, value)] if value == "0" => Ok(()),
            others => Err(format!("{others:?}")),
        }
    })
    .await;
    // What looks back still knows what was.
    let looks_back =
        ["increase(", "rate(", "avg_over_time(", "max_over_time(", " offset ", "@ end()"];
    for name in NAMES {
        let variables = if name == "manager" { chosen(name) } else { all() };
        for query in queries(name) {
            if looks_back.iter().any(|one| query.expression.contains(one)) {
                continue;
            }
            let found = prometheus.query(&query.filled(&variables)).await.unwrap();
            let found: Vec<_> = found.iter().map(|(_, value)| value.as_str()).collect();
            let down = query.place.ends_with(": Exporters down A");
            assert_eq!(found, if down { vec!["1"] } else { vec![] }, "{}", query.place);
        }
    }
}
