//! The Grafana dashboards as they are imported: what Grafana's dashboard linter asks for, what this project
//! asks for, and that no query names a metric, label or value that docs/metrics.md does not know.
//!
//! Grafana's own linter cannot be installed here (its module is not served), so its rules are written again.
//! Exceptions to them, each with its reason, are [`EXCEPTIONS`].

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use super::metrics::{documented, documented_values};
use super::page;

/// File and uid of every dashboard. People have links to them, so they stay.
const DASHBOARDS: [(&str, &str); 3] = [
    ("team-backlog", "wazzup-team-backlog"),
    ("manager", "wazzup-manager"),
    ("exporter-health", "wazzup-exporter-health"),
];

/// Where the rules of Grafana's linter are not followed, and why.
const EXCEPTIONS: [(&str, &str); 4] = [
    (
        "template-instance-rule, target-instance-rule",
        "figures are of accounts and people, whichever instance shows them; only panels about the process \
         tell instances apart",
    ),
    (
        "target-rate-interval-rule for `$__range`",
        "single figures and tables tell how much happened in the whole time range",
    ),
    ("target-job-rule for the variable of the job itself", "it is what the job is chosen from"),
    (
        "target-job-rule for what rules record and for ALERTS",
        "they are of accounts and users, whatever the job is called",
    ),
];

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&page(&format!("grafana/dashboards/{name}.json"))).unwrap()
}

fn dashboards() -> impl Iterator<Item = (&'static str, Value)> {
    DASHBOARDS.into_iter().map(|(name, _)| (name, dashboard(name)))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} of {value}"))
}

/// Headings and panels, also those of a row that is not open, which are in it.
fn headings_and_panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let top = array(dashboard, "panels").iter();
    top.flat_map(|top| std::iter::once(top).chain(top["panels"].as_array().into_iter().flatten()))
}

/// Every panel that is no heading.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    headings_and_panels(dashboard).filter(|panel| panel["type"] != "row")
}

/// Every query of panels and variables, with its place.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in array(panel, "targets") {
                let place = format!("{name}: {} {}", panel["title"], target["refId"]);
                queries.push((place, target["expr"].as_str().unwrap().to_owned()));
            }
        }
        for variable in array(&dashboard["templating"], "list") {
            if variable["type"] == "query" {
                let place = format!("{name}: variable {}", variable["name"]);
                queries.push((place, variable["definition"].as_str().unwrap().to_owned()));
            }
        }
    }
    queries
}

#[test]
fn a_dashboard_can_be_imported_and_found_again() {
    let link = Regex::new(r"/d/([a-z-]+)/").unwrap();
    for (name, uid) in DASHBOARDS {
        let dashboard = dashboard(name);
        assert_eq!(dashboard["uid"], uid);
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 41, "{name}");
        assert!(dashboard.get("id").is_none(), "{name}: Grafana gives the number");
        assert_eq!(dashboard["editable"], false, "{name}: uneditable-dashboard-rule");
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in headings_and_panels(&dashboard) {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: the id of {panel}");
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cell.0 < 24 && taken.insert(cell), "{name}: {} overlaps", panel["title"]);
            }
        }
        let text = dashboard.to_string();
        for found in link.captures_iter(&text) {
            assert!(
                DASHBOARDS.iter().any(|(_, uid)| *uid == &found[1]),
                "{name} leads to {}",
                &found[1]
            );
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let title = text(&panel["title"]);
            assert!(!title.is_empty() && text(&panel["description"]).len() > 10, "{name}: {panel}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(&defaults["unit"]).is_empty(), "{name}: the unit of {title}");
            let absent = text(&defaults["noValue"]);
            // Without data the panel must not show that all is well.
            let honest = ["no reading", "no reading then", "none known"].contains(&absent.as_str());
            assert!(honest, "{name}: {title} says {absent} without data");
            assert_ne!(defaults["custom"]["spanNulls"], true, "{name}: {title} hides gaps");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            assert!(!array(panel, "targets").is_empty(), "{name}: panel-no-targets-rule: {title}");
            let mut refs = BTreeSet::new();
            for target in array(panel, "targets") {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}: {title}");
                assert!(refs.insert(target["refId"].as_str().unwrap()), "{name}: {title}");
            }
        }
    }
}

