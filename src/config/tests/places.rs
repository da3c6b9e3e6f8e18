//! Where problems are, and that one run finds them all.

use super::*;

const UNUSUAL: &str = "has a tag (!…), a merge key (<<) or an alias (*…) without its anchor (&…) before it, \
                       which do not work here; write the value itself";

#[test]
fn one_run_finds_every_problem_at_its_line() {
    let text = "\
poll: {interval: 1x, timeout: 0s}
max_in_flight: lots
accounts:
- name: acme
  auth: {token: t, token_env: ACME_TOKEN}
  users:
  - id: 7
  - {name: Anna}
  - {id: 'a'}
  - {id: 'a'}
- name: acme
  labels: {job: x, team: 1}
  working_hours:
";
    assert_eq!(
        problems(text),
        "\
1:18: poll.interval: is not a duration; write 30s, 1m30s, 200ms or 2h
1:31: poll.timeout: is 0s; it must be from 10ms to 10m
2:16: max_in_flight: must be a whole number from 1 to 65536, unquoted
5:31: accounts[0] \"acme\": auth.token_env: is one token too many; keep exactly one of token, \
token_env, token_file, token_command, partner and oauth
7:9: accounts[0] \"acme\": users[0].id: is a number where text is wanted; quote it (\"7\"), \
because YAML would turn 007 or 0x1F into something else
8:5: accounts[0] \"acme\": users[1]: has no id; write the user's id in the CRM, id: \"1\"
10:10: accounts[0] \"acme\": users[3].id: is the id of two users of the account; remove one; \
the other one is at config.yaml:9:10
11:3: accounts[1] \"acme\": has no auth; say where its token comes from: token_file, token_env, partner …
11:3: accounts[1] \"acme\": has no users; list the CRM users to poll, - id: \"1\", or switch on discover_users
11:9: accounts[1] \"acme\": name: is the name of two accounts; rename one of them; \
the other one is at config.yaml:4:9
12:12: accounts[1] \"acme\": labels.job: is a label that the exporter or Prometheus sets itself; \
choose another name
12:26: accounts[1] \"acme\": labels.team: is a number where text is wanted; quote it (\"7\"), \
because YAML would turn 007 or 0x1F into something else
13:16: accounts[1] \"acme\": working_hours: has no timezone; write a name of the IANA database, Asia/Almaty
13:16: accounts[1] \"acme\": working_hours: has no days; write mon-fri, or mon,wed,fri
13:16: accounts[1] \"acme\": working_hours: has no from; write a time of day, \"09:00\"
13:16: accounts[1] \"acme\": working_hours: has no to; write a time of day, \"18:00\""
            .replace("config.yaml:", "")
    );
}

#[test]
fn of_a_file_that_is_no_configuration_the_first_problem_is_reported() {
    let mapping = "must be a mapping, keys with a value each: {key: value}";
    let list = "must be a list: [one, two]";
    let unknown =
        "known here: poll, max_in_flight, export, account_files, secrets_dir, partners, accounts";
    for (text, reported) in [
        ("text", format!("1:1: {mapping}")),
        ("- 1", format!("1:1: {mapping}")),
        ("poll: x\naccounts: {}", format!("1:7: {mapping}")),
        ("accounts: {}", format!("1:11: {list}")),
        ("accounts: [x]", format!("1:12: {mapping}")),
        ("accounts: []", "1:1: configures no account; list one under accounts, or in a file that account_files names".to_owned()),
        ("{}", "1:1: configures no account; list one under accounts, or in a file that account_files names".to_owned()),
        ("7: c", format!("1:1: unknown key \"7\"; {unknown}")),
        ("? [a]\n: b", "1:3: must be a single value, no list and no mapping".to_owned()),
        ("pol: {}\nexports: {}", "1:1: unknown key \"pol\"; did you mean poll?".to_owned()),
        ("s3cr3tToken: x", format!("1:1: unknown key; {unknown}")),
        ("export: {profile: full, profile: full}", "1:25: profile is given twice; remove one of them".to_owned()),
        ("export: {s3cr3tT: full, s3cr3tT: full}", "1:10: unknown key; known here: user_names, channel_names, profile".to_owned()),
        ("poll: &p {}\nexport: {<<: *p}", format!("2:10: {UNUSUAL}")),
    ] {
        assert_eq!(problems(text), reported, "{text}");
    }
}

