//! Where problems are, and that one run finds them all.

use super::*;

#[test]
fn one_run_finds_every_problem_at_its_line() {
    let text = "\
pol: {interval: 1m}
max_in_flight: lots
export:
  profile: full
  profile: minimal
accounts:
- name: acme
  base-url: https://example.com
  auth: {token: t, token_env: ACME_TOKEN}
  users:
  - id: 7
  - {name: Anna}
  - {id: 'a', lables: {}}
  - {id: 'a'}
- name: acme
  <<: {a: b}
  labels: {job: x, team: 1}
";
    assert_eq!(problems(text), "\
1:1: unknown key \"pol\"; did you mean poll?
2:16: max_in_flight: is text where a whole number is wanted; write one from 1 to 65536, unquoted
5:3: export.profile: is given twice; remove one of them; the other one is at 4:3
8:3: accounts[0] \"acme\": unknown key \"base-url\"; did you mean base_url?
9:20: accounts[0] \"acme\": auth.token_env: is one token too many; keep exactly one of token, token_env, token_file, token_command, partner and oauth
11:9: accounts[0] \"acme\": users[0].id: is a number where text is wanted; quote it (id: \"7\"), \
because YAML would turn 007 or 0x1F into something else
12:5: accounts[0] \"acme\": users[1]: has no id; write the user's id in the CRM, id: \"1\"
13:15: accounts[0] \"acme\": users[2]: unknown key \"lables\"; did you mean labels?
14:10: accounts[0] \"acme\": users[3].id: is the id of two users of the account; remove one; \
the other one is at 13:10
15:3: accounts[1] \"acme\": has no auth; say where its token comes from: token_file, token_env, partner …
15:3: accounts[1] \"acme\": has no users; list the CRM users to poll, - id: \"1\", or switch on discover_users
15:9: accounts[1] \"acme\": name: is the name of two accounts; rename one of them; \
the other one is at 7:9
16:3: accounts[1] \"acme\": merge keys (<<) do not work here; write the keys out, or repeat a whole \
value with an anchor (&a) and an alias (*a)
17:12: accounts[1] \"acme\": labels.job: is a label that the exporter or Prometheus sets itself; \
choose another name
17:26: accounts[1] \"acme\": labels.team: is a number where text is wanted; quote it (team: \"…\"), \
because YAML would turn 007 or 0x1F into something else");
}

#[test]
fn wrong_shapes_are_reported() {
    let sections = "is text where a mapping is wanted";
    for (text, reported) in [
        (
            "text",
            "1:1: is text where a mapping is wanted (poll, max_in_flight, export, \
                  account_files, secrets_dir, partners, accounts)"
                .to_owned(),
        ),
        (
            "- 1",
            "1:1: is a list where a mapping is wanted (poll, max_in_flight, export, \
                 account_files, secrets_dir, partners, accounts)"
                .to_owned(),
        ),
        (
            "poll: x\naccounts: {}",
            format!(
                "1:7: poll: {sections} (interval, timeout, concurrency, \
            stale_after)\n2:11: accounts: is a mapping where a list is wanted; write a list: - name: acme"
            ),
        ),
        (
            "accounts: [x]",
            format!(
                "1:12: accounts[0]: {sections} (name, api, account_id, auth, poll, labels, working_hours, users, discover_users, channels, reset, base_url, allow_insecure_http, rate_limit, tls, proxy_url)"
            ),
        ),
        (
            "accounts: []",
            "1:1: configures no account; list one under accounts, or in a file that \
            account_files names"
                .to_owned(),
        ),
        (
            "{}",
            "1:1: configures no account; list one under accounts, or in a file that \
            account_files names"
                .to_owned(),
        ),
        (
            "? [a]\n: b\n7: c",
            "1:3: has a key that is a list; every key must be text\n\
            3:1: has a key that is a number; every key must be text"
                .to_owned(),
        ),
    ] {
        assert_eq!(problems(text), reported, "{text}");
    }
}

#[test]
fn wrong_parts_of_an_account_are_reported() {
    for (yaml, reported) in [
        ("labels: x", "labels: is text where a mapping is wanted; write team: sales"),
        (
            "labels: {a-b: x}",
            "labels.a-b: is not a label name: letters, digits and _ only, \
                              not starting with a digit",
        ),
        (
            "account_id: 78231464",
            "account_id: is a number where text is wanted; quote it \
            (account_id: \"…\"), because YAML would turn 007 or 0x1F into something else",
        ),
        (
            "account_id: '782'",
            "account_id: is not an account number: eight digits, \
                               also written 7823-1464",
        ),
        ("account_id:", "account_id: is empty; write a value or remove the key"),
        ("labels: {team: ''}", "labels.team: is empty; write a value or remove the key"),
        ("Labels: {}", "unknown key; did you mean labels?"),
        (
            "region: x",
            "unknown key \"region\"; known here: name, api, account_id, auth, poll, labels, \
                      working_hours, users, discover_users, channels, reset, base_url, allow_insecure_http, rate_limit, tls, proxy_url",
        ),
    ] {
        assert_eq!(account_problem(yaml), reported, "{yaml}");
    }
    for (users, reported) in [
        (
            "[]",
            "users: lists no user; list the CRM users to poll, - id: \"1\", or switch on discover_users",
        ),
        (
            "",
            "users: lists no user; list the CRM users to poll, - id: \"1\", or switch on discover_users",
        ),
        ("'1'", "users: is text where a list is wanted; write a list: - id: \"1\""),
        ("['1']", "users[0]: is text where a mapping is wanted (id, name, labels)"),
        (
            "[{id: ..}]",
            "users[0].id: is `.` or `..`, which a URL path cannot carry; \
                        give the id that the CRM uses",
        ),
        (
            "[{id: true}]",
            "users[0].id: is true or false where text is wanted; quote it (id: \"7\")",
        ),
        ("[{id: a, name: \"a\\nb\"}]", "users[0].name: contains a control character; remove it"),
    ] {
        let text = format!("accounts:\n- {{name: acme, auth: {{token: t}}, users: {users}}}");
        let found = problems(&text);
        assert_eq!(found.split_once("\"acme\": ").unwrap().1, reported, "{users}");
    }
}

