//! docs/metrics.md and the exposition of a world in which every family appears.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use wazzup_exporter::app::Options;
use wazzup_exporter::channel::{ChannelState, Role as RoleLabel, Transport};
use wazzup_exporter::config;
use wazzup_exporter::counter::CounterType;
use wazzup_exporter::http::HANDLERS;
use wazzup_exporter::metrics::{
    AdminCode, Endpoint, Outcome, RefusalCode, ResetResult, SweepResult,
};
use wazzup_exporter::simulator::{
    AccountSpec, PartnerSpec, RateLimit, Role, Settings, Simulator, UserSpec,
};
use wazzup_exporter::snapshot::{FailingReason, SkippedUsers, UntrustedReason};
use wazzup_exporter::storage::Storage;

use super::super::support::daemon::{World, options};
use super::super::support::files::write_private;
use super::super::support::http::client;
use super::super::support::upstream::serve;
use super::super::support::wait::{guard, until};
use super::{code, one_code, page, rows};

pub(super) type Words = BTreeSet<String>;

/// What the main listener answers with.
const STATUSES: [&str; 9] = ["200", "302", "401", "403", "404", "405", "429", "500", "503"];

/// A metric family: its type, and its labels with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeMap<String, Words>,
}

type Families = BTreeMap<String, Family>;

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Words {
    words.into_iter().map(str::to_owned).collect()
}

/// The names with type and label names, as the tables of the page have them.
fn outline(families: &Families) -> BTreeMap<String, (String, Words)> {
    let outline = |family: &Family| (family.kind.clone(), family.labels.keys().cloned().collect());
    families.iter().map(|(name, family)| (name.clone(), outline(family))).collect()
}

/// The content of the page; also which families `profile: minimal` leaves out.
pub(super) fn documented(page: &str) -> (BTreeMap<String, (String, Words)>, Words) {
    let (mut families, mut full) = (BTreeMap::new(), Words::new());
    for row in rows(page) {
        let (Some(name), [_, kind @ ("gauge" | "counter" | "histogram"), labels, rest @ ..]) =
            (one_code(row[0]), row.as_slice())
        else {
            continue;
        };
        let labels = words(labels.split(", ").filter(|label| !label.is_empty()));
        let earlier = families.insert(name.to_owned(), ((*kind).to_owned(), labels));
        assert_eq!(earlier, None, "{name} is documented twice");
        if rest.len() == 2 && rest[0] == "full" {
            full.insert(name.to_owned());
        }
    }
    (families, full)
}

/// Adds what an exposition shows. No label of these tests has a comma or a quote in it.
fn add(families: &mut Families, exposition: &str) {
    let mut kind = String::new();
    for line in exposition.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, its_kind) = described.split_once(' ').unwrap();
            its_kind.clone_into(&mut kind);
            families.entry(name.to_owned()).or_default().kind.clone_from(&kind);
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffixes = ["_bucket", "_sum", "_count"].into_iter();
        let name = suffixes
            .filter(|_| kind == "histogram")
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        let family = families.get_mut(name).unwrap_or_else(|| panic!("no TYPE before {line}"));
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            if label != "le" {
                let values = family.labels.entry(label.to_owned()).or_default();
                values.insert(value.trim_matches('"').to_owned());
            }
        }
    }
}