#[test]
fn wrong_parts_of_an_account_are_reported() {
    let mapping = "must be a mapping, keys with a value each: {key: value}";
    for (yaml, reported) in [
        ("labels: x", format!("5:11: {mapping}")),
        ("labels: {a-b: x}", "labels.a-b: is not a label name: letters, digits and _ only, not starting with a digit".to_owned()),
        ("account_id: 78231464", "account_id: is a number where text is wanted; quote it (\"7\"), \
            because YAML would turn 007 or 0x1F into something else".to_owned()),
        ("account_id: '782'", "account_id: is not an account number: eight digits, also written 7823-1464".to_owned()),
        ("account_id:", "account_id: is empty; write a value or remove the key".to_owned()),
        ("labels: {team: ''}", "labels.team: is empty; write a value or remove the key".to_owned()),
        ("Labels: {}", "5:3: unknown key; did you mean labels?".to_owned()),
        (
            "region: x",
            "5:3: unknown key \"region\"; known here: name, api, account_id, base_url, \
             allow_insecure_http, auth, rate_limit, tls, proxy_url, poll, labels, working_hours, users, \
             discover_users, channels, reset".to_owned(),
        ),
    ] {
        assert_eq!(account_problem(yaml), reported, "{yaml}");
    }
    let none = "users: lists no user; list the CRM users to poll, - id: \"1\", or switch on discover_users";
    for (users, reported) in [
        ("[]", none.to_owned()),
        ("", none.to_owned()),
        ("'1'", "2:41: must be a list: [one, two]".to_owned()),
        ("['1']", format!("2:42: {mapping}")),
        ("[{id: ..}]", "users[0].id: is `.` or `..`, which a URL path cannot carry; give the id that the CRM uses".to_owned()),
        ("[{id: true}]", "users[0].id: is true or false where text is wanted; quote it (\"true\")".to_owned()),
        ("[{id: [s3cr3t]}]", "users[0].id: is a list where text is wanted".to_owned()),
        ("[{id: {s3cr3t: [x]}}]", "users[0].id: is a mapping where text is wanted".to_owned()),
        ("[{id: a, name: \"a\\nb\"}]", "users[0].name: contains a control character; remove it".to_owned()),
    ] {
        let text = format!("accounts:\n- {{name: acme, auth: {{token: t}}, users: {users}}}");
        let found = problems(&text);
        let found = found.split_once("\"acme\": ").map_or(found.as_str(), |(_, what)| what);
        assert_eq!(found, reported, "{users}");
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
        ("t", "2:42: must be a mapping, keys with a value each: {key: value}"),
        ("{tokn: t}", "2:43: unknown key \"tokn\"; did you mean token?"),
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
        let found = found.split_once("\"acme\": ").map_or(found.as_str(), |(_, what)| what);
        assert_eq!(found, reported, "{auth}");
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
        ("accounts: [1\nb: 2", "config.yaml:2:2: is not YAML: illegal placement of ':' indicator"),
        ("max_in_flight: [1, 2", "config.yaml:1:16: is not YAML: unclosed bracket '['"),
        ("poll: *b", &format!("config.yaml:1:7: {UNUSUAL}")),
        (
            "poll: {}\n---\nb: 2\n",
            "config.yaml:3:1: starts a second document; keep one, without a further ---",
        ),
        ("poll: {interval: !secret x}", &format!("config.yaml:1:26: {UNUSUAL}")),
        ("max_in_flight: !!int x", &format!("config.yaml:1:22: {UNUSUAL}")),
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
    let large = "is too large or nested too deeply once its aliases are followed; split it into files or \
                 use fewer aliases";
    let within =
        |count: usize| format!("max_in_flight: {}{}", "[".repeat(count), "]".repeat(count));
    for count in [32, 200] {
        assert_eq!(problems(&within(count)), format!("1:47: {large}"));
    }
    assert_eq!(problems(&within(100_000)), "1:271: is not YAML: recursion limit exceeded");
    let blocks = (0..100).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    assert!(problems(&format!("max_in_flight:\n{}", blocks.replace('a', " a"))).ends_with(large));
    let mut bomb = vec!["accounts:\n- - &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned()];
    bomb.extend((1..20).map(|level| {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("  - &a{level} [{aliases}]\n")
    }));
    let bomb = bomb.concat().replace("accounts:\n- ", "max_in_flight:\n  ");
    assert!(problems(&bomb).ends_with(large), "{}", problems(&bomb));
    let long = "x".repeat(1 << 20);
    let heavy = format!("max_in_flight: [&a {long}, {}]", vec!["*a"; 1_000_000].join(", "));
    assert!(problems(&heavy).ends_with(large), "{}", problems(&heavy));
}

#[test]
fn hostile_files_are_answered_in_time() {
    for text in [
        "%TAG !a! tag:example.com,2000:\n".repeat(30_000),
        "- ".repeat(500_000),
        "? ".repeat(500_000),
        "{".repeat(1_000_000),
        "max_in_flight: ".to_owned() + &"&a ".repeat(300_000),
        "max_in_flight: \"".to_owned() + &"\\".repeat(1_000_000),
        "a".repeat(8 << 20) + ": 1",
        "accounts:\n".to_owned() + &"- {}\n".repeat(2_000),
    ] {
        assert!(read(&text).is_err());
    }
}

#[test]
fn a_hundred_thousand_users_are_read() {
    let users: Vec<_> = (0..100_000).map(|id| format!("  - {{id: \"{id}\"}}\n")).collect();
    let users = users.concat();
    let text = format!(
        "poll: {{interval: 1h}}\naccounts:\n- name: acme\n  auth: {{token: t}}\n  users:\n{users}"
    );
    assert_eq!(read(&text).unwrap().accounts[0].users.len(), 100_000);
}

#[test]
fn problems_beyond_the_first_fifty_are_counted() {
    let users = (0..60).map(|_| "{name: x}").collect::<Vec<_>>().join(", ");
    let error = read(&format!("accounts: [{{name: a, auth: {{token: t}}, users: [{users}]}}]"));
    let error = error.unwrap_err();
    assert_eq!(error.problems.len(), 50);
    assert_eq!(error.more, 10);
    assert!(error.to_string().ends_with("\nand 10 more"));
}
