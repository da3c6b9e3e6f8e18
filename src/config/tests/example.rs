//! The example that is shipped works, and so does what is commented out in it.

use super::*;

const EXAMPLE: &str = include_str!("../../../config.example.yaml");

#[test]
fn the_example_loads() {
    let config = read(EXAMPLE).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.ends_with(
        "accounts[0] \"acme\": auth.token: \
         holds a token itself; token_file or token_env keeps it out"
    ));
}

#[test]
fn the_example_shows_the_defaults() {
    let example = read(EXAMPLE).unwrap();
    let default = read(ACME).unwrap();
    assert_eq!(example.settings, default.settings);
    assert_eq!(example.accounts[0].poll, default.accounts[0].poll);
    assert_eq!(example.accounts[0].export, default.accounts[0].export);
    assert_eq!(example.accounts[0].base_url, default.accounts[0].base_url);
    assert_eq!(example.accounts[0].rate_limit, default.accounts[0].rate_limit);
    assert_eq!(example.accounts[0].tls, default.accounts[0].tls);
    assert_eq!(example.accounts[0].api, default.accounts[0].api);
    assert_eq!(example.accounts[0].channels, default.accounts[0].channels);
    assert_eq!(example.accounts[0].discovery, default.accounts[0].discovery);
}

#[test]
fn what_the_example_comments_out_consists_of_working_keys() {
    let switched_on = EXAMPLE.lines().map(|line| {
        let text = line.trim_start();
        match text.strip_prefix('#') {
            Some(key) if !key.is_empty() && (!key.starts_with(' ') || key.starts_with("  ")) => {
                line.replacen('#', "", 1)
            }
            _ => line.to_owned(),
        }
    });
    let text: String = switched_on.map(|line| line + "\n").collect();
    let reported = read(&text).unwrap_err();
    let [password, token, ca_file] = reported.problems.as_slice() else { panic!("{reported}") };
    let missing = "partners.main.password_file: /run/secrets/partner cannot be read";
    assert!(password.message.starts_with(missing), "{password}");
    let missing = "accounts[0] \"acme\": tls.ca_file: /etc/wazzup-exporter/ca.pem cannot be read";
    assert!(ca_file.message.starts_with(missing), "{ca_file}");
    assert_eq!(
        token.message,
        "accounts[0] \"acme\": auth.token_env: is one token too many; \
         keep exactly one of token, token_env, token_file, token_command, partner and oauth"
    );
    for key in [
        "account_files:",
        "secrets_dir:",
        "account_id:",
        "partners:",
        "token_file:",
        "token_command:",
        "partner:",
        "oauth:",
        "working_hours:",
        "discover_users:",
        "channels:",
        "ca_file:",
        "proxy_url:",
        "    poll:",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(key) || line.contains(&format!(" {key}"))),
            "{key}"
        );
    }
}
