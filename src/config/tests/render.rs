//! What is shown of a configuration reads as the same configuration, whatever the texts in it.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::account::{Account, AccountName, User, UserId, check_text, fixture};
use crate::config::render;

/// What YAML takes for something else than text, or for something of its own.
const TEXTS: [&str; 40] = [
    "null",
    "~",
    "Null",
    "true",
    "no",
    "y",
    "1",
    "007",
    "0x1F",
    "0o17",
    "1e3",
    "+1",
    "-1",
    ".inf",
    ".nan",
    "1_000",
    "12:30:45",
    "2001-01-01",
    "=",
    "<<",
    "- a",
    "a: b",
    "a #b",
    "#",
    "'",
    "\"",
    "@x",
    "`x",
    "%x",
    "&a",
    "*a",
    "!t",
    "|",
    ">",
    "{a}",
    "[b]",
    "?",
    "<secret>",
    "\u{feff}x",
    "\u{1f600}",
];

fn again(account: Account) -> Account {
    let settings = read(ACME).unwrap().settings;
    let shown = render(&settings, &[Arc::new(account)]);
    let filled = shown.replacen("token: <secret>", "token: test-token", 1);
    let mut config = read(&filled).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    Arc::unwrap_or_clone(config.accounts.remove(0))
}

fn named(text: &str) -> Account {
    let mut account = fixture("acme", &["the first one"]);
    if let (Ok(name), Ok(id)) = (AccountName::parse(text), UserId::parse(text)) {
        account.name = name;
        let labels = [(crate::account::LabelName::parse("team").unwrap(), text.to_owned())];
        let user = User { id, name: Some(text.to_owned()), labels: labels.into() };
        account.users.push(Arc::new(user));
    }
    account
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    for text in TEXTS {
        let account = named(text);
        assert_eq!(account.users.len(), 2, "{text}");
        assert_eq!(again(account.clone()), account, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_name_is_shown_so_that_it_reads_the_same(text in "\\PC{1,20}|.{1,20}") {
        // YAML counts these two as line breaks, and the library does not escape them.
        prop_assume!(check_text(&text, 64).is_ok() && !text.contains(['\u{2028}', '\u{2029}']));
        let account = named(&text);
        prop_assert_eq!(again(account.clone()), account);
    }
}

#[test]
fn addresses_lose_their_logins() {
    let mut account = fixture("acme", &["1"]);
    account.base_url = "https://us3r:pa55@example.com/x".parse().unwrap();
    let shown = render(&read(ACME).unwrap().settings, &[Arc::new(account)]);
    assert!(shown.contains("base_url: https://<secret>@example.com/x\n"), "{shown}");
    assert!(!shown.contains("us3r") && !shown.contains("pa55"), "{shown}");
}