/// A token with its end in it.
fn jwt() -> String {
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(r#"{"exp":4102444800}"#);
    format!("e30.{claims}.c2ln")
}

const RESET_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An account of every kind, one of which is refused and one asked to wait.
fn settings() -> Settings {
    let user = |id: &str| UserSpec::new(id, "Anna", Role::SalesRep).pinned(5, "red");
    let mut newest = UserSpec::new("1", "Anna", Role::SalesRep).pinned(5, "red");
    newest.last_message = Some(SystemTime::now());
    let fixed = AccountSpec::new("fixed", "10000000", &jwt());
    let fixed = fixed.user(user("1")).user(UserSpec::new("2", "Vera", Role::None).pinned(0, "red"));
    Settings {
        accounts: vec![
            fixed,
            AccountSpec::v3("key", "10000001", "api-key").user(newest),
            AccountSpec::white_label("white", "10000002", "main").user(user("1")),
            AccountSpec::new("refused", "10000003", "another.token").user(user("1")),
            AccountSpec::new("paused", "10000004", "a.token").user(user("1")),
        ],
        faults: vec!["account=paused,retry_after=429:600".parse().unwrap()],
        partners: vec![PartnerSpec::new("main", "partner@example.com", "pa55word")],
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}

fn yaml(url: &str, password_file: &str, reset_token_file: &str, profile: &str) -> String {
    let fixed = jwt();
    let users = "channels: {refresh_interval: 200ms}, users: [{id: '1'}]";
    format!(
        "poll: {{interval: 200ms, timeout: 20s}}
export: {{profile: {profile}}}
account_files: [no-such-file.yaml]
partners:
  main: {{email: partner@example.com, password_file: {password_file}}}
accounts:
- name: fixed
  account_id: '10000000'
  reset: {{enabled: true, token_file: {reset_token_file}}}
  base_url: {url}
  auth: {{token: {fixed}}}
  working_hours: {{timezone: Asia/Almaty, days: mon-fri, from: '09:00', to: '18:00'}}
  discover_users: {{enabled: true, refresh_interval: 200ms, max_users: 5}}
  channels: {{refresh_interval: 200ms}}
- {{name: key, api: v3, base_url: '{url}', auth: {{token: api-key}}, {users}}}
- {{name: white, base_url: '{url}', account_id: '10000002', auth: {{partner: main}}, {users}}}
- {{name: refused, base_url: '{url}', auth: {{token: wrong}}, {users}}}
- {{name: paused, base_url: '{url}', auth: {{token: a.token}}, {users}}}
"
    )
}

/// Resets an account, so that its series exist.
async fn reset(world: &World) {
    let url = format!("http://{}/api/v1/admin/accounts/fixed/reset", world.admin.unwrap());
    let request = client().post(url).header("x-reset-token", RESET_TOKEN);
    let request = request.header("content-type", "application/json");
    let answer = request.body(r#"{"confirm":"10000000"}"#).send();
    let answer = guard("a reset", answer).await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

/// All that an exporter shows until it has shown these families.
async fn shown(api: &Simulator, yaml: &str, wanted: &Words) -> Families {
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let storage = Some(Storage::new(data.path().join("data")));
    let admin_listen = Some("127.0.0.1:0".parse().unwrap());
    let options = Options { storage, admin_listen, ..options() };
    let world = World::start_options(api.clone(), config, options).await;
    reset(&world).await;
    let mut families = Families::new();
    until("the documented metrics", &[], async || {
        add(&mut families, &world.get("/metrics").await.text().await.unwrap());
        let missing: Vec<_> = wanted.iter().filter(|name| !families.contains_key(*name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("not shown: {missing:?}")) }
    })
    .await;
    world.stop().await;
    families
}

#[tokio::test]
async fn every_metric_is_documented_with_type_and_labels_and_no_other() {
    let page = page("docs/metrics.md");
    let (documented, full) = documented(&page);
    let (api, url) = serve(settings()).await;
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    write_private(&password, "pa55word");
    let token = folder.path().join("reset-token");
    write_private(&token, RESET_TOKEN);
    let (password, token) = (password.to_str().unwrap(), token.to_str().unwrap());
    let config = |profile| yaml(&url, password, token, profile);
    let all = documented.keys().cloned().collect();
    let families = shown(&api, &config("full"), &all).await;
    assert_eq!(outline(&families), documented);
    check_values(&families, &documented_values(&page));

    let minimal = all.difference(&full).cloned().collect();
    let families = shown(&api, &config("minimal"), &minimal).await;
    assert_eq!(families.into_keys().collect::<Words>(), minimal, "of the profile minimal");
}

/// The values on the page, by family and label.
pub(super) fn documented_values(page: &str) -> BTreeMap<(String, String), Words> {
    let mut values = BTreeMap::new();
    for row in rows(page) {
        let [label, families, list] = row.as_slice() else { continue };
        let Some(label) = one_code(label) else { continue };
        let mut list = words(code(list));
        if row[2].ends_with("or empty") {
            list.insert(String::new());
        }
        for family in code(families) {
            values.insert((family.to_owned(), label.to_owned()), list.clone());
        }
    }
    values
}

/// What is shown is in the lists, and every other label is one that is not a list.
fn check_values(families: &Families, lists: &BTreeMap<(String, String), Words>) {
    const FREE: [&str; 8] =
        ["account", "user", "name", "account_id", "channel", "file", "version", "revision"];
    for (name, family) in families {
        for (label, values) in &family.labels {
            if !FREE.contains(&label.as_str()) {
                let list = lists.get(&(name.clone(), label.clone()));
                let list = list.unwrap_or_else(|| panic!("the values of {name}, {label}"));
                assert!(values.is_subset(list), "{name}, {label}: {values:?} and {list:?}");
            }
        }
    }
}

#[test]
fn the_values_of_labels_are_those_of_the_program() {
    let endpoints = || {
        let daemon = Endpoint::ALL.iter().copied().filter(|one| *one != Endpoint::Webhooks);
        words(daemon.map(Endpoint::label))
    };
    let transports = || words(Transport::ALL.iter().map(|one| one.label()));
    let roles = words(roles().map(RoleLabel::label).into_iter().chain([""]));
    let skipped = words(SkippedUsers::default().by_reason().map(|(reason, _)| reason));
    let kinds = [CounterType::Red, CounterType::Grey, CounterType::Other];
    let expected = [
        ("wazzup_unanswered_messages", "type", words(kinds.map(CounterType::label))),
        (
            "wazzup_user_untrusted",
            "reason",
            words(UntrustedReason::ALL.iter().map(|one| one.label())),
        ),
        ("wazzup_account_users_skipped", "reason", skipped),
        ("wazzup_list_up", "list", words(["users", "channels", "roles"])),
        (
            "wazzup_list_last_success_timestamp_seconds",
            "list",
            words(["users", "channels", "roles"]),
        ),
        ("wazzup_user_info", "role", roles),
        ("wazzup_account_failing", "reason", words(reasons().map(FailingReason::label))),
        ("wazzup_account_info", "api", words(["v2", "v3"])),
        ("wazzup_sweeps_total", "result", words(SweepResult::ALL.iter().map(|one| one.label()))),
        ("wazzup_token_refreshes_total", "result", words(["ok", "failed"])),
        ("wazzup_resets_total", "result", words(ResetResult::ALL.iter().map(|one| one.label()))),
        (
            "wazzup_reset_refusals_total",
            "code",
            words(RefusalCode::ALL.iter().map(|one| one.label())),
        ),
        (
            "wazzup_exporter_admin_refusals_total",
            "code",
            words(AdminCode::ALL.iter().map(|one| one.label())),
        ),
        ("wazzup_exporter_http_requests_total", "handler", words(HANDLERS)),
        ("wazzup_exporter_http_requests_total", "code", words(STATUSES)),
        ("wazzup_api_requests_total", "endpoint", endpoints()),
        ("wazzup_api_request_duration_seconds", "endpoint", endpoints()),
        ("wazzup_api_requests_total", "outcome", words(Outcome::ALL.iter().map(|one| one.label()))),
        ("wazzup_channel_active", "transport", transports()),
        ("wazzup_channel_info", "transport", transports()),
        ("wazzup_channel_state", "state", words(ChannelState::ALL.iter().map(|one| one.label()))),
    ];
    let expected = expected
        .into_iter()
        .map(|(family, label, values)| ((family.to_owned(), label.to_owned()), values));
    assert_eq!(documented_values(&page("docs/metrics.md")), expected.collect());
}

/// Every role. A new one fails to compile here until it is in the list.
fn roles() -> [RoleLabel; 5] {
    use RoleLabel::{Manager, None, Other, QualityControl, SalesRep};
    let all = [SalesRep, Manager, QualityControl, Other, None];
    for role in all {
        match role {
            SalesRep | Manager | QualityControl | Other | None => {}
        }
    }
    all
}

/// Every reason of a failing account. A new one fails to compile here until it is in the list.
fn reasons() -> [FailingReason; 8] {
    use FailingReason::{
        Forbidden, LoginNeeded, Malformed, RateLimited, ServerError, Storage, Unauthorized,
        Unreachable,
    };
    let all = [
        Unauthorized,
        Forbidden,
        LoginNeeded,
        RateLimited,
        Unreachable,
        ServerError,
        Malformed,
        Storage,
    ];
    for reason in all {
        match reason {
            Unauthorized | Forbidden | LoginNeeded | RateLimited | Unreachable | ServerError
            | Malformed | Storage => {}
        }
    }
    all
}

#[test]
fn the_pages_name_no_metric_that_is_not_documented() {
    let (documented, _) = documented(&page("docs/metrics.md"));
    for entry in std::fs::read_dir(super::path("docs")).unwrap() {
        let name = entry.unwrap().path();
        if name.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        unknown(&std::fs::read_to_string(&name).unwrap(), &documented, &name.display().to_string());
    }
    for name in ["README.md", "config.example.yaml", "CONTRIBUTING.md"] {
        unknown(&page(name), &documented, name);
    }
}

/// Fails on a word that looks like a metric and is none.
fn unknown<T>(text: &str, documented: &BTreeMap<String, T>, page: &str) {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    for found in text.split(|letter| !word(letter)).filter(|word| word.starts_with("wazzup_")) {
        // The name of the crate, and families that are spoken of together: `wazzup_exporter_…`.
        if is_recorded(found) {
            continue;
        }
        let found = found.split(':').next().unwrap_or_default();
        let known = found == "wazzup_exporter"
            || found.ends_with('_')
            || documented.contains_key(found)
            || ["_bucket", "_sum", "_count"].iter().any(|suffix| {
                found.strip_suffix(suffix).is_some_and(|name| documented.contains_key(name))
            });
        assert!(known, "{page} speaks of {found}, which docs/metrics.md does not know");
    }
}

/// Whether it is what a rule of `deploy/prometheus` records, or the beginning of that, or an override.
fn is_recorded(name: &str) -> bool {
    let rules = ["recording", "thresholds"]
        .map(|file| page(&format!("deploy/prometheus/rules/{file}.yaml")));
    let start = name.strip_suffix("override").unwrap_or(name);
    name.contains(':') && rules.iter().any(|rules| rules.contains(&format!("record: {start}")))
}
