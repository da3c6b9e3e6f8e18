//! Account files: which of them come into use, and what a broken one costs.

use std::os::unix::fs::symlink;

use super::files::Folder;
use super::*;
use crate::config::reload;

const MAIN: &str = "account_files: ['d/*.yaml']\n";

fn account(name: &str, more: &str) -> String {
    format!(
        "accounts:\n- {{name: {name}, users: [{{id: '1'}}], auth: {{token: {name}-t}}{more}}}\n"
    )
}

/// The names of the accounts in use, and the paths of the broken files.
fn outcome(folder: &Folder, config: &Config) -> (String, String) {
    let names: Vec<_> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    let broken = config.files.iter().filter(|file| file.broken.is_some());
    let broken: Vec<_> =
        broken.map(|file| folder.hide(file.path.to_str().unwrap()).replace("DIR/", "")).collect();
    (names.join(" "), broken.join(" "))
}

/// Loads where `config` runs.
fn over(folder: &Folder, config: &Config) -> Config {
    let running = Running { config: Some(config), check: &|_| Ok(()) };
    reload(&folder.path("c.yaml"), Permissions::default(), &running).unwrap()
}

fn expect(folder: &Folder, config: &Config, names: &str, broken: &str) {
    let problems = config.broken().map(|error| error.to_string());
    assert_eq!(outcome(folder, config), (names.to_owned(), broken.to_owned()), "{problems:?}");
}

#[test]
fn a_broken_file_costs_its_own_accounts_and_keeps_those_that_run() {
    let folder = Folder::new(&[("c.yaml", MAIN), ("d/a.yaml", "acounts: []")]);
    folder.write("d/b.yaml", &account("b", ""), 0o600);
    let first = folder.load().unwrap();
    expect(&folder, &first, "b", "d/a.yaml");
    folder.write("d/a.yaml", &account("a", ""), 0o600);
    let good = over(&folder, &first);
    expect(&folder, &good, "a b", "");
    for text in ["accounts: [", "", &account("a", ", poll: {interval: 1}"), "accounts: [{name: x}]"]
    {
        folder.write("d/b.yaml", text, 0o600);
        let config = over(&folder, &good);
        expect(&folder, &config, "a b", "d/b.yaml");
        assert_eq!(config.accounts, good.accounts);
        assert_ne!(config.hash, good.hash, "a change is noticed");
    }
    std::fs::remove_file(folder.path("d/b.yaml")).unwrap();
    expect(&folder, &over(&folder, &good), "a", "");
    std::fs::create_dir(folder.path("d/b.yaml")).unwrap();
    expect(&folder, &over(&folder, &good), "a b", "d/b.yaml");
}

#[test]
fn a_broken_main_file_is_refused_with_everything_that_is_wrong() {
    let folder =
        Folder::new(&[("c.yaml", &format!("{MAIN}max_in_flight: 0\n")), ("d/a.yaml", "x: 1")]);
    let reported = folder.problems();
    assert!(
        reported.contains("c.yaml:2:16: max_in_flight: must be a whole")
            && reported.contains("d/a.yaml:1:1: unknown")
    );
    assert!(folder.load().is_err());
}

#[test]
fn a_folder_that_cannot_be_read_is_broken_and_its_files_stay() {
    let folder = Folder::new(&[("c.yaml", MAIN), ("d/a.yaml", &account("a", ""))]);
    let good = folder.load().unwrap();
    std::fs::rename(folder.path("d"), folder.path("aside")).unwrap();
    // Nothing is there any more, for certain.
    expect(&folder, &over(&folder, &good), "", "");
    // A link to itself: it is not known what is there. Permissions do not stop the root user of a test.
    symlink("d", folder.path("d")).unwrap();
    let config = over(&folder, &good);
    expect(&folder, &config, "a", "d d/a.yaml");
    let reported = folder.hide(&config.broken().unwrap().to_string());
    assert!(reported.starts_with("DIR/d: cannot be searched for account files: "), "{reported}");
    expect(&folder, &over(&folder, &config), "a", "d d/a.yaml");
    expect(&folder, &folder.load().unwrap(), "", "d");
}

