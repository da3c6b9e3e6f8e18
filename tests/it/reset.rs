//! Resets of an account's counters, from the request to what upstream, the disk and the metrics hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use wazzup_exporter::app::Options;
use wazzup_exporter::config::{self, Config, Permissions};
use wazzup_exporter::reload::ConfigSource;
use wazzup_exporter::simulator::{
    AccountSpec, Endpoint, RateLimit, Role, Settings, Simulator, UserSpec,
};
use wazzup_exporter::storage::Storage;

use super::support::daemon::{World, options};
use super::support::files::write_private;
use super::support::http::client;
use super::support::samples::{Samples, value};
use super::support::upstream::serve;
use super::support::wait::{guard, until_true};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const ID: &str = "78231464";
const POLL: &str = "interval: 200ms, timeout: 5s";

/// An upstream with three users, one of them not configured, and a place for files.
pub(crate) struct Scene {
    pub(crate) api: Simulator,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let user = |id: &str, count, kind: &str| {
            UserSpec::new(id, "Anna", Role::SalesRep).pinned(count, kind)
        };
        let acme = AccountSpec::new("acme", ID, "token-of-acme")
            .user(user("1", 600, "red"))
            .user(user("2", 300, "grey"))
            .user(user("found", 70, "red"));
        let other =
            AccountSpec::new("other", "11111111", "token-of-other").user(user("1", 5, "red"));
        let settings = Settings {
            accounts: vec![acme, other],
            speed: 0.0,
            limit: RateLimit::UNLIMITED,
            ..Settings::default()
        };
        let (api, url) = serve(settings).await;
        let scene = Self { api, url, folder: tempfile::tempdir().unwrap() };
        scene.write("reset-token", TOKEN);
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        write_private(&self.path(name), text);
    }

    /// A configuration of `acme`, which may be reset, and `other`, which may not.
    pub(crate) fn yaml(&self, poll: &str, more: &str) -> String {
        let url = &self.url;
        format!(
            "poll: {{{poll}}}\naccounts:\n\
             - name: acme\n  account_id: '{ID}'\n  base_url: {url}\n  auth: {{token: token-of-acme}}\n  \
             channels: {{enabled: false}}\n  rate_limit: {{requests: 100000, per: 1s}}\n  \
             users: [{{id: '1'}}, {{id: '2'}}]\n  \
             reset: {{enabled: true, token_file: reset-token{more}}}\n\
             - name: other\n  account_id: '11111111'\n  base_url: {url}\n  \
             auth: {{token: token-of-other}}\n  channels: {{enabled: false}}\n  \
             rate_limit: {{requests: 100000, per: 1s}}\n  users: [{{id: '1'}}]\n"
        )
    }

    pub(crate) fn config(&self, poll: &str, more: &str) -> Config {
        config::parse(self.yaml(poll, more).as_bytes(), &self.path("config.yaml")).unwrap()
    }

    pub(crate) fn storage(&self) -> Storage {
        Storage::new(self.path("data"))
    }

    async fn start(&self) -> World {
        self.start_config(self.config(POLL, "")).await
    }

    /// An exporter that reads its configuration again on request.
    async fn start_from_file(&self, yaml: &str) -> World {
        self.write("config.yaml", yaml);
        let source = ConfigSource {
            file: self.path("config.yaml"),
            permissions: Permissions::default(),
            check_interval: None,
        };
        let admin_listen = Some("127.0.0.1:0".parse().unwrap());
        let storage = Some(self.storage());
        let source = Some(source);
        let options = Options { storage, admin_listen, source, lifecycle: true, ..options() };
        World::start_options(self.api.clone(), self.config(POLL, ""), options).await
    }

    async fn start_config(&self, config: Config) -> World {
        let admin_listen = Some("127.0.0.1:0".parse().unwrap());
        let storage = Some(self.storage());
        let options = Options { storage, admin_listen, ..options() };
        let world = World::start_options(self.api.clone(), config, options).await;
        world.until("the first figures", |samples| unanswered(samples, "red") == Some(600.0)).await;
        world
    }

    /// How often upstream was asked to clear.
    pub(crate) fn deletes(&self) -> u64 {
        self.api.counts().endpoint(Endpoint::Reset)
    }

    fn audit(&self) -> Vec<Value> {
        audit(&self.path("data"))
    }

    /// Kinds, results and codes of the audit log.
    fn record(&self) -> Vec<String> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let line =
            |line: &Value| [text(line, "kind"), text(line, "result"), text(line, "code")].join(" ");
        self.audit().iter().map(line).collect()
    }
}

