//! What the module does as a whole: from text to accounts, or to the words an operator reads.

mod account_files;
mod example;
mod files;
mod fuzz;
pub(crate) mod generated;
mod network;
mod places;
mod render;
mod reset;
mod secrets;
mod sources;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::{AccountId, Auth, Export, Poll, Profile, ProxyUrl, RateLimit, Tls};

use super::source::SourceFile;
use super::{Config, ConfigError, Permissions, Running, load, parse};

/// One good account, for texts that need one.
const ACME: &str = "accounts: [{name: acme, auth: {token: t0k3n}, users: [{id: '1'}]}]\n";

/// The environment of every test.
fn environment(name: &str) -> Option<OsString> {
    match name {
        "ACME_TOKEN" => Some("from-the-environment".into()),
        "EMPTY_TOKEN" => Some("".into()),
        "SPACED_TOKEN" => Some("Bearer x".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, ConfigError> {
    let path = PathBuf::from("config.yaml").into();
    let main = SourceFile { path, bytes: text.as_bytes().to_vec(), mode: None };
    load::read(main, Permissions::default(), &environment, &Running::NOTHING)
}

/// The problems of a text without the file's name, one per line.
fn problems(text: &str) -> String {
    read(text).unwrap_err().to_string().replace("config.yaml:", "")
}

/// What is wrong with a key of the only account, without the place.
fn account_problem(yaml: &str) -> String {
    let text =
        format!("accounts:\n- name: acme\n  users: [{{id: '1'}}]\n  auth: {{token: t}}\n  {yaml}");
    let problems = problems(&text);
    problems.split_once("\"acme\": ").map(|(_, what)| what.to_owned()).unwrap_or(problems)
}

#[test]
fn a_small_configuration_gets_the_defaults() {
    let config = read(ACME).unwrap();
    assert_eq!(config.settings.max_in_flight, 256);
    assert_eq!(config.hash, crate::schedule::fnv1a(ACME.as_bytes()));
    let [account] = config.accounts.as_slice() else { panic!("one account") };
    assert_eq!(account.base_url.as_str(), "https://tech.wazzup24.com/");
    assert_eq!(account.account_id, None);
    assert_eq!(
        account.export,
        Export { user_names: true, channel_names: false, profile: Profile::Full }
    );
    let poll = Poll {
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        concurrency: 8,
        stale_after: Duration::from_mins(2),
    };
    assert_eq!(account.poll, poll);
    assert_eq!(account.rate_limit, RateLimit::default());
    assert_eq!((&account.tls, &account.proxy), (&Tls::default(), &None));
}

#[test]
fn every_key_arrives() {
    let config = read(
        "\
poll: {interval: 1m30s, timeout: 200ms, concurrency: 3}
max_in_flight: 7
export: {user_names: false, profile: minimal}
accounts:
- name: acme
  account_id: 7823-1464
  base_url: http://127.0.0.2:8080/prefix
  auth: {token_env: ACME_TOKEN}
  rate_limit: {requests: 7, per: 2s, share: 35%}
  tls: {insecure_skip_verify: false}
  proxy_url: http://localhost:3128
  poll: {interval: 5m, stale_after: 1h}
  labels: {region: north, shard: '1'}
  users:
  - {id: 007, name: Anna, labels: {team: sales}}
  - id: a/b
",
    )
    .unwrap();
    assert_eq!(config.settings.max_in_flight, 7);
    assert_eq!(config.warnings, []);
    let [account] = config.accounts.as_slice() else { panic!("one account") };
    assert_eq!(account.account_id, AccountId::parse("78231464").ok());
    assert_eq!(account.base_url.as_str(), "http://127.0.0.2:8080/prefix");
    assert_eq!(
        account.export,
        Export { user_names: false, channel_names: false, profile: Profile::Minimal }
    );
    let Auth::TokenEnv { token, .. } = &account.auth else { panic!("a token") };
    assert_eq!(secrecy::ExposeSecret::expose_secret(token), "from-the-environment");
    let poll = Poll {
        interval: Duration::from_mins(5),
        timeout: Duration::from_millis(200),
        concurrency: 3,
        stale_after: Duration::from_hours(1),
    };
    assert_eq!(account.poll, poll);
    assert_eq!(
        account.rate_limit,
        RateLimit { requests: 7, per: Duration::from_secs(2), share: 35 }
    );
    assert_eq!(account.proxy, ProxyUrl::parse("http://localhost:3128").ok());
    assert_eq!(format!("{:?}", account.labels), r#"{"region": "north", "shard": "1"}"#);
    let users: Vec<_> = account.users.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(users, ["007", "a/b"]);
    assert_eq!(account.users[0].name, None, "names are not kept where they are not to be shown");
    assert_eq!(format!("{:?}", account.users[0].labels), r#"{"team": "sales"}"#);
}

#[test]
fn anchors_and_aliases_work() {
    let config = read(
        "\
accounts:
- {name: a, auth: {token: t}, labels: &l {team: x}, users: &u [{id: '1'}, {id: '2', labels: *l}]}
- {name: b, auth: {token: t}, labels: *l, users: *u}
",
    )
    .unwrap();
    assert_eq!(config.accounts[0].users, config.accounts[1].users);
    assert_eq!(config.accounts[0].labels, config.accounts[1].labels);
}

#[test]
fn a_section_without_keys_is_as_good_as_none() {
    assert!(read(&format!("poll:\nexport:\naccount_files:\n{ACME}")).is_ok());
}

#[test]
fn sums_of_times_that_hide_good_readings_are_refused() {
    assert_eq!(
        problems(&format!("poll: {{interval: 1m, stale_after: 2m}}\n{ACME}")),
        "1:35: poll.stale_after: is 2m, but good readings would vanish between two polls below \
         2 × interval + timeout = 2m10s; set stale_after to 2m10s or more, or shorten the interval"
    );
    assert_eq!(
        problems(
            "poll: {stale_after: 2m}\naccounts:\n\
             - {name: a, poll: {interval: 5m}, auth: {token: t}, users: [{id: '1'}]}\n\
             - {name: b, poll: {timeout: 1s}, auth: {token: t}, users: [{id: '1'}]}"
        ),
        "3:19: accounts[0] \"a\": poll: stale_after of the defaults is 2m, but good readings would \
         vanish between two polls below 2 × interval + timeout = 10m10s; set stale_after to 10m10s \
         or more, or shorten the interval"
    );
}

#[test]
fn durations_are_plain_numbers_with_units() {
    let unit = "write 30s, 1m30s, 200ms or 2h";
    for (text, what) in [
        ("30", format!("is a number without a unit; {unit}")),
        ("1.5", format!("is a number without a unit; {unit}")),
        ("'30'", format!("is not a duration; {unit}")),
        ("-5s", format!("is not a duration; {unit}")),
        ("+5s", format!("is not a duration; {unit}")),
        ("5s ago", format!("is not a duration; {unit}")),
        ("5sago", format!("is not a duration; {unit}")),
        ("1 m", format!("is not a duration; {unit}")),
        ("1.5m", format!("is not a duration; {unit}")),
        ("30s1m", format!("is not a duration; {unit}")),
        ("1m1m", format!("is not a duration; {unit}")),
        ("1d", format!("is not a duration; {unit}")),
        ("00:01:00", format!("is not a duration; {unit}")),
        ("PT30S", format!("is not a duration; {unit}")),
        ("99999999999999999999h", format!("is not a duration; {unit}")),
        ("soon", format!("is not a duration; {unit}")),
        ("0s", "is 0s; it must be from 100ms to 24h".to_owned()),
        ("99ms", "is 99ms; it must be from 100ms to 24h".to_owned()),
        ("24h1ms", "is 24h1ms; it must be from 100ms to 24h".to_owned()),
        ("true", "is true or false where text is wanted; quote it (\"true\")".to_owned()),
        ("[1m]", "is a list where text is wanted".to_owned()),
        ("", "is empty; write a value or remove the key".to_owned()),
    ] {
        let found = account_problem(&format!("poll:\n    interval: {text}"));
        assert_eq!(found, format!("poll.interval: {what}"), "{text}");
    }
    for text in ["100ms", "24h", "1h30m", "90s", "1m30s500ms"] {
        read(&format!("poll: {{interval: {text}}}\n{ACME}")).unwrap();
    }
}

#[test]
fn numbers_have_bounds() {
    for (key, text, what) in [
        ("concurrency", "0", "must be a whole number from 1 to 1024, unquoted"),
        ("concurrency", "1025", "must be a whole number from 1 to 1024, unquoted"),
        ("concurrency", "-1", "must be a whole number from 1 to 1024, unquoted"),
        ("timeout", "11m", "is 11m; it must be from 10ms to 10m"),
        ("timeout", "9ms", "is 9ms; it must be from 10ms to 10m"),
        ("stale_after", "169h", "is 169h; it must be from 100ms to 168h"),
    ] {
        let found = account_problem(&format!("poll: {{{key}: {text}}}"));
        assert_eq!(found, format!("poll.{key}: {what}"));
    }
    for text in ["65537", "1.5", "'8'", ""] {
        let found = problems(&format!("{ACME}max_in_flight: {text}"));
        let what = "must be a whole number from 1 to 65536, unquoted";
        assert_eq!(found.split_once("max_in_flight: ").unwrap().1, what);
    }
}

#[test]
fn of_many_problems_the_first_of_the_file_are_reported() {
    let account = |number| {
        format!(
            "- {{name: a{number}, auth: {{token: t{number}}}, users: [{{id: '1'}}], rate_limit: {{requests: 1, per: 1h}}}}\n"
        )
    };
    let accounts: String = (0..60).map(account).collect();
    let problems = problems(&format!("accounts:\n{accounts}"));
    let lines: Vec<&str> = problems.lines().collect();
    for (number, line) in lines.iter().take(50).enumerate() {
        assert!(line.starts_with(&format!("{}:3: accounts[{number}]", number + 2)), "{line}");
    }
    assert_eq!(lines.get(50..), Some(&["and 10 more"][..]), "{problems}");
}

#[test]
fn addresses_must_be_safe_for_a_token() {
    let unencrypted = "would send the token unencrypted; write https://, or set \
                       allow_insecure_http: true (http is for localhost, 127.0.0.0/8 and [::1])";
    for (text, what) in [
        ("http://example.com", unencrypted),
        ("http://localhost.example.com", unencrypted),
        ("http://10.0.0.1", unencrypted),
        ("ftp://example.com", "must start with https://"),
        ("/relative", "is not a URL; write https://tech.wazzup24.com"),
        ("mailto:a@b.c", "is not an address of an API; write https://tech.wazzup24.com"),
        (
            "https://me:pw@example.com",
            "holds a user name or a password; remove it, auth is the place for the token",
        ),
        ("https://example.com/?a=b", "has a query (?…); remove it"),
        ("'https://example.com/#a'", "has a fragment (#…); remove it"),
    ] {
        let found = account_problem(&format!("base_url: {text}"));
        assert_eq!(found, format!("base_url: {what}"), "{text}");
    }
    for text in
        ["http://localhost:1", "http://127.1.2.3", "'http://[::1]:8/x'", "HTTPS://A.example"]
    {
        read(&ACME.replace("auth", &format!("base_url: {text}, auth"))).unwrap();
    }
}

#[test]
fn yes_is_not_a_switch_and_profiles_are_a_closed_list() {
    assert_eq!(
        problems(&format!("export: {{user_names: yes, profile: tiny}}\n{ACME}")),
        "1:22: export.user_names: must be true or false, unquoted \
         (yes, no, on and off are text in YAML)\n\
         1:36: export.profile: must be full or minimal"
    );
}

#[test]
fn bytes_are_parsed_like_a_file() {
    assert_eq!(parse(ACME.as_bytes(), Path::new("x.yaml")).unwrap().accounts.len(), 1);
}
