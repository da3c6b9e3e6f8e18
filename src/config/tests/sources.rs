//! Tokens that are renewed, partners, and what is read of an account's lists.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::account::{Api, Channels, Pattern};
use crate::schedule::WorkingHours;

use super::*;

/// The problems of one account under a partner `main`, whose password file is `mode`.
fn account(keys: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    secret(&folder.path().join("password"), "pass word\n", 0o600);
    secret(&folder.path().join("token"), "t0k3n", 0o600);
    let text = format!(
        "partners:\n  main: {{email: p@example.com, password_file: password}}\n  \
         app: {{email: p@example.com, password_file: password, client_id: c, \
         redirect_uri: 'http://127.0.0.1:9/back'}}\n\
         accounts:\n- name: acme\n  users: [{{id: '1'}}]\n  {keys}\n"
    );
    let path = folder.path().join("config.yaml");
    parse(text.as_bytes(), &path)
}

fn secret(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn reported(keys: &str) -> String {
    let error = account(keys).unwrap_err();
    let words = error.problems.iter().map(|problem| problem.message.as_str());
    words.collect::<Vec<_>>().join("\n").replace("accounts[0] \"acme\": ", "")
}

#[test]
fn a_partner_gives_tokens_of_the_accounts_number() {
    let config = account("account_id: '7823-1464'\n  auth: {partner: main}").unwrap();
    let Auth::Partner(partner) = &config.accounts[0].auth else { panic!("a partner") };
    assert_eq!((partner.name.as_str(), partner.scope.as_str()), ("main", "transport,crm"));
    assert_eq!(
        reported("auth: {partner: main}"),
        "auth: needs the account's number to ask for its token; write account_id: \"78231464\""
    );
    assert_eq!(
        reported("auth: {partner: mian}"),
        "auth.partner: is no name under partners; did you mean main?"
    );
    assert_eq!(
        reported("account_id: '78231464'\n  api: v3\n  auth: {partner: main}"),
        "auth: gives a token for v2, which v3 refuses; give the API key with token_file, \
         or remove api: v3"
    );
}

#[test]
fn a_login_of_a_customer_needs_an_application_and_a_file_of_its_own() {
    let config = account("auth: {oauth: {partner: app, refresh_token_file: seed}}").unwrap();
    let Auth::OAuth { refresh_token_file, .. } = &config.accounts[0].auth else { panic!("oauth") };
    assert!(refresh_token_file.ends_with("seed"));
    let warnings: Vec<_> = config.warnings.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        warnings,
        ["accounts[0] \"acme\": auth.oauth.refresh_token_file: the file does not exist yet; \
          `wazzup-exporter login` makes it"]
    );
    assert_eq!(
        reported("auth: {oauth: {partner: main, refresh_token_file: seed}}"),
        "auth.oauth.partner: has no client_id or no redirect_uri, which a customer's login needs"
    );
    assert_eq!(
        reported("auth: {oauth: {}}"),
        "auth.oauth: has no partner; name the login under partners whose application the customer \
         lets in\nauth.oauth: has no refresh_token_file; name the file in which \
         `wazzup-exporter login` puts the token"
    );
    let twice = reported(
        "auth: &a {oauth: {partner: app, refresh_token_file: token}}\n\
         - {name: b, auth: *a, users: [{id: '1'}]}",
    );
    assert!(
        twice.contains("auth: uses the refresh token of another account, which works once"),
        "{twice}"
    );
}

#[test]
fn a_command_has_to_be_allowed() {
    let text = "accounts: [{name: a, auth: {token_command: [get, acme]}, users: [{id: '1'}]}]";
    let main = || SourceFile {
        path: Path::new("c.yaml").into(),
        bytes: text.as_bytes().to_vec(),
        mode: None,
    };
    let read = |token_command| {
        load::read(main(), Permissions { token_command }, &environment, &Running::NOTHING)
    };
    let reported = read(false).unwrap_err().to_string();
    assert!(reported.contains("start with --config.allow-token-command"), "{reported}");
    let Auth::TokenCommand(words) = &read(true).unwrap().accounts[0].auth else {
        panic!("a command")
    };
    assert_eq!(**words, ["get", "acme"]);
}

#[test]
fn a_partners_password_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    let reported = |content: &str, mode| {
        secret(&folder.path().join("password"), content, mode);
        let text = "partners: {main: {email: 'p', password_file: password}}\n";
        let text = format!("{text}{ACME}");
        match parse(text.as_bytes(), &folder.path().join("c.yaml")) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.problems[0].message.clone(),
        }
    };
    assert_eq!(reported("two words\r\n", 0o600), "fine");
    assert!(reported("x", 0o604).contains("is open to every user of the host (mode 604)"));
    assert!(reported("", 0o600).contains("holds a password that is empty"));
    assert!(reported("a\nb", 0o600).contains("holds a password that contains a line break"));
}

