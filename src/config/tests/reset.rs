//! What `reset` takes and what it refuses.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A token file, with the words of a configuration that names it.
fn token(content: &str, mode: u32) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reset");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let words = format!("token_file: {}", path.display());
    (folder, words)
}

fn account(name: &str, id: &str, more: &str) -> String {
    format!(
        "- {{name: {name}, account_id: '{id}', auth: {{token: t}}, users: [{{id: '1'}}], {more}}}\n"
    )
}

fn read_one(more: &str) -> Result<Config, ConfigError> {
    read(&format!("accounts:\n{}", account("acme", "78231464", more)))
}

fn problem(more: &str) -> String {
    let reported = read_one(more).unwrap_err().to_string();
    reported.split_once("\"acme\": ").map_or(reported.clone(), |(_, what)| what.to_owned())
}

#[test]
fn a_reset_has_defaults_and_is_off() {
    let (_folder, file) = token(&format!("{TOKEN}\n"), 0o600);
    let config = read_one(&format!("reset: {{enabled: true, {file}}}")).unwrap();
    let bounds = config.accounts[0].reset.as_ref().unwrap();
    assert_eq!((bounds.cooldown, bounds.max_unanswered), (Duration::from_hours(1), 1000));
    for off in ["reset: {}", "reset: {enabled: false, token_file: /no/such}", "api: v2"] {
        assert_eq!(read_one(off).unwrap().accounts[0].reset, None, "{off}");
    }
}

#[test]
fn a_token_that_others_could_know_is_refused() {
    for (content, mode, words) in [
        (TOKEN, 0o644, "is open to every user of the host (mode 644); chmod 600"),
        (&TOKEN[1..], 0o600, "fewer than 32 characters"),
        ("", 0o600, "is empty"),
        ("two words that are long enough together", 0o600, "white space"),
    ] {
        let (_folder, file) = token(content, mode);
        let reported = problem(&format!("reset: {{enabled: true, {file}}}"));
        assert!(reported.contains("reset.token_file: ") && reported.contains(words), "{reported}");
        assert!(content.is_empty() || !reported.contains(content), "{reported}");
    }
    let reported = problem("reset: {enabled: true}");
    assert!(reported.contains("token_file") && reported.contains("openssl"), "{reported}");
    let reported = problem("reset: {enabled: true, token_file: /no/such}");
    assert!(reported.contains("cannot be read"), "{reported}");
}

#[test]
fn bounds_are_checked() {
    for (words, what) in [
        ("cooldown: 1s", "reset.cooldown: is 1s; it must be from 1m"),
        ("cooldown: 1000h", "reset.cooldown: is 1000h"),
        ("max_unanswered: -1", "reset.max_unanswered: must be a whole number"),
        ("force: true", "unknown key \"force\""),
    ] {
        let reported = problem(&format!("reset: {{{words}}}"));
        assert!(reported.contains(what), "{reported}");
    }
}

#[test]
fn a_reset_needs_v2_the_account_s_number_and_no_second_one() {
    let (_folder, file) = token(TOKEN, 0o600);
    let reset = format!("reset: {{enabled: true, {file}}}");
    let reported = problem(&format!("api: v3, {reset}"));
    assert!(reported.contains("v3 has no reset"), "{reported}");
    let text =
        format!("accounts:\n- {{name: acme, auth: {{token: t}}, users: [{{id: '1'}}], {reset}}}\n");
    let reported = problems(&text);
    assert!(reported.contains("needs the account's number"), "{reported}");
    let two = [account("acme", "78231464", &reset), account("twin", "7823-1464", &reset)];
    let reported = problems(&format!("accounts:\n{}", two.concat()));
    assert!(reported.contains("two accounts of the same account_id"), "{reported}");
    let elsewhere = "reset: {}, base_url: 'https://other.example'";
    let two = [account("acme", "78231464", &reset), account("twin", "78231464", elsewhere)];
    assert!(read(&format!("accounts:\n{}", two.concat())).is_ok());
}
