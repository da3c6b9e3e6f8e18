//! The exporter configuration that fits a simulation.
//!
//! Written without a library, to be read: block style, one user per line. Every string is quoted as
//! in JSON, which YAML reads the same way.

use std::fmt::{self, Write as _};
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::account::AccountNow;
use super::endpoint::Version;
use super::files::{password_file, refresh_token_file};
use super::partner::PartnerSpec;
use super::rate_limit::RateLimit;
use super::spec::{AccountSpec, Credential, Discovery};
use super::world::World;

/// The largest limit that the exporter accepts, for an API without one.
const REQUESTS_MAX: u32 = 100_000;

/// Configures the exporter for every account and the users it still has.
pub(super) fn exporter_config(world: &World, base_url: &str, interval: &str) -> String {
    let mut out = format!("poll:\n  interval: {}\naccounts:", quoted(interval));
    out.push_str(if world.accounts.is_empty() { " []\n" } else { "\n" });
    // Writing to a string cannot fail.
    for account in &world.accounts {
        let account = account.now();
        let _ = write_account(&mut out, &account.spec, &world.settings.limit, base_url);
        let _ = write_users(&mut out, &account);
    }
    if !world.partners.is_empty() {
        out.push_str("partners:\n");
    }
    for partner in &world.partners {
        let _ = write_partner(&mut out, &partner.spec);
    }
    out
}

fn write_account(
    out: &mut String,
    account: &AccountSpec,
    limit: &RateLimit,
    base_url: &str,
) -> fmt::Result {
    writeln!(out, "  - name: {}", quoted(&account.name))?;
    if account.credential.version() == Version::V3 {
        writeln!(out, "    api: v3")?;
    }
    writeln!(out, "    account_id: {}", quoted(&account.account_id))?;
    writeln!(out, "    base_url: {}", quoted(base_url))?;
    writeln!(out, "    auth:\n      {}", auth(account))?;
    if *limit != RateLimit::default() {
        let (requests, per) = (limit.requests.min(REQUESTS_MAX), duration(limit.window));
        writeln!(out, "    rate_limit: {{requests: {requests}, per: {per}}}")?;
    }
    if !account.labels.is_empty() {
        writeln!(out, "    labels:")?;
    }
    for (name, value) in &account.labels {
        writeln!(out, "      {}: {}", quoted(name), quoted(value))?;
    }
    if let Some(Discovery { every, max_users }) = account.discovery {
        write!(out, "    discover_users: {{enabled: true, refresh_interval: {}", duration(every))?;
        writeln!(out, ", max_users: {max_users}}}")?;
    }
    if let Some(every) = account.channels_every {
        writeln!(out, "    channels: {{refresh_interval: {}}}", duration(every))?;
    }
    Ok(())
}

fn auth(account: &AccountSpec) -> String {
    match &account.credential {
        Credential::Token(token) | Credential::ApiKey(token) | Credential::SidecarKey(token) => {
            format!("token: {}", quoted(token.expose_secret()))
        }
        Credential::WhiteLabel { partner } => format!("partner: {}", quoted(partner)),
        Credential::Label { partner, .. } => {
            let (partner, file) = (quoted(partner), quoted(&refresh_token_file(&account.name)));
            format!("oauth: {{partner: {partner}, refresh_token_file: {file}}}")
        }
    }
}

fn write_users(out: &mut String, account: &AccountNow) -> fmt::Result {
    // Those who will be discovered need not be named.
    let mut users = account.present().filter(|_| account.spec.discovery.is_none()).peekable();
    writeln!(out, "    users:{}", if users.peek().is_none() { " []" } else { "" })?;
    for user in users {
        write!(out, "      - {{id: {}, name: {}", quoted(&user.spec.id), quoted(&user.spec.name))?;
        if let Some(team) = &user.spec.team {
            write!(out, ", labels: {{team: {}}}", quoted(team))?;
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}

fn write_partner(out: &mut String, partner: &PartnerSpec) -> fmt::Result {
    writeln!(out, "  {}:", quoted(&partner.name))?;
    let file = password_file(&partner.name);
    let mut keys = vec![
        ("email", &partner.email),
        ("password_file", &file),
        ("scope", &partner.scope),
        ("client_id", &partner.client_id),
    ];
    keys.extend(partner.redirect_uris.first().map(|uri| ("redirect_uri", uri)));
    keys.into_iter().try_for_each(|(key, value)| writeln!(out, "    {key}: {}", quoted(value)))
}

/// As the configuration writes it, to the millisecond.
fn duration(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

/// A JSON string. JSON leaves a few characters as they are that YAML takes for line ends or does
/// not print; those are escaped too.
fn quoted(text: &str) -> String {
    let escaped = |char: char| {
        let odd = char.is_control() || "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(char);
        if odd { format!("\\u{:04x}", u32::from(char)) } else { char.to_string() }
    };
    serde_json::Value::from(text).to_string().chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        AccountSpec, Discovery, PartnerSpec, RateLimit, Role, Settings, Simulator, UserSpec,
    };

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
    fn other_kinds_of_accounts_name_their_partner_and_files() {
        let white = AccountSpec {
            discovery: Some(Discovery { every: Duration::from_secs(10), max_users: 7 }),
            channels_every: Some(Duration::from_millis(500)),
            ..AccountSpec::white_label("white", "11111111", "main")
        };
        let settings = Settings {
            accounts: vec![
                white.user(UserSpec::new("1", "Anna", Role::SalesRep)),
                AccountSpec::label("la bel", "22222222", "main", "seed"),
            ],
            partners: vec![PartnerSpec::new("main", "main@example.com", "hush")],
            ..Settings::default()
        };
        let expected = r#"poll:
  interval: "5s"
accounts:
  - name: "white"
    account_id: "11111111"
    base_url: "http://127.0.0.1:1"
    auth:
      partner: "main"
    discover_users: {enabled: true, refresh_interval: 10s, max_users: 7}
    channels: {refresh_interval: 500ms}
    users: []
  - name: "la bel"
    account_id: "22222222"
    base_url: "http://127.0.0.1:1"
    auth:
      oauth: {partner: "main", refresh_token_file: "la%20bel.refresh-token"}
    users: []
partners:
  "main":
    email: "main@example.com"
    password_file: "main.password"
    scope: "transport,crm"
    client_id: "app-main"
    redirect_uri: "https://partner.example/wazzup"
"#;
        let yaml = Simulator::new(settings).exporter_config("http://127.0.0.1:1", "5s");
        assert_eq!(yaml, expected);
    }

    #[test]
    fn a_limit_of_its_own_is_written() {
        let settings = Settings {
            accounts: vec![AccountSpec::new("acme", "01234567", "t")],
            limit: RateLimit::UNLIMITED,
            ..Settings::default()
        };
        let yaml = Simulator::new(settings).exporter_config("http://127.0.0.1:1", "5s");
        assert!(yaml.contains("    rate_limit: {requests: 100000, per: 1s}\n"), "{yaml}");
    }

    #[test]
    fn a_yaml_reader_gets_every_string_back() {
        let account = AccountSpec::new(NASTY, "01234567", NASTY)
            .user(UserSpec::new(NASTY, NASTY, Role::Manager).team(NASTY));
        let simulator = Simulator::new(Settings { accounts: vec![account], ..Settings::default() });
        let yaml = simulator.exporter_config(NASTY, "5s");
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
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
