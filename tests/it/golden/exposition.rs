//! What a daemon shows of a world in which much goes wrong: metrics in all forms, status, configuration.
//!
//! Nothing moves in that world, so one state stays.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use regex::{Captures, Regex};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING};
use tempfile::TempDir;
use wazzup_exporter::simulator::{
    Access, AccountSpec, ChannelSpec, PartnerSpec, RateLimit, Role, Settings, UserSpec,
};

use super::super::support::exporter::{Exporter, config_flag};
use super::super::support::files::{write_config, write_private};
use super::super::support::http::client;
use super::super::support::upstream::serve;
use super::super::support::wait::guard;
use super::{mask, outcome, program, settles};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

/// Metrics whose values depend on the machine, or on how often the tests have looked.
const UNSTEADY: &str = r"process_\w+|wazzup_exporter_(http_requests_total|config_hash)|wazzup_clock_skew_seconds|\w+_duration_seconds(_bucket|_sum)?|\w+_wait_seconds_total";
/// Those that grow with every sweep.
const GROWING: &str = r"wazzup_sweeps_total|wazzup_sweep_overruns_total|\w+_requests_total|\w+_duration_seconds_count";
/// The same in the status.
const GROWING_IN_STATUS: &str = r#"("(?:\w*age_seconds|duration_seconds|waited_seconds|uptime_seconds|config_hash|ok|unauthorized|forbidden|not_found|server_error|malformed)": )[0-9.e-]+"#;

fn user(id: &str, name: &str, role: Role, count: u64, kind: &str) -> UserSpec {
    UserSpec::new(id, name, role).pinned(count, kind)
}

fn token(account: &str) -> String {
    format!("s3cr3t-{}", account.replace(' ', "-"))
}

/// The accounts as they are, and what the configuration says of each.
fn accounts() -> Vec<(AccountSpec, &'static str)> {
    let whatsapp = |state| ChannelSpec::new("c-1", "whatsapp").phone("77011234567").state(state);
    let named = |number: usize, name: &str| {
        AccountSpec::new(name, &format!("{:08}", 10_000_000 + number), &token(name)).user(user(
            "1",
            "Anna",
            Role::SalesRep,
            7,
            "red",
        ))
    };
    let many = AccountSpec::new("all kinds", "78231464", &token("all kinds"))
        .user(user("1", "Anna", Role::SalesRep, 7, "red"))
        .user(user("2", "Данияр \"D\" \\ <b>", Role::Manager, 3, "grey"))
        .user(user("3", "Quality", Role::QualityControl, 0, "grey"))
        .user(user("4", "Without a role", Role::None, 0, "red"))
        .user(user("5", "Of an unknown type", Role::SalesRep, 4, "violet"))
        .channels([
            whatsapp("active"),
            ChannelSpec::new("c-2", "tgapi").state("qridle"),
            ChannelSpec::new("c-3", "pigeon").state("lost"),
        ]);
    let last = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let of_v3 = |one: UserSpec| UserSpec { last_message: last, ..one };
    vec![
        (
            many,
            "labels: {region: north}, working_hours: {timezone: Asia/Almaty, days: mon-sun, from: \"00:00\", to: \"24:00\"}, users: [{id: \"1\", name: Anna, labels: {team: sales}}, {id: \"2\", name: 'Данияр \"D\" \\ <b>'}, {id: \"3\"}, {id: \"4\"}, {id: \"5\"}, {id: gone, name: Unknown upstream}]",
        ),
        (
            AccountSpec::v3("key", "10000001", &token("key")).user(of_v3(user(
                "1",
                "Anna",
                Role::SalesRep,
                2,
                "red",
            ))),
            "api: v3, users: [{id: \"1\", name: Anna}]",
        ),
        (
            named(2, "found")
                .user(user("2", "Boris of Sales", Role::SalesRep, 1, "red"))
                .user(user("3", "A bot", Role::None, 0, "red"))
                .user(user("..", "Not an id", Role::SalesRep, 0, "red"))
                .user(user("5", "One too many", Role::SalesRep, 0, "red")),
            "discover_users: {enabled: true, max_users: 2, exclude: [\"name: .*bot\"], labels: [{match: \"name: .*Sales\", set: {team: sales}}]}",
        ),
        (named(3, "asleep").channels([whatsapp("phoneUnavailable")]), ""),
        (AccountSpec { access: Access::Revoked, ..named(4, "dead token") }, ""),
        (AccountSpec { access: Access::Forbidden, ..named(5, "forbidden") }, ""),
        (named(6, "without lists"), ""),
        (named(7, "failing"), ""),
        (named(8, "malformed"), ""),
        (named(9, "quiet"), "channels: {enabled: false}"),
        (
            AccountSpec::white_label("of a partner", "10000010", "main").user(user(
                "1",
                "Anna",
                Role::SalesRep,
                5,
                "red",
            )),
            "auth: {partner: main}",
        ),
    ]
}