#[test]
fn a_conflict_breaks_the_file_that_does_not_run_else_the_later_one() {
    let folder = Folder::new(&[("c.yaml", MAIN)]);
    folder.write("d/b.yaml", &account("x", ""), 0o600);
    let good = folder.load().unwrap();
    folder.write("d/a.yaml", &account("x", ""), 0o600);
    expect(&folder, &over(&folder, &good), "x", "d/a.yaml");
    expect(&folder, &folder.load().unwrap(), "x", "d/b.yaml");
    // The one that runs may change otherwise at the same time.
    folder.write("d/b.yaml", &account("x", ", labels: {k: v}"), 0o600);
    let config = over(&folder, &good);
    expect(&folder, &config, "x", "d/a.yaml");
    assert_eq!(config.accounts[0].labels.len(), 1);
    // The main file always wins, even over accounts that a broken file had.
    folder.write("c.yaml", &format!("{MAIN}{}", account("x", "")), 0o600);
    expect(&folder, &over(&folder, &good), "x", "d/a.yaml d/b.yaml");
    folder.write("d/b.yaml", "", 0o600);
    let config = over(&folder, &good);
    expect(&folder, &config, "x", "d/a.yaml d/b.yaml");
    let reported = config.broken().unwrap().to_string();
    assert!(reported.contains("\"x\": is polled no more, because the main file, or"), "{reported}");
}

#[test]
fn accounts_that_a_broken_file_keeps_stand_in_the_way_of_others() {
    let folder = Folder::new(&[("c.yaml", &format!("{MAIN}{}", account("main", "")))]);
    folder.write("d/a.yaml", &account("w", ""), 0o600);
    folder.write("d/b.yaml", &account("x", ""), 0o600);
    let good = folder.load().unwrap();
    // Names that change hands are fine as long as everybody takes part.
    folder.write("d/a.yaml", &account("x", ""), 0o600);
    folder.write("d/b.yaml", &account("w", ""), 0o600);
    expect(&folder, &over(&folder, &good), "main x w", "");
    // The second one breaks at the main file, keeps its name, and so the first one cannot have it.
    folder.write("d/b.yaml", &account("main", ""), 0o600);
    expect(&folder, &over(&folder, &good), "main w x", "d/a.yaml d/b.yaml");
}

#[test]
fn numbers_budgets_and_names_of_files_are_in_conflict_too() {
    let number = ", account_id: '78231464'";
    let shared = |users: usize| format!(", discover_users: {{enabled: true, max_users: {users}}}");
    let token = |text: String| {
        text.replace("-t}", "}").replace("token: a", "token: z").replace("token: b", "token: z")
    };
    for (a, b, what) in [
        (
            account("a", number),
            account("b", number),
            "is the number of two accounts at the same base_url",
        ),
        (
            token(account("a", &shared(1500))),
            token(account("b", &shared(1500))),
            "have the same token",
        ),
        (
            token(account("a", "")),
            token(account("b", ", rate_limit: {requests: 100}")),
            "rate_limit differs from that of \"a\"",
        ),
    ] {
        let folder = Folder::new(&[("c.yaml", MAIN), ("d/a.yaml", &a), ("d/b.yaml", &b)]);
        let config = folder.load().unwrap();
        expect(&folder, &config, "a", "d/b.yaml");
        let reported = folder.hide(&config.broken().unwrap().to_string());
        assert!(reported.starts_with("DIR/d/b.yaml:2:") && reported.contains(what), "{reported}");
        let both = format!("{a}{}", b.replace("accounts:\n", ""));
        folder.write("c.yaml", &both, 0o600);
        assert!(folder.problems().contains(what), "in one file");
    }
    let folder = Folder::new(&[("c.yaml", "account_files: ['*/*.y*ml']\n")]);
    folder.write("d/a.yaml", &account("a", ""), 0o600);
    folder.write("e/a.yml", &account("b", ""), 0o600);
    expect(&folder, &folder.load().unwrap(), "a", "e/a.yml");
    folder.write("d/...yaml", &account("c", ""), 0o600);
    folder.write("c.yaml", "account_files: ['d/*.yaml', d/...yaml]\n", 0o600);
    expect(&folder, &folder.load().unwrap(), "a", "d/...yaml");
}

