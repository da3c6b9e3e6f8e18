//! A token is never printed, wherever it was put.

use super::*;

/// What a token may look like; each is tried everywhere.
const SECRETS: [&str; 4] = [
    "4f2a77c09be14c0d8d5f3a6e1b2c3d4e",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "98765432101234567890",
];

/// Texts with a token, `@`, in the right place or in a wrong one.
const TEXTS: [&str; 55] = [
    "@",
    "partners: @",
    "partners: {@: @}",
    "partners: {main: {email: '@:', password_file: '@', scope: [@], client_id: @, redirect_uri: '@'}}",
    "partners: {'@': {email: '@'}}\naccounts: [{name: a, auth: {partner: '@x'}}]",
    "accounts: [{name: a, auth: {token_command: ['@']}, users: [{id: '1'}]}]",
    "accounts: [{auth: {oauth: {partner: '@', refresh_token_file: '@'}}}]",
    "accounts: [{discover_users: {include: ['(@'], labels: [{match: '[@', set: {team: [@]}}]}, working_hours: {timezone: '@', days: '@', from: '@', to: '@'}, api: '@'}]",
    "'@'",
    "- @",
    "@: x",
    "? {@: @}\n: @",
    "accounts: @",
    "accounts: [@]",
    "accounts: [[@]]",
    "accounts: [{@: @}]",
    "accounts: [{@}]",
    "accounts: [{auth: @}]",
    "accounts: [{auth: '@'}]",
    "accounts: [{auth: [@]}]",
    "accounts: [{auth: {@: @}}]",
    "accounts: [{auth: {@}}]",
    "accounts: [{auth: {tokn: @}}]",
    "accounts: [{auth: {token: @}}]",
    "accounts: [{auth: {token: [@]}}]",
    "accounts: [{auth: {token: {@: @}}}]",
    "accounts: [{auth: {token: 'Bearer @'}}]",
    "accounts: [{auth: {token: '@é'}}]",
    "accounts: [{auth: {token: \"@\\n\"}}]",
    "accounts: [{auth: {token: !x @}}]",
    "accounts: [{auth: {token: !!int x@}}]",
    "accounts: [{auth: {token: !!bool '@'}}]",
    "accounts: [{auth: {token: @, token: @}}]",
    "accounts: [{auth: {token: '@', token_env: '@'}}]",
    "accounts: [{auth: {token_env: '@'}}]",
    "accounts: [{auth: {token_env: @}}]",
    "accounts: [{auth: {token_file: '@'}}]",
    "accounts: [{auth: {token_file: [@]}}]",
    "accounts: [{auth: {token: @}, token: @, poll: @, labels: @, users: @}]",
    "accounts: [{auth: {<<: {token: @}}}]",
    "accounts: [{base_url: '@', account_id: '@', labels: {team: [@]}, users: ['@']}]",
    "accounts: [{base_url: 'https://@:@@example.com/', users: [{id: @, name: [@]}]}]",
    "accounts: [{poll: {interval: '@', timeout: 's@', concurrency: @, stale_after: [@]}}]",
    "poll: '@'\nexport: '@'\nmax_in_flight: @\nsecrets_dir: ['@']\naccount_files: ['@']",
    "export: {user_names: '@', profile: '@'}\naccount_files: [{@: @}]",
    "accounts: [{auth: {token: @}}\nx: [",
    "accounts: [{auth: {token: \"@}}",
    "token: &a @\nb: *@",
    "accounts: [{name: a, users: [{id: '1'}], auth: {token: 'x@'}}]",
    "accounts: [{name: a, users: [{id: '1'}], auth: {token: t}, proxy_url: \"http://@:@\\x40proxy\"}]",
    "accounts: [{name: a, users: [{id: '1'}], auth: {token: t}, proxy_url: \"http://@\\x40proxy\"}]",
    "accounts: [{proxy_url: 'ftp://@', tls: {ca_file: '@', insecure_skip_verify: '@'}}]",
    "accounts: [{proxy_url: \"http://:@\\x40proxy/?@\", tls: {@: @}, rate_limit: {@: @}}]",
    "accounts: [{proxy_url: ['@'], tls: '@', rate_limit: '@', allow_insecure_http: '@'}]",
    "accounts: [{proxy_url: '@', rate_limit: {requests: @, per: '@'}}]",
];

#[test]
fn no_message_and_no_debug_output_holds_a_token() {
    for secret in SECRETS {
        for text in TEXTS {
            let text = text.replace('@', secret);
            let shown = match read(&text) {
                Ok(config) => {
                    let reported: Vec<_> =
                        config.warnings.iter().map(ToString::to_string).collect();
                    format!("{config:?} {reported:?}")
                }
                Err(error) => format!("{error} {error:?}"),
            };
            for part in [secret, &secret[..8], &secret[8..]] {
                assert!(!shown.contains(part), "{text}\n{shown}");
            }
        }
    }
}

#[test]
fn an_environment_variable_holding_a_token_is_not_shown() {
    let text = ACME.replace("token: t0k3n", "token_env: ACME_TOKEN");
    let config = read(&text).unwrap();
    assert!(!format!("{config:?}").contains("from-the-environment"));
}
