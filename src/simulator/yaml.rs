//! The exporter configuration that fits a simulation.
//!
//! Written by hand, for people to read: block style, one user per line. Every string is quoted as
//! in JSON, which YAML reads the same way.

use std::fmt::Write as _;

use super::account::Account;
use super::endpoint::Version;
use super::settings::RateLimit;
use super::spec::Credential;

/// What the exporter can be told at most, for an API that has no limit.
const REQUESTS_MAX: u32 = 100_000;

/// Configures the exporter for every account and the users it still has.
pub(super) fn exporter_config(
    accounts: &[Account],
    limit: &RateLimit,
    base_url: &str,
    interval: &str,
) -> String {
    let mut out = format!("poll:\n  interval: {}\naccounts:\n", quoted(interval));
    if accounts.is_empty() {
        out = out.replace("accounts:\n", "accounts: []\n");
    }
    for account in accounts {
        // Writing to a string cannot fail.
        let _ = write_account(&mut out, account, limit, base_url);
    }
    out
}

fn write_account(
    out: &mut String,
    account: &Account,
    limit: &RateLimit,
    base_url: &str,
) -> std::fmt::Result {
    writeln!(out, "  - name: {}", quoted(&account.name))?;
    if account.credential.version() == Version::V3 {
        writeln!(out, "    api: v3")?;
    }
    writeln!(out, "    account_id: {}", quoted(&account.id))?;
    writeln!(out, "    base_url: {}", quoted(base_url))?;
    match &account.credential {
        Credential::Token(token) | Credential::ApiKey(token) | Credential::SidecarKey(token) => {
            writeln!(out, "    auth:\n      token: {}", quoted(token))?;
        }
        Credential::WhiteLabel { partner } => {
            writeln!(out, "    auth:\n      partner: {}", quoted(partner))?;
        }
        Credential::Label { partner, .. } => {
            let file = quoted(&format!("{}.refresh-token", account.id));
            let partner = quoted(partner);
            writeln!(out, "    auth:")?;
            writeln!(out, "      oauth: {{partner: {partner}, refresh_token_file: {file}}}")?;
        }
    }
    if *limit != RateLimit::default() {
        let (requests, per) = (limit.requests.min(REQUESTS_MAX), limit.window.as_millis());
        writeln!(out, "    rate_limit: {{requests: {requests}, per: {per}ms}}")?;
    }
    if !account.labels.is_empty() {
        writeln!(out, "    labels:")?;
        for (name, value) in &account.labels {
            writeln!(out, "      {}: {}", quoted(name), quoted(value))?;
        }
    }
    let users = account.present_users();
    writeln!(out, "    users:{}", if users.is_empty() { " []" } else { "" })?;
    for user in users {
        write!(out, "      - {{id: {}, name: {}", quoted(&user.id), quoted(&user.name))?;
        if let Some(team) = &user.team {
            write!(out, ", labels: {{team: {}}}", quoted(team))?;
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}

/// A JSON string. JSON leaves a few characters as they are that YAML takes for line ends or does
/// not print; those are escaped too.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

    const NASTY: &str = "a\"b\\c/#: {x}\u{85}\u{2028}\u{7f}\n\u{1f600} ü";

    #[test]
    fn writes_one_user_per_line() {
        let mut account = AccountSpec::new("acme", "01234567", "t")
            .user(UserSpec::new("1", "Anna", Role::SalesRep).team("sales"))
            .user(UserSpec::new("no", "Гульнара", Role::None));
        account.labels.insert("city".into(), "Almaty".into());
        let empty = AccountSpec::v3("empty", "00000000", "u");
        let simulator =
            Simulator::new(Settings { accounts: vec![account, empty], ..Settings::default() });
        let expected = r#"poll:
  interval: "5s"
accounts:
  - name: "acme"
    account_id: "01234567"
    base_url: "http://127.0.0.1:1"
    auth:
      token: "t"
    labels:
      "city": "Almaty"
    users:
      - {id: "1", name: "Anna", labels: {team: "sales"}}
      - {id: "no", name: "Гульнара"}
  - name: "empty"
    api: v3
    account_id: "00000000"
    base_url: "http://127.0.0.1:1"
    auth:
      token: "u"
    users: []
"#;
        assert_eq!(simulator.exporter_config("http://127.0.0.1:1", "5s"), expected);
    }

    #[test]
    fn a_limit_of_its_own_is_told() {
        let settings = Settings {
            accounts: vec![AccountSpec::new("acme", "01234567", "t")],
            limit: RateLimit::UNLIMITED,
            ..Settings::default()
        };
        let yaml = Simulator::new(settings).exporter_config("http://127.0.0.1:1", "5s");
        assert!(yaml.contains("    rate_limit: {requests: 100000, per: 1000ms}\n"), "{yaml}");
    }

    #[test]
    fn a_yaml_reader_gets_every_string_back() {
        let account = AccountSpec::new(NASTY, "01234567", NASTY)
            .user(UserSpec::new(NASTY, NASTY, Role::Manager).team(NASTY));
        let simulator = Simulator::new(Settings { accounts: vec![account], ..Settings::default() });
        let yaml = simulator.exporter_config(NASTY, "5s");
        let read: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
        let account = &read["accounts"][0];
        let user = &account["users"][0];
        for value in [
            &account["name"],
            &account["base_url"],
            &account["auth"]["token"],
            &user["id"],
            &user["name"],
            &user["labels"]["team"],
        ] {
            assert_eq!(value, NASTY);
        }
    }
}
