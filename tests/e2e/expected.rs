//! What an exporter has to show of a simulated API, and a simulated API that is hard to show.

use std::collections::BTreeMap;

use serde_json::Value;
use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

/// The values of `wazzup_unanswered_messages` by account, user and type.
pub(crate) type Figures = BTreeMap<(String, String, String), String>;

/// What the API holds for every user it knows, in the exporter's terms: red and grey, one of them 0.
pub(crate) fn held(api: &Simulator) -> Figures {
    let mut figures = Figures::new();
    for account in api.state() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for user in account["users"].as_array().unwrap() {
            if user["removed"] == true {
                continue;
            }
            for kind in ["red", "grey"] {
                let held = user["type"] == kind;
                let value = if held { user["counter"].to_string() } else { "0".into() };
                figures.insert((text(&account["name"]), text(&user["id"]), kind.into()), value);
            }
        }
    }
    figures
}

/// Accounts and users that have to be escaped somewhere: in a URL, in a label, in HTML.
pub(crate) fn odd() -> Settings {
    let mut account = AccountSpec::new(r#"acme "&" <co> \ {x="y"}"#, "12345678", "token-of-acme");
    account.labels.insert("city".to_owned(), "Алматы".to_owned());
    account.labels.insert("path".to_owned(), r"C:\new\table".to_owned());
    let users = [
        ("a/b", "Plain"),
        ("ünï", "Данияр Ахметов"),
        (r#"q"uo\te"#, r#"Игорь "Мастер" Белов\"#),
        ("%2E", "100 %"),
        ("a b?c=d#e&f+g", "# HELP me"),
        (r"\n", r"line\nbreak"),
        ("{a=\"b\",c} 1", "\u{1f600}\u{2028}\u{feff}"),
        ("...", "dots"),
    ];
    for (counter, (id, name)) in (1..).zip(users) {
        let user = UserSpec::new(id, name, Role::SalesRep).team(r#"te"am\"#);
        account = account.user(user.pinned(counter, "red"));
    }
    Settings {
        accounts: vec![account],
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}