/// Serves the accounts; returns the folder of a configuration for them.
async fn world(export: &str) -> (TempDir, String) {
    let accounts = accounts();
    let faults = [
        "status=403,account=without lists,endpoint=channels",
        "status=500,account=without lists,endpoint=settings",
        "status=500,account=failing",
        "malformed,account=malformed",
    ];
    let mut yaml = format!(
        "poll: {{interval: 2s, timeout: 50s, stale_after: 1h}}\nexport: {{{export}}}\n\
         partners: {{main: {{email: main@example.com, password_file: password, scope: transport}}}}\naccounts:\n"
    );
    let settings = Settings {
        accounts: accounts.iter().map(|(account, _)| account.clone()).collect(),
        partners: vec![PartnerSpec::new("main", "main@example.com", "s3cr3t-password")],
        faults: faults.map(|fault| fault.parse().unwrap()).into(),
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    };
    let (_, url) = serve(settings).await;
    for (AccountSpec { name, account_id, .. }, more) in accounts {
        let mut keys = format!("name: {name}, account_id: \"{account_id}\", base_url: \"{url}\"");
        let or = |key: &str, usual: String| if more.contains(key) { String::new() } else { usual };
        keys += &or("auth:", format!(", auth: {{token: \"{}\"}}", token(&name)));
        keys += &or("channels:", ", channels: {refresh_interval: 24h}".to_owned());
        keys += &or("users:", ", users: [{id: \"1\", name: Anna}]".to_owned());
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        writeln!(yaml, "- {{{keys}{more}}}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    write_private(&folder.path().join("password"), "s3cr3t-password");
    write_config(folder.path(), &yaml);
    (folder, url)
}

/// Takes the values of metrics out whose names are these.
fn without(names: &str, text: &str) -> String {
    let sample = Regex::new(&format!(r"(?m)^({names})(?<labels>\{{.*\}})? \S+$")).unwrap();
    sample
        .replace_all(text, |found: &Captures<'_>| {
            format!(
                "{}{} <value>",
                &found[1],
                found.name("labels").map_or("", |labels| labels.as_str())
            )
        })
        .into_owned()
}

/// What stays as it is, in the exposition and in the status.
fn steady(text: &str) -> String {
    let text = without(&format!("{UNSTEADY}|{GROWING}"), text);
    let growing = Regex::new(GROWING_IN_STATUS).unwrap().replace_all(&text, "$1<value>");
    Regex::new(r#"("history": )(null|\{[^}]*\})"#)
        .unwrap()
        .replace_all(&growing, "$1<value>")
        .into_owned()
}

/// An answer with these headers, unpacked where it is packed.
async fn fetch(daemon: &Exporter, path: &str, accept: &str, encoding: &str) -> String {
    let request = client().get(format!("http://{}{path}", daemon.address));
    let request = request.header(ACCEPT, accept).header(ACCEPT_ENCODING, encoding);
    let answer = guard(path, request.send()).await.unwrap();
    let head = answer.headers();
    assert_eq!(head.contains_key("content-encoding"), encoding == "gzip", "{path}");
    let kind = head["content-type"].to_str().unwrap().to_owned();
    let bytes = guard(path, answer.bytes()).await.unwrap();
    let mut text = String::new();
    match encoding {
        "gzip" => flate2::bufread::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap(),
        _ => (&bytes[..]).read_to_string(&mut text).unwrap(),
    };
    if kind == "application/json" {
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    }
    text
}

fn start(folder: &Path) -> Exporter {
    let mut command = program();
    command.arg(config_flag(&folder.join("config.yaml"))).current_dir(folder);
    Exporter::spawn(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_everything() {
    let (folder, url) = world("channel_names: true").await;
    let daemon = start(folder.path());
    let known = [(folder.path().to_str().unwrap(), "DIR"), (&*url, "http://SIMULATOR")];
    // Each is compared with the same file: packing changes nothing.
    for encoding in ["identity", "gzip"] {
        for (path, accept, golden) in [
            ("/metrics", "*/*", "exposition/full.txt"),
            ("/metrics", OPENMETRICS, "exposition/full.openmetrics.txt"),
            ("/api/v1/status", "*/*", "exposition/status.json"),
            ("/config", "*/*", "exposition/config.yaml"),
        ] {
            let show = async || {
                let text = fetch(&daemon, path, accept, encoding).await;
                mask(&steady(&text), &known)
            };
            settles(golden, show).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_little() {
    let (folder, _) = world("profile: minimal, user_names: false").await;
    let daemon = start(folder.path());
    for (accept, golden) in
        [("*/*", "exposition/minimal.txt"), (OPENMETRICS, "exposition/minimal.openmetrics.txt")]
    {
        let show = async || mask(&steady(&fetch(&daemon, "/metrics", accept, "gzip").await), &[]);
        settles(golden, show).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_and_doctor() {
    let (folder, url) = world("channel_names: true").await;
    let known = [(folder.path().to_str().unwrap(), "DIR"), (&*url, "http://SIMULATOR")];
    let config = config_flag(&folder.path().join("config.yaml"));
    for (arguments, golden) in [
        (&["poll"][..], "poll.txt"),
        (&["doctor"], "doctor.txt"),
        (&["doctor", "all kinds", "2"], "doctor-user.txt"),
        (&["doctor", "--json"], "doctor.json.txt"),
        (&["doctor", "nobody"], "doctor-nobody.txt"),
    ] {
        let mut command = program();
        command.args(arguments).arg(&config).current_dir(folder.path());
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = guard(golden, run).await.unwrap();
        let shown = outcome(&output, &known);
        // Accounts are read side by side, so their log lines come in any order.
        let (mut log, other): (Vec<_>, Vec<_>) =
            shown.lines().partition(|line| line.starts_with("2| time="));
        log.sort_unstable();
        let shown = [other, log].concat().join("\n").replace("\n1| ", "\n") + "\n";
        super::check(&format!("commands/{golden}"), &without(UNSTEADY, &shown));
    }
}
