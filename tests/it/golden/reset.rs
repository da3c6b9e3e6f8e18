//! Resets: every answer of the admin listener that can be had from outside, and what the command prints.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use regex::Regex;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use wazzup_exporter::simulator::{
    AccountSpec, Endpoint, RateLimit, Role, Settings, Simulator, UserSpec,
};

use super::super::support::exporter::{Exporter, config_flag};
use super::super::support::files::write_private;
use super::super::support::http::client;
use super::super::support::upstream::serve;
use super::super::support::wait::guard;
use super::{check, mask, outcome, program, section};

const TOKEN: &str = "s3cr3t-token-for-resets-of-any-account";
const GOOD: &str = r#"{"confirm":"ID","reason":"a dead backlog"}"#;

/// Accounts, how upstream treats the reset of each, and the code that comes of it.
const FATES: [(&str, &str); 14] = [
    ("cleared", ""),
    ("upstream_refused", "status=403,endpoint=reset"),
    ("upstream_limits", "status=429,endpoint=reset"),
    ("outcome_unknown", "status=500,endpoint=reset"),
    ("broken_off", "lost,endpoint=reset"),
    ("not_understood", "malformed,endpoint=reset"),
    ("another_status", "status=204,endpoint=reset"),
    ("moved", "endpoint=reset,redirect=http://127.0.0.1:9/"),
    (
        "not_cleared",
        r#"endpoint=reset,body={"data":{"account_id":"ID","cleared":false},"meta":{}}"#,
    ),
    (
        "account_mismatch",
        r#"endpoint=reset,body={"data":{"account_id":"99999999","cleared":true},"meta":{}}"#,
    ),
    ("incomplete_reading", "status=500,endpoint=users"),
    ("unknown_user", "status=404,endpoint=counter,user=2"),
    // Once the last counter is read for the reset, no connection gets through.
    ("not_sent", ""),
    ("storage_failed", ""),
];

type Headers = &'static [(&'static str, &'static str)];

struct Scene {
    api: Simulator,
    folder: TempDir,
    daemon: Exporter,
    admin: String,
}

/// Takes out how long a cooldown still lasts, and which end of a connection is seen first.
fn steady(text: &str) -> String {
    let rest =
        Regex::new(r"\b35\d\d\b|\b3600\b|\b59m\d+s|\b1h\b").unwrap().replace_all(text, "<rest>");
    let how = Regex::new(r"no connection: client error[^.]+").unwrap();
    how.replace_all(&rest, "no connection: <how>").into_owned()
}

fn id(number: usize) -> String {
    format!("{:08}", 10_000_000 + number)
}

/// `acme` is the first account, `off` the last, which may not be reset; those of [`FATES`] are between. Where
/// the log of the account `broken_log` should be is a folder.
async fn start(web: &str, broken_log: Option<&str>) -> Scene {
    let names: Vec<&str> = ["acme"].into_iter().chain(FATES.map(|(name, _)| name)).collect();
    let user =
        |id: &str, count, kind: &str| UserSpec::new(id, "", Role::SalesRep).pinned(count, kind);
    let account = |(number, name): (usize, &&str)| {
        let account = AccountSpec::new(name, &id(number), &format!("s3cr3t-{name}"));
        account.user(user("1", 600, "red")).user(user("2", 300, "grey")).user(user("3", 70, "red"))
    };
    let fault = |(number, (name, fault)): (usize, &(&str, &str))| {
        let fault = fault.replace("ID", &id(number + 1));
        (!fault.is_empty()).then(|| format!("account={name},{fault}").parse().unwrap())
    };
    let settings = Settings {
        accounts: names.iter().chain([&"off"]).enumerate().map(account).collect(),
        faults: FATES.iter().enumerate().filter_map(fault).collect(),
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    };
    let (api, url) = serve(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| write_private(&folder.path().join(name), text);
    let mut yaml = "poll: {interval: 1h, timeout: 5s, concurrency: 1}\naccounts:\n".to_owned();
    // Two for the sweep, three for the reset.
    let closing = relay_for(&url, 5).await;
    for (number, name) in names.iter().chain([&"off"]).enumerate() {
        let url = if *name == "not_sent" { &closing } else { &url };
        if broken_log == Some(*name) {
            let log = format!("data/id.{}/reset-audit.jsonl", id(number));
            std::fs::create_dir_all(folder.path().join(log)).unwrap();
        }
        writeln!(
            yaml,
            "- {{name: {name}, account_id: '{}', base_url: '{url}', auth: {{token: s3cr3t-{name}}}, \
             users: [{{id: '1'}}, {{id: '2'}}], channels: {{enabled: false}}, \
             reset: {{enabled: {}, token_file: token, max_unanswered: 970}}}}",
            id(number),
            *name != "off"
        )
        .unwrap();
    }
    write("token", TOKEN);
    write("web.yml", web);
    write("config.yaml", &yaml);
    let mut command = program();
    command.current_dir(folder.path()).args(flags(folder.path()));
    command.args(["--web.enable-admin-api", "--web.admin-listen-address=127.0.0.1:0"]);
    command.arg("--web.config.file=web.yml");
    let daemon = Exporter::spawn(&mut command);
    let admin = format!("http://{}", daemon.until_admin().await);
    Scene { api, folder, daemon, admin }
}

/// The address of a relay to an API that refuses new connections from the request for the last of so many counters on.
async fn relay_for(url: &str, counters: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let api = url.strip_prefix("http://").unwrap().to_owned();
    let (full, mut filled) = mpsc::channel(1);
    let seen = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        let closed: oneshot::Sender<()> = loop {
            tokio::select! {
                Some(closed) = filled.recv() => break closed,
                accepted = listener.accept() => {
                    let (client, _) = accepted.unwrap();
                    let (seen, full) = (Arc::clone(&seen), full.clone());
                    tokio::spawn(pass(client, api.clone(), seen, counters, full));
                }
            }
        };
        drop(listener);
        closed.send(()).unwrap();
    });
    address
}