#[test]
fn wrong_partners_are_reported() {
    for (partners, words) in [
        ("x", "1:11: must be a mapping, keys with a value each: {key: value}"),
        ("{main: {}}", "partners.main: has no email; write the user name of the partner's login"),
        (
            "{main: {email: 'a:b', password_file: x}}",
            "partners.main.email: contains a colon, which no user name of a login can",
        ),
        (
            "{main: {email: a, password_file: x, redirect_uri: 'ftp://x'}}",
            "partners.main.redirect_uri: is not an address that a browser can be sent to; \
             write https://…, as registered",
        ),
    ] {
        let reported = problems(&format!("partners: {partners}\n{ACME}"));
        assert!(reported.contains(words), "{reported}");
    }
}

#[test]
fn an_account_file_cannot_have_a_partners_login_sent_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    secret(&folder.path().join("password"), "p", 0o600);
    let own = "accounts: [{name: b, account_id: '78231464', auth: {partner: main}, \
               users: [{id: '1'}], base_url: 'https://evil.example', \
               tls: {insecure_skip_verify: true}, proxy_url: 'http://evil.example'}]";
    secret(&folder.path().join("b.yaml"), own, 0o600);
    let text = "partners: {main: {email: p, password_file: password, allow_account_files: true}}\n\
                account_files: [b.yaml]";
    let config = parse(text.as_bytes(), &folder.path().join("c.yaml")).unwrap();
    let reported = config.broken().unwrap();
    let refused = "works only in the main file for an account of a partner";
    let refused = reported.problems.iter().filter(|problem| problem.message.contains(refused));
    assert_eq!(refused.count(), 3, "{reported}");
}

#[test]
fn lists_and_working_hours_arrive() {
    let text = "accounts: [{name: a, api: v3, auth: {token: t}, \
        discover_users: {enabled: true, refresh_interval: 5m, include: ['id: 7.*'], \
        exclude: [bot], max_users: 7, labels: [{match: .*, set: {team: x}}]}, \
        channels: {refresh_interval: 2m}, \
        working_hours: {timezone: Asia/Almaty, days: mon-fri, from: '09:00', to: '18:00'}}]";
    let config = read(text).unwrap();
    let account = &config.accounts[0];
    assert_eq!((account.api, account.users.len()), (Api::V3, 0));
    assert_eq!(account.base_url.as_str(), "https://api.wazzup24.com/");
    let discovery = account.discovery.as_ref().unwrap();
    assert_eq!(discovery.refresh_interval, Duration::from_mins(5));
    assert_eq!(discovery.include, [Pattern::parse("id: 7.*").unwrap()]);
    assert_eq!(discovery.exclude, [Pattern::parse("bot").unwrap()]);
    assert_eq!(discovery.max_users, 7);
    assert_eq!(format!("{:?}", discovery.labels[0].set), r#"{"team": "x"}"#);
    assert_eq!(account.channels, Some(Channels { refresh_interval: Duration::from_mins(2) }));
    let hours = {
        let [zone, days, from, to] =
            ["Asia/Almaty", "mon-fri", "09:00", "18:00"].map(str::to_owned);
        WorkingHours::parse(zone, days, from, to).ok()
    };
    assert_eq!(account.working_hours, hours);
    let off = read(&ACME.replace("users", "channels: {enabled: false}, users")).unwrap();
    assert_eq!(off.accounts[0].channels, None);
}

#[test]
fn wrong_lists_and_hours_are_reported() {
    for (keys, words) in [
        ("api: v1", "api: must be v2 (technical partners) or v3 (API keys)"),
        (
            "discover_users: {include: ['(']}",
            "discover_users.include[0]: is not a regular expression: error: unclosed group",
        ),
        (
            "discover_users: {max_users: 0}",
            "max_users: must be a whole number from 1 to 100000, unquoted",
        ),
        (
            "discover_users: {labels: [{match: x}]}",
            "discover_users.labels[0]: has no set; write the labels, {team: sales}",
        ),
        (
            "discover_users: {enabled: true, max_users: 5000}",
            "5001 users, those to be found included, every 30s need 167 requests/s; \
             60% of the limit, 500 per 5s, allows 58.2/s: raise poll.interval to 1m26s or more, \
             or lower discover_users.max_users",
        ),
        ("channels: {enabled: 1}", "channels.enabled: must be true or false, unquoted"),
        (
            "working_hours: {timezone: Mars, days: mon, from: '09:00', to: '18:00'}",
            "working_hours.timezone: is not a time zone; write a name of the IANA database",
        ),
        (
            "working_hours: {timezone: UTC, days: mon, from: '9', to: '18:00'}",
            "working_hours.from: is not a time of day; write \"09:00\", quoted",
        ),
        ("working_hours: {}", "working_hours: has no timezone"),
    ] {
        let text = ACME.replace("users", &format!("{keys}, users"));
        let reported = problems(&text);
        assert!(reported.contains(words), "{keys}: {reported}");
    }
}