#[test]
fn an_account_file_cannot_raise_what_one_account_may_take() {
    let poll = |keys: &str| account("a", &format!(", poll: {{{keys}}}"));
    for (keys, what) in [
        ("concurrency: 17", "poll.concurrency: is 17; it must be from 1 to 16"),
        ("timeout: 61s", "poll.timeout: is 1m1s; it must be from 10ms to 1m"),
    ] {
        let folder = Folder::new(&[("c.yaml", MAIN), ("d/a.yaml", &poll(keys))]);
        assert!(folder.problems().contains(what), "{}", folder.problems());
        folder.write("c.yaml", &poll(keys), 0o600);
        folder.load().unwrap();
        folder.write(
            "c.yaml",
            &format!("poll: {{concurrency: 20, timeout: 2m, stale_after: 10m}}\n{MAIN}"),
            0o600,
        );
        assert_eq!(folder.load().unwrap().broken(), None, "what the main file sets for all");
    }
}

#[test]
fn a_partner_is_lent_to_account_files_by_the_main_file_alone() {
    let own = "accounts: [{name: a, account_id: '78231464', auth: {partner: main}, users: [{id: '1'}]}]\n";
    let folder =
        Folder::new(&[("password", "p"), ("d/a.yaml", own), ("s/a/reset", &"r".repeat(32))]);
    let main = |allow: &str| {
        format!(
            "partners: {{main: {{email: p, password_file: password{allow}}}}}\nsecrets_dir: s\n{MAIN}"
        )
    };
    folder.write("c.yaml", &main(""), 0o600);
    let reported = folder.problems();
    assert!(
        reported.contains("auth.partner: names no partner that account files may use"),
        "{reported}"
    );
    let allow = ", allow_account_files: true";
    folder.write("c.yaml", &main(allow), 0o600);
    let good = folder.load().unwrap();
    expect(&folder, &good, "a", "");
    let reset = own.replace("users", "reset: {enabled: true, token_file: ../s/a/reset}, users");
    folder.write("d/a.yaml", &reset, 0o600);
    let reported = folder.problems();
    assert!(
        reported.contains("reset: works in an account file only for an account with a credential")
    );
    expect(&folder, &over(&folder, &good), "a", "d/a.yaml");
    folder.write("d/a.yaml", &reset.replace("partner: main", "token: t"), 0o600);
    assert_eq!(folder.load().unwrap().broken(), None);
    // What the main file takes back is gone, whatever state the account file is in.
    folder.write("c.yaml", &main(""), 0o600);
    folder.write("d/a.yaml", own, 0o600);
    expect(&folder, &over(&folder, &good), "", "d/a.yaml");
}

#[test]
fn kept_accounts_obey_what_is_exported() {
    let named = account("a", "").replace("{id: '1'}", "{id: '1', name: Anna}");
    let folder = Folder::new(&[("c.yaml", MAIN), ("d/a.yaml", &named)]);
    let good = folder.load().unwrap();
    assert!(good.accounts[0].users[0].name.is_some());
    folder.write("c.yaml", &format!("export: {{user_names: false}}\n{MAIN}"), 0o600);
    folder.write("d/a.yaml", "", 0o600);
    let config = over(&folder, &good);
    expect(&folder, &config, "a", "d/a.yaml");
    assert_eq!(config.accounts[0].users[0].name, None);
}

#[test]
fn what_cannot_be_polled_breaks_its_file() {
    let folder = Folder::new(&[("c.yaml", MAIN), ("d/a.yaml", &account("a", ""))]);
    folder.write("d/b.yaml", &account("b", ""), 0o600);
    let check = |account: &crate::account::Account| match account.name.as_str() {
        "b" => Err("cannot be".to_owned()),
        _ => Ok(()),
    };
    let running = Running { config: None, check: &check };
    let load = || reload(&folder.path("c.yaml"), Permissions::default(), &running);
    let config = load().unwrap();
    expect(&folder, &config, "a", "d/b.yaml");
    let reported = folder.hide(&config.broken().unwrap().to_string());
    assert_eq!(reported, "DIR/d/b.yaml:2:3: accounts[0] \"b\": cannot be");
    folder.write("c.yaml", &account("b", ""), 0o600);
    assert!(load().is_err());
}