/// Passes a connection on. The request for the last counter waits until the listener is closed.
async fn pass(
    mut client: TcpStream,
    api: String,
    seen: Arc<AtomicUsize>,
    counters: usize,
    full: mpsc::Sender<oneshot::Sender<()>>,
) {
    let mut api = TcpStream::connect(api).await.unwrap();
    let (mut requests, mut answered) = client.split();
    let (mut answers, mut requested) = api.split();
    let passed = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = requests.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..length]);
            let more = text.matches("GET /v2/counters/").count();
            if more > 0 && seen.fetch_add(more, SeqCst) + more == counters {
                let (closed, close) = oneshot::channel();
                full.send(closed).await.unwrap();
                close.await.unwrap();
            }
            requested.write_all(&buffer[..length]).await.unwrap();
        }
    };
    tokio::select! {
        () = passed => {}
        _ = copy(&mut answers, &mut answered) => {}
    }
}

fn flags(folder: &Path) -> [String; 2] {
    [
        config_flag(&folder.join("config.yaml")),
        format!("--storage.path={}", folder.join("data").display()),
    ]
}

impl Scene {
    /// Sends a request with these headers instead of the usual ones, or beside them.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> String {
        let mut request =
            client().request(method, format!("{}{path}", self.admin)).body(body.to_owned());
        for (name, value) in [("x-reset-token", TOKEN), ("content-type", "application/json")] {
            if headers.iter().all(|(other, _)| *other != name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = guard(path, request.send()).await.unwrap();
        let mut shown = answer.status().to_string();
        for name in ["content-type", "cache-control", "allow", "retry-after", "www-authenticate"] {
            if let Some(value) = answer.headers().get(name) {
                write!(shown, " | {name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let text = guard(path, answer.text()).await.unwrap();
        let document = serde_json::from_str::<Value>(&text);
        let text = document.map_or(text, |one| serde_json::to_string_pretty(&one).unwrap());
        let known = [(self.folder.path().to_str().unwrap(), "DIR")];
        steady(&mask(&format!("{shown}\n{text}\n"), &known))
    }

    async fn post(&self, account: &str, body: &str, headers: &[(&str, &str)]) -> String {
        let number = FATES.iter().position(|(name, _)| *name == account).map_or(0, |at| at + 1);
        let path = format!("/api/v1/admin/accounts/{account}/reset");
        self.ask(Method::POST, &path, &body.replace("ID", &id(number)), headers).await
    }
}

/// Refusals before anything is read, and a rehearsal; `LONG` is longer than anything may be.
const REQUESTS: [(&str, &str, &str, Headers); 15] = [
    ("no token", "acme", GOOD, &[("x-reset-token", "")]),
    ("a wrong token", "acme", GOOD, &[("x-reset-token", "wrong")]),
    ("an unknown account", "nobody", GOOD, &[]),
    ("an account without resets", "off", GOOD, &[]),
    ("a browser", "acme", GOOD, &[("origin", "https://evil.example")]),
    ("another browser", "acme", GOOD, &[("sec-fetch-site", "same-origin")]),
    ("another type", "acme", GOOD, &[("content-type", "text/plain")]),
    ("no JSON", "acme", "confirm=1", &[]),
    ("an unknown key", "acme", r#"{"confirm":"ID","force":true}"#, &[]),
    ("a wrong type", "acme", r#"{"confirm":"ID","dry_run":"yes"}"#, &[]),
    ("a long body", "acme", "LONGLONGLONG", &[]),
    ("a long reason", "acme", r#"{"confirm":"ID","reason":"LONG"}"#, &[]),
    ("no confirmation", "acme", "{}", &[]),
    ("a wrong confirmation", "acme", r#"{"confirm":"78231464"}"#, &[]),
    ("a rehearsal", "acme", r#"{"confirm":"ID","dry_run":true}"#, &[]),
];

#[tokio::test(flavor = "multi_thread")]
async fn answers() {
    let scene = start("{}", Some("storage_failed")).await;
    let mut shown = String::new();
    for account in ["", "acme/reset", "acme/reset/", "acme/reset/?x"] {
        for method in [Method::POST, Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
            let path = format!("/api/v1/admin/accounts/{account}");
            let answer = scene.ask(method.clone(), &path, "", &[]).await;
            section(&mut shown, &format!("{method} {path}"), &answer);
        }
    }
    for path in ["/", "/metrics", "/-/healthy"] {
        section(&mut shown, path, &scene.ask(Method::GET, path, "", &[]).await);
    }
    for (title, account, body, headers) in REQUESTS {
        let body = body.replace("LONG", &"x".repeat(2000));
        section(&mut shown, title, &scene.post(account, &body, headers).await);
    }
    scene.api.set("acme", "3", 71, "red").unwrap();
    section(&mut shown, "more than allowed", &scene.post("acme", GOOD, &[]).await);
    let known = r#"{"confirm":"ID","expected_unanswered":970}"#;
    section(&mut shown, "more than expected", &scene.post("acme", known, &[]).await);
    for (name, _) in FATES {
        section(&mut shown, name, &scene.post(name, GOOD, &[]).await);
    }
    for name in ["cleared", "outcome_unknown", "account_mismatch"] {
        section(&mut shown, &format!("{name}, again"), &scene.post(name, GOOD, &[]).await);
    }
    let (first, second) = two_and_the_end(&scene).await;
    section(&mut shown, "while another one is under way", &second);
    section(&mut shown, "when the daemon ends", &first);
    check("reset/answers.txt", &shown);
}

/// One reset that does not end, another one meanwhile, and the end of the daemon.
async fn two_and_the_end(scene: &Scene) -> (String, String) {
    scene.api.add_fault("hang,endpoint=users,account=acme".parse().unwrap());
    let asked = scene.api.counts().endpoint(Endpoint::Users);
    let meanwhile = async {
        let reading = scene.api.wait_until(|log| log.endpoint(Endpoint::Users) > asked);
        guard("the list", reading).await;
        let second = scene.post("acme", GOOD, &[]).await;
        scene.daemon.signal(Signal::TERM);
        second
    };
    tokio::join!(scene.post("acme", GOOD, &[]), meanwhile)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_login_and_over_the_limit() {
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    let mut shown = String::new();
    for (title, web) in [
        ("a login is wanted", format!("basic_auth_users: {{alice: {hash}}}\n")),
        ("too many requests", "rate_limit: {interval: 1h, burst: 0}\n".to_owned()),
    ] {
        let scene = start(&web, None).await;
        section(&mut shown, title, &scene.post("acme", GOOD, &[]).await);
    }
    check("reset/web-configuration.txt", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn command() {
    let scene = start("{}", None).await;
    let url = format!("--url={}", scene.admin);
    let (confirm, wrong) = (format!("--confirm={}", id(0)), "--confirm=78231464");
    let mut shown = String::new();
    for words in [
        &["--history"][..],
        &["acme", &confirm, "--dry-run", &url],
        &["acme", wrong, &url],
        &["nobody", wrong, &url],
        &["off", wrong, &url],
        &["acme", &confirm, "--token-file=/nonexistent", &url],
        &["acme", &confirm, "--url=http://127.0.0.1:9"],
        &["acme", &confirm, "--url=https://example.com", "--insecure"],
        &["acme", &confirm, "--reason=dead\u{1b} backlog", "--expected-unanswered=970", &url],
        &["acme", &confirm, &url],
        &["outcome_unknown", &format!("--confirm={}", id(4)), &url],
        &["upstream_refused", &format!("--confirm={}", id(2)), &url],
        &["--history"],
        &["--history", "acme"],
        &["--history", "nobody"],
    ] {
        let mut command = program();
        command.arg("reset").args(words).args(flags(scene.folder.path()));
        command.arg("--log.level=error").current_dir(scene.folder.path());
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = guard("the command", run).await.unwrap();
        let known = [(scene.folder.path().to_str().unwrap(), "DIR")];
        let title = mask(&words.join(" "), &known);
        section(&mut shown, &title.replace('\u{1b}', "^["), &outcome(&output, &known));
    }
    check("reset/command.txt", &steady(&shown));
}