#[test]
fn data_source_and_job_are_chosen_by_variables() {
    for (name, dashboard) in dashboards() {
        let variables = array(&dashboard["templating"], "list");
        let named = |wanted: &str| variables.iter().find(|one| one["name"] == wanted).unwrap();
        let source = named("datasource");
        assert_eq!(
            (&source["type"], &source["query"]),
            (&"datasource".into(), &"prometheus".into())
        );
        assert_eq!(source["label"], "Data source", "{name}: template-datasource-rule");
        let job = named("job");
        assert_eq!(job["label"], "Job", "{name}");
        // All means all that were found, of exporters alone: with a value it would mean every job there is.
        assert!(job.get("allValue").is_none(), "{name}");
        assert_eq!(job["definition"], "label_values(wazzup_exporter_build_info, job)", "{name}");
        assert_eq!((&job["multi"], &job["includeAll"]), (&true.into(), &true.into()), "{name}");
        for variable in variables {
            assert!(!variable["description"].as_str().unwrap().is_empty(), "{name}: {variable}");
            if variable["type"] == "query" {
                assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}: {variable}");
                assert_eq!(variable["refresh"], 2, "{name}: template-on-time-change-reload-rule");
            }
        }
    }
}

/// A selector in a query: the metric, what is before and behind it, and its matchers.
struct Selector<'a> {
    metric: &'a str,
    before: &'a str,
    behind: &'a str,
    matchers: Vec<(&'a str, &'a str, &'a str)>,
}

/// Every selector of what is scraped. All of them have braces, because all of them have the job. What rules record,
/// which has a colon, has its own check in tests/e2e.
fn selectors(query: &str) -> Vec<Selector<'_>> {
    let whole = Regex::new(r"(?:^|[^a-z0-9:])([a-z_]+)\{([^}]*)\}").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)(=~|!~|!=|=)"([^"]*)""#).unwrap();
    whole
        .captures_iter(query)
        .map(|found| {
            let (metric, matchers) = (found.get(1).unwrap(), found.get(2).unwrap());
            let behind = &query[matchers.end() + 1..];
            let matchers = matcher.captures_iter(matchers.as_str()).map(|one| {
                let part =
                    |index| one.get(index).map_or("", |part: regex::Match<'_>| part.as_str());
                (part(1), part(2), part(3))
            });
            Selector {
                metric: metric.as_str(),
                before: &query[..metric.start()],
                behind,
                matchers: matchers.collect(),
            }
        })
        .collect()
}

/// The documented family of a metric: a histogram has more names than one.
fn family(metric: &str) -> &str {
    metric.strip_suffix("_bucket").unwrap_or(metric)
}

#[test]
fn every_query_asks_for_the_job_and_for_counters_as_rates() {
    let page = page("docs/metrics.md");
    let (documented, _) = documented(&page);
    for (place, query) in queries() {
        for selector in selectors(&query) {
            let metric = selector.metric;
            let job = selector.matchers.contains(&("job", "=~", "$job"));
            assert!(job, "{place}: {metric} of any job");
            let kind = documented.get(family(metric)).map_or("", |(kind, _)| kind.as_str());
            let counts = kind == "counter" || kind == "histogram" || metric.ends_with("_total");
            let inside = ["rate(", "increase("].iter().any(|one| selector.before.ends_with(one));
            assert_eq!(counts, inside, "{place}: target-counter-agg-rule: {metric}");
            if inside {
                let window = ["[$__rate_interval]", "[$__range]"]
                    .iter()
                    .any(|window| selector.behind.starts_with(window));
                assert!(window, "{place}: target-rate-interval-rule: {metric}");
            }
        }
        for forbidden in ["vector(", "irate(", "absent(", "offset -"] {
            assert!(!query.contains(forbidden), "{place}: {forbidden} makes up a figure");
        }
    }
    assert!(EXCEPTIONS.iter().all(|(rule, reason)| !rule.is_empty() && !reason.is_empty()));
}

