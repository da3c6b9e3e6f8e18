//! `/config`: what runs, in full, without secrets.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use wazzup_exporter::config::{self, Config, Permissions};

use super::docs::configuration;
use super::support::daemon::World;
use super::support::files::write_private;
use super::support::upstream::{configuration, serve, still};

/// In the order in which they are shown.
const SECRETS: [&str; 4] =
    ["s3cr3t-token", "s3cr3t-user:s3cr3t-password", "--key=s3cr3t-one", "s3cr3t-two"];

/// Every key, and every way to a token.
const EVERYTHING: &str = r##"
poll: {interval: 1m30s, timeout: 1500ms, concurrency: 3, stale_after: 10m}
max_in_flight: 77
export: {user_names: true, channel_names: true, profile: minimal}
secrets_dir: secrets
account_files: ["more.yaml"]
partners:
  main:
    email: partner@example.com
    password_file: secret
    scope: transport
    client_id: "007"
    redirect_uri: https://example.com/back?x=1
  idle: {email: idle@example.com, password_file: secret}
accounts:
  - name: "null"
    account_id: "7823-1464"
    base_url: http://example.com/prefix
    allow_insecure_http: true
    auth: {token: s3cr3t-token}
    rate_limit: {requests: 400, per: 4s}
    tls: {ca_file: ca.pem, insecure_skip_verify: true}
    proxy_url: http://s3cr3t-user:s3cr3t-password@proxy.example.com:3128
    poll: {interval: 2h, timeout: 3s, concurrency: 9, stale_after: 5h}
    labels: {region: "no", "a1": "1e3"}
    working_hours: {timezone: Asia/Almaty, days: "mon-wed,sat", from: "21:00", to: "24:00"}
    users:
      - {id: "007", name: "~", labels: {team: "0x1F"}}
      - {id: " ", name: "# Данияр: 'x' \"y\""}
    discover_users:
      enabled: true
      refresh_interval: 11m
      include: ["id: 7.*", "(?i)anna"]
      exclude: ["name: .*bot"]
      max_users: 12
      labels: [{match: "name: .*Sales.*", set: {team: sales}}]
    channels: {enabled: true, refresh_interval: 90s}
    reset: {enabled: true, cooldown: 2h, max_unanswered: 5, token_file: reset-token}
  - name: file
    api: v3
    auth: {token_file: secret}
    users: [{id: "1"}]
    channels: {enabled: false}
  - name: command
    auth: {token_command: [get-token, --key=s3cr3t-one, s3cr3t-two]}
    users: [{id: "1"}]
  - name: white label
    account_id: "12345678"
    auth: {partner: main}
    discover_users: {enabled: true}
  - name: label
    auth: {oauth: {partner: main, refresh_token_file: secret}}
    users: [{id: "1"}]
"##;

const MORE: &str =
    "accounts: [{name: more, auth: {token_file: secrets/more}, users: [{id: '1'}]}]\n";

/// A folder with all files that the configuration names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
    let ca = names.self_signed(&key).unwrap().pem();
    for (name, content) in [
        ("config.yaml", EVERYTHING),
        ("more.yaml", MORE),
        ("secret", "s3cr3t-file"),
        ("reset-token", "s3cr3t-token-for-resets-of-this-account"),
        ("secrets/more", "s3cr3t-file"),
        ("ca.pem", &ca),
    ] {
        write_private(&folder.path().join(name), content);
    }
    folder
}

fn load(path: &Path) -> Config {
    config::load(path, Permissions { token_command: true }).unwrap()
}

fn render(config: &Config) -> String {
    let accounts = config.accounts.clone();
    config::render(&config.settings, &accounts)
}

/// Puts these in, one after the other, for `<secret>`.
fn fill(text: &str, secrets: &[&str]) -> String {
    assert_eq!(text.matches("<secret>").count(), secrets.len(), "{text}");
    secrets.iter().fold(text.to_owned(), |text, secret| text.replacen("<secret>", secret, 1))
}

/// The paths of all keys, as [`configuration::keys`] writes them.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            let last = path.rsplit('.').next().unwrap_or_default();
            let named = ["labels", "partners", "set"].contains(&last);
            for (key, value) in entries {
                let name = if named { "*" } else { key.as_str() };
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                keys(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                keys(item, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_shown_is_the_configuration_that_runs_with_every_key_and_no_secret() {
    let folder = folder();
    let config = load(&folder.path().join("config.yaml"));
    let shown = render(&config);
    assert!(!shown.contains("s3cr3t"), "{shown}");
    // Read from another folder: what is shown does not depend on where it is kept.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("again.yaml");
    write_private(&path, &fill(&shown, &SECRETS));
    let again = load(&path);
    assert_eq!(again.settings, config.settings);
    assert_eq!(again.accounts, config.accounts, "{shown}");
    assert_eq!(render(&again), shown);
    let mut found = BTreeSet::new();
    keys(&serde_saphyr::from_str(&shown).unwrap(), "", &mut found);
    let mut expected = configuration::keys();
    // Shown as what they lead to.
    assert!(expected.remove("account_files") && expected.remove("accounts[].auth.token_env"));
    assert_eq!(found, expected);
}

#[test]
fn the_example_is_shown_with_the_defaults_that_it_shows() {
    let example = include_bytes!("../../config.example.yaml");
    let config = config::parse(example, Path::new("config.example.yaml")).unwrap();
    let shown = render(&config);
    let filled = fill(&shown, &["put-your-token-here"]);
    let again = config::parse(filled.as_bytes(), Path::new("again.yaml")).unwrap();
    assert_eq!((again.accounts, again.settings), (config.accounts, config.settings));
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn the_exporter_shows_what_it_runs_with_as_text() {
    let (api, url) = serve(still(&["acme"], 2)).await;
    let yaml = configuration(&api, &url, "interval: 1h");
    let config = config::parse(yaml.as_bytes(), Path::new("test.yaml")).unwrap();
    let expected = render(&config);
    let world = World::start_config(api, config, None).await;
    let answer = world.get("/config").await;
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let shown = answer.text().await.unwrap();
    assert_eq!(shown, expected);
    assert!(shown.contains("token: <secret>") && !shown.contains("token-of-acme"), "{shown}");
    assert!(world.get("/").await.text().await.unwrap().contains("<a href=\"config\">"));
    world.stop().await;
}