#[test]
fn an_account_names_exactly_one_token() {
    for (auth, reported) in [
        (
            "{}",
            "auth: names no token; give exactly one of token, token_env, token_file, token_command, partner and oauth",
        ),
        (
            "",
            "auth: names no token; give exactly one of token, token_env, token_file, token_command, partner and oauth",
        ),
        (
            "t",
            "auth: is text where a mapping is wanted (token, token_env, token_file, token_command, partner, oauth)",
        ),
        ("{tokn: t}", "auth: unknown key \"tokn\"; did you mean token?"),
        ("{token: }", "auth.token: is empty; write a value or remove the key"),
        ("{token: ''}", "auth.token: is empty; write a value or remove the key"),
        (
            "{token: Bearer x}",
            "auth.token: contains white space; write the token alone, \
                               without Bearer or line breaks",
        ),
        ("{token: tökén}", "auth.token: contains a character that no token has; copy it again"),
        (
            "{token_env: NO_TOKEN}",
            "auth.token_env: the environment variable NO_TOKEN is not set; \
                                   set it to the token",
        ),
        (
            "{token_env: EMPTY_TOKEN}",
            "auth.token_env: the environment variable EMPTY_TOKEN is empty",
        ),
        (
            "{token_env: SPACED_TOKEN}",
            "auth.token_env: the environment variable SPACED_TOKEN \
            contains white space; write the token alone, without Bearer or line breaks",
        ),
    ] {
        let text = format!("accounts:\n- {{name: acme, users: [{{id: '1'}}], auth: {auth}}}");
        let found = problems(&text);
        assert_eq!(found.split_once("\"acme\": ").unwrap().1, reported, "{auth}");
    }
}

#[test]
fn text_that_is_no_yaml_is_reported_with_its_place() {
    for (text, reported) in [
        ("", "config.yaml: is empty; list accounts in it, accounts: [{name: …, auth: …}]"),
        (
            "# nothing\n",
            "config.yaml: is empty; list accounts in it, accounts: [{name: …, auth: …}]",
        ),
        (
            "a: b\n\tc: d\n",
            "config.yaml:2:1: is not YAML: found a tab character that violates \
                            indentation, while scanning a plain scalar at line 1 column 4",
        ),
        (
            "a: [1\nb: 2",
            "config.yaml:2:2: is not YAML: did not find expected ',' or ']', \
                         while parsing a flow sequence at line 1 column 4",
        ),
        ("a: b: c", "config.yaml:1:5: is not YAML: mapping values are not allowed in this context"),
        ("a: *b", "config.yaml:1:4: is not YAML: unknown anchor"),
        (
            "a: 1\n---\nb: 2\n",
            "config.yaml:3:1: starts a second document; keep one, without a further ---",
        ),
        (
            "a: 1\nb: !secret x",
            "config.yaml:2:4: has a tag (!…), which means nothing here; remove the tag",
        ),
        ("a: !!int x", "config.yaml:1:4: the value does not fit its tag (!!…); remove the tag"),
        (
            "a: 1\nbé: \u{7}",
            "config.yaml:2:5: the character U+0007 is not allowed in YAML; remove it",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), reported, "{text:?}");
    }
}

#[test]
fn other_encodings_are_reported_with_their_place() {
    let error = parse(b"a: b\nc: \xff", Path::new("c.yaml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "c.yaml:2:4: is not UTF-8 from byte 8 on; save the file as UTF-8"
    );
}

#[test]
fn nesting_and_aliases_have_bounds() {
    let deep = format!("a: {}{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(
        problems(&deep),
        "1:35: is nested too deeply; no key of the configuration needs that"
    );
    let large =
        "is too large once its aliases are followed; split it into files or use fewer aliases";
    let open = "{a: ".repeat(100_000);
    assert_eq!(
        problems(&open),
        "1:40001: is nested too deeply; no key of the configuration needs that"
    );
    let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned()];
    bomb.extend((1..20).map(|level| {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{aliases}]\n")
    }));
    let bomb = bomb.concat();
    assert!(problems(&bomb).ends_with(large), "{}", problems(&bomb));
    let long = "x".repeat(1 << 20);
    let heavy = format!("a: &a {long}\nb: [{}]", vec!["*a"; 10_000].join(", "));
    assert!(problems(&heavy).ends_with(large), "{}", problems(&heavy));
    assert!(
        problems("a: &a [*a]")
            .ends_with("is nested too deeply; no key of the configuration needs that")
    );
}

#[test]
fn problems_beyond_the_first_fifty_are_counted() {
    let users = (0..60).map(|_| "{nmae: x}").collect::<Vec<_>>().join(", ");
    let error = read(&format!("accounts: [{{name: a, auth: {{token: t}}, users: [{users}]}}]"));
    let error = error.unwrap_err();
    assert_eq!(error.problems.len(), 50);
    assert_eq!(error.more, 70);
    assert!(error.to_string().ends_with("\nand 70 more"));
}