#[test]
fn no_query_names_a_metric_label_or_value_that_is_not_documented() {
    let page = page("docs/metrics.md");
    let (documented, _) = documented(&page);
    let values = documented_values(&page);
    let mut labels: BTreeMap<&str, BTreeSet<String>> =
        documented.iter().map(|(name, (_, labels))| (name.as_str(), labels.clone())).collect();
    // The label that the demo's configuration gives to users, as docs/dashboards.md says.
    labels.get_mut("wazzup_user_info").unwrap().insert("team".to_owned());
    // Prometheus' own.
    labels.insert("up", BTreeSet::new());
    let mut everywhere: BTreeSet<&str> = ["job", "instance", "le"].into();
    everywhere.extend(labels.values().flatten().map(String::as_str));
    everywhere.extend(["code", "result", "reason", "alertname", "severity"]);

    let words = Regex::new(r"\b(wazzup|process)_[a-z_]+(?:[^a-z_:]|$)").unwrap();
    let lists = Regex::new(r"(?:by|on|group_left) \(([a-z_, ]*)\)").unwrap();
    let mut used = BTreeSet::new();
    for (place, query) in queries() {
        let found: Vec<_> = selectors(&query);
        for selector in &found {
            let metric = selector.metric;
            used.insert(family(metric).to_owned());
            let known = labels.get(family(metric));
            let known =
                known.unwrap_or_else(|| panic!("{place}: docs/metrics.md knows no {metric}"));
            for (label, operator, value) in &selector.matchers {
                assert!(
                    *label == "job" || known.contains(*label),
                    "{place}: {metric} has no {label}"
                );
                let list = values.get(&(family(metric).to_owned(), (*label).to_owned()));
                if let (Some(list), "=" | "!=") = (list, *operator) {
                    // Every label may be missing.
                    let known = value.is_empty() || list.contains(*value);
                    assert!(known, "{place}: {metric} has no {label}={value}");
                }
            }
        }
        let named = words.find_iter(&query).count();
        let selected = found
            .iter()
            .filter(|one| one.metric.starts_with("wazzup_") || one.metric.starts_with("process_"));
        // label_values(metric, label) of the first variable has no braces.
        let bare = usize::from(query.starts_with("label_values(") && !query.contains('{'));
        assert_eq!(named, selected.count() + bare, "{place}: a metric without matchers");
        for list in lists.captures_iter(&query) {
            for label in list[1].split(", ").filter(|label| !label.is_empty()) {
                assert!(everywhere.contains(label), "{place}: nothing has the label {label}");
            }
        }
    }
    // What is documented is to be seen somewhere, or is said not to be.
    let unseen: Vec<_> =
        documented.keys().filter(|name| !used.contains(*name)).map(String::as_str).collect();
    let not_drawn = [
        "process_virtual_memory_bytes",
        "wazzup_account_info",
        "wazzup_exporter_http_requests_total",
        "wazzup_exporter_login_failures_total",
        "wazzup_last_message_timestamp_seconds",
    ];
    assert_eq!(unseen, not_drawn);
}

#[test]
fn the_page_about_dashboards_explains_every_panel_and_no_other() {
    let page = page("docs/dashboards.md");
    let listed: BTreeSet<String> = super::rows(&page)
        .into_iter()
        .filter_map(|row| Some(row[0].strip_prefix("**")?.strip_suffix("**")?.to_owned()))
        .collect();
    let titles: BTreeSet<String> = dashboards()
        .flat_map(|(_, dashboard)| {
            panels(&dashboard)
                .map(|one| one["title"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(listed, titles);
}

#[test]
fn the_files_for_provisioning_say_what_the_page_says() {
    let read = |name: &str| -> Value {
        serde_saphyr::from_str(&page(&format!("grafana/provisioning/{name}"))).unwrap()
    };
    let page = page("docs/dashboards.md");
    let provider = &read("dashboards/wazzup.yaml")["providers"][0];
    assert_eq!(provider["type"], "file");
    assert!(page.contains(provider["options"]["path"].as_str().unwrap()));
    assert_eq!(read("datasources/prometheus.yaml")["datasources"][0]["type"], "prometheus");
}
