//! What Grafana does with a dashboard's queries before Prometheus sees them.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::prometheus::Prometheus;

/// The variables of a dashboard, as they are put into queries.
pub(super) type Variables = BTreeMap<&'static str, String>;

/// The labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// One query of a panel.
pub(super) struct Query {
    /// Dashboard, panel and query, for messages.
    pub(super) place: String,
    pub(super) expression: String,
    instant: bool,
    /// The panel's smallest interval, in seconds.
    interval: Option<u64>,
    /// Labels that its series have to have.
    pub(super) labels: Vec<String>,
    /// Why there may be no series.
    pub(super) may_be_empty: Option<String>,
}

/// How far the test looks back: all of its life, but short enough to evaluate at every second.
const RANGE: u64 = 300;
/// Prometheus scrapes every second here, and Grafana takes four of them at least.
const RATE_INTERVAL: u64 = 20;

pub(super) fn dashboard(name: &str) -> Value {
    read(&format!("dashboards/{name}.json"))
}

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana").join(name);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// All queries of a dashboard, with what its source expects of them.
pub(super) fn queries(name: &str) -> Vec<Query> {
    let dashboard = dashboard(name);
    let expected = read("expected.json")[name].as_array().unwrap().clone();
    // Those of a row that is not open are in it.
    let top = listed(&dashboard, "panels");
    let panels = top.flat_map(|top| std::iter::once(top).chain(listed(top, "panels")));
    let targets = panels.flat_map(|panel| listed(panel, "targets").map(move |one| (panel, one)));
    let mut queries = Vec::new();
    for ((panel, target), expected) in targets.zip(&expected) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let place = format!("{name}: {} {}", text(&panel["title"]), text(&target["refId"]));
        let told = format!("{name}: {} {}", text(&expected["panel"]), text(&expected["ref"]));
        assert_eq!(place, told, "the same order in both files");
        queries.push(Query {
            place,
            expression: text(&target["expr"]),
            instant: target["instant"].as_bool().unwrap(),
            interval: panel["interval"].as_str().map(seconds),
            labels: expected["labels"].as_array().unwrap().iter().map(text).collect(),
            may_be_empty: expected["may_be_empty"].as_str().map(str::to_owned),
        });
    }
    assert_eq!(queries.len(), expected.len(), "{name}");
    queries
}

/// What stands in a list, if there is one.
fn listed<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    number.parse::<u64>().unwrap() * if unit == "h" { 3_600 } else { 60 }
}

impl Query {
    /// The expression with everything put in. Where it speaks of last week, that is a moment ago
    /// here: nothing that was scraped is older.
    pub(super) fn filled(&self, variables: &Variables) -> String {
        let rate_interval = self.interval.filter(|one| *one >= 3_600).unwrap_or(RATE_INTERVAL);
        let text = fill(&self.expression, variables)
            .replace("$__rate_interval", &format!("{rate_interval}s"))
            .replace("$__range", &format!("{RANGE}s"))
            // A subquery has to find points within that range.
            .replace(":$__interval]", ":1s]")
            .replace("$__interval", &format!("{}s", self.interval.unwrap_or(1)))
            .replace("[1h:10m] offset 1w", "[3s:1s] offset 2s");
        let past = Regex::new(r"offset \d[dw]").unwrap();
        let text = past.replace_all(&text, "offset 2s").into_owned();
        assert!(!text.contains("$_") && !text.contains("${"), "{}: {text}", self.place);
        text
    }

    /// Runs it as its panel does: now, or over the last seconds.
    pub(super) async fn run(
        &self,
        prometheus: &Prometheus,
        variables: &Variables,
    ) -> Result<Vec<Labels>, String> {
        let expression = self.filled(variables);
        let ask = async {
            if self.instant {
                return prometheus.api("api/v1/query", &[("query", &expression)]).await;
            }
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
            let (start, end) = (format!("{:.3}", now - 30.0), format!("{now:.3}"));
            let query = [("query", &*expression), ("start", &start), ("end", &end), ("step", "1")];
            prometheus.api("api/v1/query_range", &query).await
        };
        let answer = ask.await.map_err(|why| format!("{}: {why}\n{expression}", self.place))?;
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        Ok(series.into_iter().map(|one| labels(&one["metric"])).collect())
    }
}

fn labels(metric: &Value) -> Labels {
    let labels = metric.as_object().unwrap().iter();
    labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Puts the variables of a dashboard in.
fn fill(text: &str, variables: &Variables) -> String {
    let known = Regex::new(r"\$(datasource|job|account|team|user)\b").unwrap();
    known.replace_all(text, |found: &regex::Captures<'_>| variables[&found[1]].clone()).into_owned()
}

/// Several chosen values, as Grafana joins them.
pub(super) fn several(values: &[&str]) -> String {
    let escaped: Vec<_> = values.iter().map(|one| regex::escape(one)).collect();
    // A backslash of the regular expression is one in a string of PromQL.
    format!("({})", escaped.join("|")).replace('\\', r"\\")
}

/// What a variable offers: text and value.
pub(super) async fn offered(
    prometheus: &Prometheus,
    variable: &Value,
    variables: &Variables,
) -> Result<Vec<(String, String)>, String> {
    let definition = fill(variable["definition"].as_str().unwrap(), variables);
    let pair = |value: &Value| {
        let value = value.as_str().unwrap().to_owned();
        (value.clone(), value)
    };
    if let Some(of) = argument(&definition, "label_values") {
        let (series, label) = of.rsplit_once(", ").unwrap();
        let path = format!("api/v1/label/{label}/values");
        let values = prometheus.api(&path, &[("match[]", series)]).await?;
        return Ok(values.as_array().unwrap().iter().map(pair).collect());
    }
    let expression = argument(&definition, "query_result").unwrap();
    let answer = prometheus.api("api/v1/query", &[("query", expression)]).await?;
    let regex = variable["regex"].as_str().unwrap();
    let regex = Regex::new(regex.strip_prefix('/').unwrap().strip_suffix('/').unwrap()).unwrap();
    let series = answer["result"].as_array().unwrap().iter();
    let texts = series.map(|one| {
        let labels = labels(&one["metric"]);
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        format!("{{{}}} 1 0", labels.join(","))
    });
    Ok(texts
        .filter_map(|text| {
            let found = regex.captures(&text)?;
            Some((found["text"].to_owned(), found["value"].to_owned()))
        })
        .collect())
}

fn argument<'a>(call: &'a str, function: &str) -> Option<&'a str> {
    call.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')
}
