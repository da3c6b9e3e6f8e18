//! Names and roles are joined to figures: that may not change, double or hide one, whatever becomes of the
//! series that they come from.

use std::collections::BTreeMap;

use serde_json::json;
use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

use super::grafana::{Query, Variables, queries};
use crate::prometheus::Prometheus;
use crate::support::exporter::Exporter;
use crate::support::upstream::serve;
use crate::support::wait::until;

/// One account with every role, and one of which roles are not known.
fn companies() -> Settings {
    let user = |id: &str, role, counter, kind: &str| {
        UserSpec::new(id, &format!("Name {id}"), role).team("tours").pinned(counter, kind)
    };
    let roles = AccountSpec::new("roles", "10000000", "token-1")
        .user(user("1", Role::SalesRep, 5, "red"))
        .user(user("2", Role::SalesRep, 7, "red"))
        .user(user("3", Role::Manager, 100, "red"))
        .user(user("4", Role::QualityControl, 1_000, "grey"));
    let key = AccountSpec::v3("key", "10000001", "key-1")
        .user(user("1", Role::SalesRep, 20, "red"))
        .user(user("2", Role::Manager, 3, "red"));
    Settings {
        accounts: vec![roles, key],
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}

fn exporter(api: &Simulator, url: &str) -> Exporter {
    Exporter::configured(api, &api.exporter_config(url, "500ms"), &[])
}

fn all() -> Variables {
    let variables = [("job", "wazzup"), ("account", ".+"), ("team", ".*"), ("user", ".*")];
    variables.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The values of a query, by account and user where it has them.
async fn values(
    query: &Query,
    prometheus: &Prometheus,
    variables: &Variables,
) -> Result<BTreeMap<String, String>, String> {
    let series = prometheus.query(&query.filled(variables)).await?;
    let count = series.len();
    let values: BTreeMap<_, _> = series
        .into_iter()
        .map(|(labels, value)| {
            let label = |name| labels.get(name).map_or("", String::as_str);
            (format!("{}/{}", label("account"), label("user")), value)
        })
        .collect();
    assert_eq!(values.len(), count, "{} tells a person twice", query.place);
    Ok(values)
}

/// Waits until the queries of the dashboard *Team backlog* tell exactly this.
async fn tells(
    prometheus: &Prometheus,
    exporter: &Exporter,
    variables: &Variables,
    expected: &[(&str, &[(&str, &str)])],
) {
    let queries = queries("team-backlog");
    for (place, values_expected) in expected {
        let query = queries.iter().find(|one| one.place == format!("team-backlog: {place}"));
        let query = query.unwrap_or_else(|| panic!("no query {place}"));
        let wanted: BTreeMap<_, _> =
            values_expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        until(place, &[&prometheus.process, &exporter.process], async || {
            let found = values(query, prometheus, variables).await?;
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

const RED: (&str, &[(&str, &str)]) = (
    "Who owes replies B",
    &[
        ("roles/1", "5"),
        ("roles/2", "7"),
        ("roles/3", "100"),
        ("roles/4", "0"),
        ("key/1", "20"),
        ("key/2", "3"),
    ],
);
/// What is piled up is a total: no manager is in it where roles are known.
const PILED_UP: (&str, &[(&str, &str)]) =
    ("Red by manager A", &[("roles/1", "5"), ("roles/2", "7"), ("key/1", "20"), ("key/2", "3")]);
const GREY: (&str, &[(&str, &str)]) = ("Grey A", &[("roles/4", "1000")]);
const SALES_REPS: (&str, &[(&str, &str)]) = ("Red now A", &[("/", "12")]);
const COUNTERS: (&str, &[(&str, &str)]) = ("Red now B", &[("/", "23")]);

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_api_and_totals_those_of_sales_reps() {
    let (api, url) = serve(companies()).await;
    let exporter = exporter(&api, &url);
    let prometheus = Prometheus::start(&exporter).await;
    let told = [RED, PILED_UP, GREY, SALES_REPS, COUNTERS];
    tells(&prometheus, &exporter, &all(), &told).await;
    let mut variables = all();
    variables.insert("team", "(nobody|none)".to_owned());
    let nobody: [(&str, &[(&str, &str)]); 3] =
        [("Who owes replies B", &[]), ("Red now A", &[]), ("Red now B", &[])];
    tells(&prometheus, &exporter, &variables, &nobody).await;
    variables.insert("team", "tours".to_owned());
    tells(&prometheus, &exporter, &variables, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_exporters_at_once_count_once() {
    let (api, url) = serve(companies()).await;
    let (one, other) = (exporter(&api, &url), exporter(&api, &url));
    let folder = tempfile::tempdir().unwrap();
    let targets = folder.path().join("targets.json");
    std::fs::write(&targets, json!([{"targets": [other.address.to_string()]}]).to_string())
        .unwrap();
    let keys = format!("file_sd_configs: [{{files: ['{}']}}]", targets.display());
    let prometheus = Prometheus::start_with(&one, &keys).await;
    let both = "count(sum by (instance) (wazzup_user_info))";
    prometheus.until_value(&one, both, "2").await;
    let roles = r#"count(wazzup_user_info{role="sales_rep"})"#;
    prometheus.until_value(&one, roles, "4").await;
    tells(&prometheus, &one, &all(), &[RED, PILED_UP, GREY, SALES_REPS, COUNTERS]).await;
    for name in ["team-backlog", "exporter-health"] {
        for query in queries(name) {
            query.run(&prometheus, &all()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_names_and_roles_every_figure_stays() {
    let (api, url) = serve(companies()).await;
    let exporter = exporter(&api, &url);
    let keys = "metric_relabel_configs: [{source_labels: [__name__], regex: wazzup_user_info, action: drop}]";
    let prometheus = Prometheus::start_with(&exporter, keys).await;
    // Roles are not known now, so it is a sum of counters.
    let counters: (&str, &[(&str, &str)]) = ("Red now B", &[("/", "135")]);
    tells(&prometheus, &exporter, &all(), &[RED, GREY, ("Red now A", &[]), counters]).await;
    let mut variables = all();
    variables.insert("team", "tours".to_owned());
    tells(&prometheus, &exporter, &variables, &[RED, counters]).await;
    let query =
        queries("team-backlog").into_iter().find(|one| one.place.ends_with("Red by manager A"));
    let series = query.unwrap().run(&prometheus, &all()).await.unwrap();
    assert!(series.iter().all(|labels| labels["name"] == labels["user"]), "{series:?}");
}