pub(crate) fn audit(data: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(data.join(format!("id.{ID}/reset-audit.jsonl")))
        .unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn unanswered(samples: &Samples, kind: &str) -> Option<f64> {
    let user = if kind == "red" { "1" } else { "2" };
    value(samples, &super::support::samples::counter("acme", user, kind))
}

/// The value of a series that has to exist.
fn count(samples: &Samples, series: &str) -> u64 {
    samples.get(series).unwrap_or_else(|| panic!("{series}")).parse().unwrap()
}

fn results(samples: &Samples) -> [u64; 4] {
    ["cleared", "dry_run", "failed", "unknown"].map(|result| {
        count(samples, &format!(r#"wazzup_resets_total{{account="acme",result="{result}"}}"#))
    })
}

fn refusals(samples: &Samples, code: &str) -> u64 {
    count(samples, &format!(r#"wazzup_reset_refusals_total{{account="acme",code="{code}"}}"#))
}

fn unresolved(samples: &Samples) -> u64 {
    count(samples, r#"wazzup_reset_unresolved{account="acme"}"#)
}

fn strangers(samples: &Samples, code: &str) -> u64 {
    count(samples, &format!(r#"wazzup_exporter_admin_refusals_total{{code="{code}"}}"#))
}

/// A request as it should be.
pub(crate) fn body() -> Value {
    json!({"confirm": ID, "reason": "a dead backlog"})
}

struct ResetRequest {
    method: Method,
    account: &'static str,
    token: Option<&'static str>,
    content_type: Option<&'static str>,
    body: String,
    headers: Vec<(&'static str, &'static str)>,
}

impl ResetRequest {
    fn good() -> Self {
        Self {
            method: Method::POST,
            account: "acme",
            token: Some(TOKEN),
            content_type: Some("application/json"),
            body: body().to_string(),
            headers: Vec::new(),
        }
    }

    fn with(body: &Value) -> Self {
        Self { body: body.to_string(), ..Self::good() }
    }

    async fn send(self, world: &World) -> Response {
        let admin = world.admin.unwrap();
        let url = format!("http://{admin}/api/v1/admin/accounts/{}/reset", self.account);
        let mut request = client().request(self.method, url).body(self.body);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(token) = self.token {
            request = request.header("x-reset-token", token);
        }
        if let Some(content_type) = self.content_type {
            request = request.header("content-type", content_type);
        }
        guard("the answer to a reset", request.send()).await.unwrap()
    }

    /// The status and the document.
    async fn document(self, world: &World) -> (u16, Value) {
        let answer = self.send(world).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// The status and the code.
    async fn code(self, world: &World) -> (u16, String) {
        let (status, document) = self.document(world).await;
        (status, document["code"].as_str().unwrap().to_owned())
    }
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_reset_clears_the_account_once_and_reports_before_and_after() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    let before = world.scrape().await;
    assert_eq!((results(&before), unresolved(&before)), ([0; 4], 0));
    assert!(!before.contains_key(r#"wazzup_reset_last_success_timestamp_seconds{account="acme"}"#));
    assert!(!before.contains_key(r#"wazzup_reset_unresolved{account="other"}"#));
    let (status, answer) = ResetRequest::good().document(&world).await;
    assert_eq!((status, &answer["code"]), (200, &json!("cleared")), "{answer}");
    let figures = |red, grey, total| json!({"red": red, "grey": grey, "other": 0, "total": total, "users": 3});
    assert_eq!(answer["before"], figures(670, 300, 970));
    assert_eq!(answer["after"], figures(0, 0, 0));
    assert_eq!(scene.deletes(), 1);
    assert_eq!(scene.api.counter("acme", "found"), Some((0, "red".to_owned())));
    assert_eq!(scene.api.counter("other", "1"), Some((5, "red".to_owned())));

    let cleared = |samples: &Samples| {
        unanswered(samples, "red") == Some(0.0) && results(samples) == [1, 0, 0, 0]
    };
    let samples = world.until("the figures after it", cleared).await;
    let of_user = |family: &str| format!(r#"{family}{{account="acme",user="1"}}"#);
    for family in ["wazzup_unanswered_increase_total", "wazzup_unanswered_decrease_total"] {
        assert_eq!(value(&samples, &of_user(family)), Some(0.0), "{family}");
    }
    assert!(!samples.contains_key(&of_user("wazzup_unanswered_red_since_timestamp_seconds")));
    let success = r#"wazzup_reset_last_success_timestamp_seconds{account="acme"}"#;
    assert!(value(&samples, success).unwrap() > 1e9);
    let asked = r#"wazzup_api_requests_total{account="acme",endpoint="reset",outcome="ok"}"#;
    assert_eq!(value(&samples, asked), Some(1.0));

    assert_eq!(scene.record(), ["intent - -", "outcome cleared cleared", "after - -"]);
    let [intent, outcome, after] = scene.audit().try_into().unwrap();
    assert_eq!(
        intent["readings"],
        json!({"1": [600, "red"], "2": [300, "grey"], "found": [70, "red"]})
    );
    assert_eq!((&intent["reason"], &intent["account_id"]), (&json!("a dead backlog"), &json!(ID)));
    assert!(intent["caller"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(intent["user_agent"].as_str().unwrap().starts_with("wazzup-exporter/"));
    assert_eq!((&intent["id"], &answer["id"]), (&outcome["id"], &after["id"]));
    assert_eq!(after["figures"]["total"], 0);

    let status = world.get("/api/v1/status").await.text().await.unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    let last = &status["accounts"][0]["last_reset"];
    assert_eq!((&last["result"], &last["before"]), (&json!("cleared"), &json!(970)));
    assert_eq!(status["accounts"][1]["last_reset"], Value::Null);
    let page = world.get("/").await.text().await.unwrap();
    assert!(page.contains("last reset") && page.contains("970"), "{page}");

    let refused = ResetRequest::good().send(&world).await;
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!((refused.status().as_u16(), scene.deletes()), (429, 1));
    world.stop().await;

    let world = scene.start_later().await;
    assert_eq!(ResetRequest::good().code(&world).await, code(429, "cooldown"));
    let samples = world.until("it", |samples| refusals(samples, "cooldown") == 1).await;
    assert!(value(&samples, success).unwrap() > 1e9, "it survives a restart");
    assert_eq!((results(&samples), unresolved(&samples)), ([0; 4], 0));
    world.stop().await;
}

impl Scene {
    /// An exporter after the counters were cleared.
    async fn start_later(&self) -> World {
        let admin_listen = Some("127.0.0.1:0".parse().unwrap());
        let options = Options { storage: Some(self.storage()), admin_listen, ..options() };
        World::start_options(self.api.clone(), self.config(POLL, ""), options).await
    }
}

#[tokio::test]
async fn a_reset_does_not_wait_for_the_first_list_of_users() {
    let scene = Scene::new().await;
    let yaml = scene.yaml("interval: 1s, timeout: 5m, stale_after: 10m", "");
    let yaml = yaml.replacen("  users:", "  discover_users: {enabled: true}\n  users:", 1);
    scene.api.add_fault("endpoint=users,hang,count=1".parse().unwrap());
    let config = config::parse(yaml.as_bytes(), &scene.path("config.yaml")).unwrap();
    let admin_listen = Some("127.0.0.1:0".parse().unwrap());
    let options = Options { storage: Some(scene.storage()), admin_listen, ..options() };
    let world = World::start_options(scene.api.clone(), config, options).await;
    world.api_until("the list", |log| log.endpoint(Endpoint::Users) >= 1).await;
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    world.stop().await;
}

#[tokio::test]
async fn messages_that_come_after_a_reset_are_red_since_then() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    scene.api.set("acme", "1", 602, "red").unwrap();
    let increase = r#"wazzup_unanswered_increase_total{account="acme",user="1"}"#;
    world.until("two more", |samples| value(samples, increase) == Some(2.0)).await;
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    world.until("nothing", |samples| unanswered(samples, "red") == Some(0.0)).await;
    scene.api.set("acme", "1", 3, "red").unwrap();
    let samples = world.until("three", |samples| unanswered(samples, "red") == Some(3.0)).await;
    assert_eq!(value(&samples, increase), Some(5.0));
    let decrease = r#"wazzup_unanswered_decrease_total{account="acme",user="1"}"#;
    assert_eq!(value(&samples, decrease), Some(0.0));
    let since = r#"wazzup_unanswered_red_since_timestamp_seconds{account="acme",user="1"}"#;
    let cleared = r#"wazzup_reset_last_success_timestamp_seconds{account="acme"}"#;
    // Whole seconds, and never before the reset.
    let cleared = value(&samples, cleared).map(f64::floor);
    assert!(value(&samples, since) >= cleared, "{samples:?}");
    world.stop().await;
}

#[tokio::test]
async fn strangers_learn_nothing_and_are_counted() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    let unauthorized = [
        ResetRequest { token: None, ..ResetRequest::good() },
        ResetRequest { token: Some(""), ..ResetRequest::good() },
        ResetRequest { token: Some(&TOKEN[1..]), ..ResetRequest::good() },
        ResetRequest { account: "other", ..ResetRequest::good() },
        ResetRequest { account: "unknown", ..ResetRequest::good() },
        ResetRequest { account: "a%20b%0A", ..ResetRequest::good() },
        ResetRequest { account: "a%2Fb%C3%BC", ..ResetRequest::good() },
        // What would be refused later does not show whether the token is right.
        ResetRequest { token: None, content_type: None, ..ResetRequest::good() },
        ResetRequest { token: None, body: "x".repeat(100_000), ..ResetRequest::good() },
        ResetRequest { headers: vec![("x-reset-token", TOKEN)], ..ResetRequest::good() },
    ];
    let asked = unauthorized.len() as u64;
    let mut answers = Vec::new();
    for ask in unauthorized {
        let answer = ask.send(&world).await;
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            .filter(|(name, _)| *name != "date")
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort();
        answers.push((answer.status().as_u16(), headers, answer.text().await.unwrap()));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let samples = world.scrape().await;
    assert_eq!(strangers(&samples, "unauthorized"), asked);
    assert_eq!((scene.deletes(), scene.record().len()), (0, 0));
    world.stop().await;
}

#[tokio::test]
async fn browsers_get_nowhere() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    for headers in [
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-origin")],
    ] {
        let answer = ResetRequest { headers, ..ResetRequest::good() }.code(&world).await;
        assert_eq!(answer, code(403, "cross_site"));
    }
    for method in [Method::OPTIONS, Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let headers = vec![
            ("origin", "https://evil.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-reset-token,content-type"),
        ];
        let answer = ResetRequest { method: method.clone(), headers, ..ResetRequest::good() }
            .send(&world)
            .await;
        assert_eq!(answer.status().as_u16(), 405, "{method}");
        assert_eq!(answer.headers()["allow"], "POST");
        let cors = answer.headers().keys().filter(|name| name.as_str().starts_with("access-"));
        assert_eq!(cors.count(), 0, "{method}");
    }
    let samples = world.scrape().await;
    assert_eq!(strangers(&samples, "cross_site"), 4);
    assert_eq!(strangers(&samples, "method_not_allowed"), 5);
    assert_eq!(scene.deletes(), 0);
    world.stop().await;
}

#[tokio::test]
async fn the_admin_listener_has_one_path_and_the_others_have_none_of_it() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    let admin = world.admin.unwrap();
    for path in [
        "/",
        "/metrics",
        "/-/healthy",
        "/api/v1/status",
        "/api/v1/admin/accounts",
        "/api/v1/admin/accounts//reset",
        "/api/v1/admin/accounts/acme",
        "/api/v1/admin/accounts/acme/reset/",
        "/api/v1/admin/accounts/a/b/reset",
        "/api/v1/admin/accounts/%FF/reset",
        "//api/v1/admin/accounts/acme/reset",
    ] {
        let answer = client().get(format!("http://{admin}{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{path}");
    }
    let path = "/api/v1/admin/accounts/acme/reset";
    let headers = [("x-reset-token", TOKEN), ("content-type", "application/json")];
    assert_eq!(world.request(Method::POST, path, &headers).await.status().as_u16(), 404);
    world.stop().await;
}

#[tokio::test]
async fn without_the_flag_no_port_is_open() {
    let scene = Scene::new().await;
    let storage = Some(scene.storage());
    let config = scene.config(POLL, "");
    let world =
        World::start_options(scene.api.clone(), config, Options { storage, ..options() }).await;
    assert_eq!(world.admin, None);
    let samples =
        world.until("the first figures", |samples| unanswered(samples, "red").is_some()).await;
    assert!(!samples.keys().any(|series| series.starts_with("wazzup_exporter_admin")));
    world.stop().await;
}

#[tokio::test]
async fn each_guard_refuses_with_its_own_status_and_code() {
    let scene = Scene::new().await;
    let world = scene.start_config(scene.config(POLL, ", max_unanswered: 900")).await;
    let text = |body: &str| ResetRequest { body: body.to_owned(), ..ResetRequest::good() };
    let of_type = |content_type| ResetRequest { content_type, ..ResetRequest::good() };
    let expecting =
        |count: u64| ResetRequest::with(&json!({"confirm": ID, "expected_unanswered": count}));
    for (ask, expected) in [
        (of_type(None), (415, "unsupported_media_type")),
        (of_type(Some("text/plain")), (415, "unsupported_media_type")),
        (text(&format!("{{{}", " ".repeat(5000))), (413, "body_too_large")),
        (text("confirm=78231464"), (400, "invalid_body")),
        (ResetRequest::with(&json!({"confirm": ID, "force": true})), (400, "invalid_body")),
        (ResetRequest::with(&json!({"confirm": "11111111"})), (422, "confirmation_mismatch")),
        (ResetRequest::with(&json!({})), (422, "confirmation_mismatch")),
        (ResetRequest::good(), (409, "too_many_unanswered")),
        (expecting(969), (409, "too_many_unanswered")),
    ] {
        assert_eq!(ask.code(&world).await, code(expected.0, expected.1));
    }
    scene.api.add_fault("status=500,endpoint=counter,user=found".parse().unwrap());
    let (status, answer) = expecting(970).document(&world).await;
    assert_eq!((status, &answer["code"]), (409, &json!("incomplete_reading")));
    assert!(answer["message"].as_str().unwrap().contains("user found"), "{answer}");
    scene.api.clear_faults();
    // Of the whole list, and of the page behind the first.
    for fault in [
        "status=500,endpoint=users",
        "path=/v2/users?offset=3,status=500",
        "path=/v2/users?offset=3,truncated=404",
        r#"path=/v2/users?offset=3,body={"data":[{"id":"1"},{"name":"without an id"}]}"#,
    ] {
        scene.api.add_fault(fault.parse().unwrap());
        let refused = expecting(970).code(&world).await;
        assert_eq!(refused, code(409, "incomplete_reading"), "{fault}");
        scene.api.clear_faults();
    }
    scene.api.remove_user("acme", "2").unwrap();
    assert_eq!(expecting(970).code(&world).await, code(409, "incomplete_reading"));
    let samples = world.until("it", |samples| refusals(samples, "incomplete_reading") == 6).await;
    for (refused, count) in [
        ("unsupported_media_type", 2),
        ("body_too_large", 1),
        ("invalid_body", 2),
        ("confirmation_mismatch", 2),
        ("too_many_unanswered", 2),
        ("cooldown", 0),
    ] {
        assert_eq!(refusals(&samples, refused), count, "{refused}");
    }
    assert_eq!((scene.deletes(), scene.record().len(), results(&samples)), (0, 0, [0; 4]));
    world.stop().await;
}

#[tokio::test]
async fn the_expected_number_allows_clearing_more_than_the_bound() {
    let scene = Scene::new().await;
    let world = scene.start_config(scene.config(POLL, ", max_unanswered: 0")).await;
    let known = ResetRequest::with(&json!({"confirm": "7823-1464", "expected_unanswered": 970}));
    assert_eq!(known.code(&world).await, code(200, "cleared"));
    assert_eq!(scene.audit()[0]["expected_unanswered"], 970);
    world.stop().await;
}

#[tokio::test]
async fn a_dry_run_does_everything_but_the_reset_and_starts_no_cooldown() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    for _ in 0..2 {
        let ask = ResetRequest::with(&json!({"confirm": ID, "dry_run": true}));
        let (status, answer) = ask.document(&world).await;
        assert_eq!((status, &answer["code"]), (200, &json!("dry_run")));
        assert_eq!((&answer["before"]["total"], &answer["after"]), (&json!(970), &Value::Null));
    }
    assert_eq!(scene.record(), ["dry_run - -", "dry_run - -"]);
    assert_eq!(scene.deletes(), 0);
    world.until("it", |samples| results(samples) == [0, 2, 0, 0]).await;
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    let ask = ResetRequest::with(&json!({"confirm": ID, "dry_run": true}));
    assert_eq!(ask.code(&world).await, code(429, "cooldown"));
    world.stop().await;
}

#[tokio::test]
async fn a_list_that_hangs_keeps_the_only_permit_for_no_longer_than_its_time_limit() {
    let scene = Scene::new().await;
    let yaml = scene.yaml("interval: 200ms, timeout: 1s, concurrency: 1", "");
    let yaml = yaml.replacen("channels: {enabled: false}", "channels: {enabled: true}", 1);
    let config = config::parse(yaml.as_bytes(), &scene.path("config.yaml")).unwrap();
    scene.api.add_fault("hang,endpoint=channels".parse().unwrap());
    let world = scene.start_config(config).await;
    let asked = async || scene.api.counts().endpoint(Endpoint::Channels) > 0;
    until_true("a request for channels", asked).await;
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    world.stop().await;
}

#[tokio::test]
async fn of_fifty_calls_at_once_one_reaches_upstream() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    let calls = (0..50).map(|_| ResetRequest::good().code(&world));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(scene.deletes(), 1);
    let cleared = answers.iter().filter(|answer| **answer == code(200, "cleared")).count();
    assert_eq!(cleared, 1, "{answers:?}");
    let refused = [code(409, "reset_in_progress"), code(429, "cooldown")];
    let others = answers.iter().filter(|answer| refused.contains(answer)).count();
    assert_eq!(others, 49, "{answers:?}");
    assert_eq!(scene.record().iter().filter(|line| line.starts_with("intent")).count(), 1);
    world.stop().await;
}

/// What becomes of a reset that upstream treats like this.
async fn suffers(
    fault: &str,
    poll: &str,
    expected: (u16, &str),
    result: &str,
) -> (Scene, World, Value) {
    let scene = Scene::new().await;
    let world = scene.start_config(scene.config(poll, "")).await;
    scene.api.add_fault(fault.parse().unwrap());
    let (status, answer) = ResetRequest::good().document(&world).await;
    assert_eq!((status, answer["code"].as_str().unwrap()), expected, "{fault}: {answer}");
    assert_eq!(scene.deletes(), 1, "{fault}");
    let outcome = format!("outcome {result} {}", expected.1);
    assert_eq!(scene.record()[..2], ["intent - -".to_owned(), outcome], "{fault}");
    let unknown = u64::from(result == "unknown");
    let counts = [0, 0, 1 - unknown, unknown];
    let counted = |samples: &Samples| results(samples) == counts && unresolved(samples) == unknown;
    world.until(fault, counted).await;
    assert_eq!(answer["before"]["total"], 970, "{fault}");
    (scene, world, answer)
}

#[tokio::test]
async fn an_answer_that_never_comes_is_an_unknown_outcome_with_fresh_figures() {
    // Carried out, and answered too late.
    let poll = "interval: 200ms, timeout: 500ms";
    let (scene, world, answer) =
        suffers("late=20s,endpoint=reset", poll, (504, "outcome_unknown"), "unknown").await;
    assert_eq!(answer["after"]["total"], 0, "the figures show: {answer}");
    let decrease = r#"wazzup_unanswered_decrease_total{account="acme",user="1"}"#;
    let shown = |samples: &Samples| unanswered(samples, "red") == Some(0.0);
    let samples = world.until("the figures", shown).await;
    assert_eq!(value(&samples, decrease), Some(0.0), "a reset answers no message");
    assert_eq!(ResetRequest::good().code(&world).await, code(429, "cooldown"));
    world.stop().await;
    let world = scene.start_later().await;
    assert_eq!(ResetRequest::good().code(&world).await, code(429, "cooldown"));
    let samples = world.until("it", |samples| refusals(samples, "cooldown") == 1).await;
    assert_eq!((results(&samples), unresolved(&samples)), ([0; 4], 1));
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_unknown_outcome() {
    let unknown = (504, "outcome_unknown");
    // Before it was carried out and after.
    let (_scene, world, answer) = suffers("reset,endpoint=reset", POLL, unknown, "unknown").await;
    assert_eq!(answer["after"]["total"], 970);
    let since = r#"wazzup_unanswered_red_since_timestamp_seconds{account="acme",user="1"}"#;
    let samples = world.until("figures", |samples| unanswered(samples, "red") == Some(600.0)).await;
    assert!(samples.contains_key(since), "nothing has changed");
    world.stop().await;
    let (_scene, world, answer) = suffers("lost,endpoint=reset", POLL, unknown, "unknown").await;
    assert_eq!(answer["after"]["total"], 0);
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_an_unknown_outcome() {
    for fault in [
        "malformed,endpoint=reset",
        "truncated,endpoint=reset",
        "oversized,endpoint=reset",
        "status=500,endpoint=reset",
        "status=503,endpoint=reset",
        "status=408,endpoint=reset",
        "status=204,endpoint=reset",
        "endpoint=reset,redirect=http://127.0.0.1:9/",
        r#"endpoint=reset,body={"data":{"cleared":true}}"#,
    ] {
        let (_scene, world, answer) =
            suffers(fault, POLL, (504, "outcome_unknown"), "unknown").await;
        assert_eq!(answer["after"]["total"], 970, "{fault}");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_upstream_refuses_has_cleared_nothing_and_is_sent_once() {
    for status in [401, 403, 404, 429] {
        let fault = format!("status={status},endpoint=reset,count=1");
        let refused = (502, "upstream_refused");
        let (scene, world, answer) = suffers(&fault, POLL, refused, "failed").await;
        assert_eq!(answer["upstream_status"], status);
        assert_eq!(ResetRequest::good().code(&world).await, code(429, "cooldown"));
        assert_eq!(scene.deletes(), 1);
        world.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_names_another_account_locks_the_resets_until_a_restart() {
    let fault =
        r#"endpoint=reset,body={"data":{"account_id":"99999999","cleared":true},"meta":{}}"#;
    let (scene, world, answer) = suffers(fault, POLL, (502, "account_mismatch"), "failed").await;
    assert!(answer["message"].as_str().unwrap().contains("99999999"), "{answer}");
    assert_eq!(ResetRequest::good().code(&world).await, code(409, "locked"));
    world.stop().await;
    let world = scene.start_later().await;
    assert_eq!(ResetRequest::good().code(&world).await, code(429, "cooldown"));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_says_no_is_a_failure() {
    let fault = format!(
        r#"endpoint=reset,body={{"data":{{"account_id":"{ID}","cleared":false}},"meta":{{}}}}"#
    );
    let (_scene, world, _) = suffers(&fault, POLL, (502, "not_cleared"), "failed").await;
    world.stop().await;
}

#[tokio::test]
async fn a_caller_who_goes_away_in_time_stops_the_reset() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    let readings = scene.api.counts().accounts["acme"].endpoint(Endpoint::Users);
    scene.api.add_fault("latency=1s,endpoint=users".parse().unwrap());
    let call = ResetRequest::good().send(&world);
    let asked = scene.api.wait_until(|log| log.endpoint(Endpoint::Users) > readings);
    tokio::select! {
        _ = call => panic!("it is answered"),
        () = guard("the list of users", asked) => {}
    }
    world.until("it", |samples| refusals(samples, "interrupted") == 1).await;
    assert_eq!((scene.deletes(), scene.record().len()), (0, 0));
    scene.api.clear_faults();
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    world.stop().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_what_was_sent_and_writes_its_outcome() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    scene.api.add_fault("late=3s,endpoint=reset".parse().unwrap());
    let shutdown = world.shutdown.clone();
    let api = scene.api.clone();
    let stop = async move {
        guard("the reset", api.wait_until(|log| log.endpoint(Endpoint::Reset) == 1)).await;
        shutdown.begin();
    };
    let (answer, ()) = tokio::join!(ResetRequest::good().document(&world), stop);
    assert_eq!((answer.0, &answer.1["code"]), (200, &json!("cleared")));
    world.stop().await;
    assert_eq!(scene.record()[..2], ["intent - -", "outcome cleared cleared"]);
    assert_eq!(scene.deletes(), 1);
}

#[tokio::test]
async fn a_shutdown_before_the_decision_sends_nothing() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    scene.api.add_fault("hang,endpoint=users".parse().unwrap());
    let asked = scene.api.counts().endpoint(Endpoint::Users);
    let shutdown = world.shutdown.clone();
    let api = scene.api.clone();
    let stop = async move {
        guard("the list", api.wait_until(|log| log.endpoint(Endpoint::Users) > asked)).await;
        shutdown.begin();
    };
    let (answer, ()) = tokio::join!(ResetRequest::good().code(&world), stop);
    assert_eq!(answer, code(503, "interrupted"));
    world.stop().await;
    assert_eq!((scene.deletes(), scene.record().len()), (0, 0));
}

#[tokio::test]
async fn a_renamed_account_keeps_its_cooldown_its_record_and_its_lock() {
    let mismatch =
        r#"endpoint=reset,body={"data":{"account_id":"99999999","cleared":true},"meta":{}}"#;
    for (fault, first, then) in [
        (None, code(200, "cleared"), code(429, "cooldown")),
        (Some(mismatch), code(502, "account_mismatch"), code(409, "locked")),
    ] {
        let scene = Scene::new().await;
        let yaml = scene.yaml(POLL, "");
        let world = scene.start_from_file(&yaml).await;
        if let Some(fault) = fault {
            scene.api.add_fault(fault.parse().unwrap());
        }
        assert_eq!(ResetRequest::good().code(&world).await, first);
        let record = scene.record();
        scene.write("config.yaml", &yaml.replace("- name: acme", "- name: renamed"));
        assert_eq!(world.request(Method::POST, "/-/reload", &[]).await.status(), 200);
        let renamed = || ResetRequest { account: "renamed", ..ResetRequest::good() };
        assert_eq!(renamed().code(&world).await, then);
        assert_eq!(ResetRequest::good().code(&world).await, code(401, "unauthorized"));
        assert_eq!((scene.deletes(), scene.record()), (1, record), "nothing was sent");
        let refused =
            format!(r#"wazzup_reset_refusals_total{{account="renamed",code="{}"}}"#, then.1);
        let success = r#"wazzup_reset_last_success_timestamp_seconds{account="renamed"}"#;
        let counted = |samples: &Samples| {
            let known = samples.contains_key(success) == fault.is_none();
            samples.get(&refused).is_some_and(|count| count == "1") && known
        };
        world.until("what is known of the last reset", counted).await;
        world.stop().await;
        // Over a restart under the new name, too.
        let world = scene.start_from_file(&yaml).await;
        assert_eq!(world.request(Method::POST, "/-/reload", &[]).await.status(), 200);
        assert_eq!(ResetRequest::good().code(&world).await, code(429, "cooldown"));
        world.stop().await;
        let folders = std::fs::read_dir(scene.path("data")).unwrap();
        let folders: Vec<_> = folders.map(|entry| entry.unwrap().file_name()).collect();
        assert!(folders.contains(&format!("id.{ID}").into()), "{folders:?}");
        assert!(!folders.iter().any(|name| name == "acme" || name == "renamed"), "{folders:?}");
    }
}

/// Has the exporter use other settings of the account.
async fn change(scene: &Scene, world: &World) {
    let mut config = scene.config(POLL, "");
    Arc::make_mut(&mut config.accounts[0]).poll.concurrency += 1;
    let accounts = config.accounts;
    guard("the other settings", world.accounts.replace(accounts)).await;
}

#[tokio::test]
async fn other_settings_wait_for_a_reset_that_was_sent_and_show_nothing_from_before_it() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    scene.api.add_fault("late=1s,endpoint=reset".parse().unwrap());
    let api = scene.api.clone();
    let reload = async {
        guard("the reset", api.wait_until(|log| log.endpoint(Endpoint::Reset) == 1)).await;
        change(&scene, &world).await;
    };
    let (answer, ()) = tokio::join!(ResetRequest::good().document(&world), reload);
    assert_eq!((answer.0, &answer.1["code"]), (200, &json!("cleared")));
    world.until("figures", |all| unanswered(all, "red") == Some(0.0)).await;
    let asked = scene.api.counts().total;
    world.api_until("more sweeps", |log| log.total > asked + 12).await;
    assert_eq!(unanswered(&world.scrape().await, "red"), Some(0.0));
    world.stop().await;
    assert_eq!(scene.record()[..2], ["intent - -", "outcome cleared cleared"]);
    assert_eq!(scene.deletes(), 1);
}

#[tokio::test]
async fn other_settings_before_the_decision_give_a_reset_up() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    scene.api.add_fault("hang,endpoint=users".parse().unwrap());
    let asked = scene.api.counts().endpoint(Endpoint::Users);
    let api = scene.api.clone();
    let reload = async {
        guard("the list", api.wait_until(|log| log.endpoint(Endpoint::Users) > asked)).await;
        change(&scene, &world).await;
    };
    let (answer, ()) = tokio::join!(ResetRequest::good().code(&world), reload);
    assert_eq!(answer, code(503, "interrupted"));
    scene.api.clear_faults();
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    world.stop().await;
    assert_eq!(scene.deletes(), 1);
}

#[tokio::test]
async fn a_changed_token_is_taken_up_and_the_old_one_is_not_any_more() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let scene = Scene::new().await;
    let world = scene.start().await;
    let dry = |token| ResetRequest {
        token: Some(token),
        ..ResetRequest::with(&json!({"confirm": ID, "dry_run": true}))
    };
    assert_eq!(dry(TOKEN).code(&world).await, code(200, "dry_run"));
    scene.write("reset-token", NEW);
    until_true("the new token", async || dry(NEW).code(&world).await.0 != 401).await;
    assert_eq!(dry(TOKEN).code(&world).await, code(401, "unauthorized"));
    world.stop().await;
}

#[tokio::test]
async fn a_disk_that_fails_lets_nothing_be_sent() {
    let scene = Scene::new().await;
    let world = scene.start().await;
    // A folder in the place of the log.
    std::fs::create_dir_all(scene.path(&format!("data/id.{ID}/reset-audit.jsonl"))).unwrap();
    let (status, answer) = ResetRequest::good().document(&world).await;
    assert_eq!((status, &answer["code"]), (500, &json!("storage_failed")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("reset-audit.jsonl"), "{answer}");
    assert_eq!(scene.deletes(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_reset_whose_cooldown_is_over_resolves_an_unknown_one() {
    let scene = Scene::new().await;
    let mut config = scene.config(POLL, "");
    Arc::make_mut(&mut config.accounts[0]).reset.as_mut().unwrap().cooldown = Duration::ZERO;
    let world = scene.start_config(config).await;
    scene.api.add_fault("reset,endpoint=reset,count=1".parse().unwrap());
    assert_eq!(ResetRequest::good().code(&world).await, code(504, "outcome_unknown"));
    world.until("it", |samples| unresolved(samples) == 1).await;
    assert_eq!(ResetRequest::good().code(&world).await, code(200, "cleared"));
    world.until("it", |samples| unresolved(samples) == 0).await;
    assert_eq!(scene.deletes(), 2);
    world.stop().await;
}
