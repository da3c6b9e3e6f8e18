//! Files: account files, token files, and who else may touch them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::config::reload;

/// A folder with files of a configuration; messages name it `DIR`.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text, 0o600);
        }
        folder
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        load(&self.path("c.yaml"), Permissions::default())
    }

    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "DIR")
    }

    pub(super) fn problems(&self) -> String {
        let reported = match self.load() {
            Ok(config) => config.broken().unwrap(),
            Err(reported) => reported,
        };
        self.hide(&reported.to_string())
    }

    fn warnings(&self) -> Vec<String> {
        let config = self.load().unwrap();
        config.warnings.iter().map(|warning| self.hide(&warning.to_string())).collect()
    }
}

fn account(name: &str, auth: &str) -> String {
    format!("accounts:\n- {{name: {name}, users: [{{id: '1'}}], auth: {{{auth}}}}}\n")
}

/// The problems of a token file named in an account file.
fn told_of_account_file(folder: &Folder, token_file: &str) -> String {
    folder.write("a.yaml", &account("b", &format!("token_file: {token_file}")), 0o600);
    folder.problems().replace("DIR/a.yaml:2:52: accounts[0] \"b\": auth.token_file: ", "")
}

#[test]
fn account_files_are_read_in_sorted_order_once_each() {
    let main = "account_files: ['d/*.yaml', d/b.yaml]\n";
    let (a, b) = (account("a", "token: t"), account("b", "token: t"));
    let hidden = "nonsense";
    let folder =
        Folder::new(&[("c.yaml", main), ("d/b.yaml", &b), ("d/a.yaml", &a), ("d/.x.yaml", hidden)]);
    let config = folder.load().unwrap();
    let names: Vec<_> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.hash, crate::schedule::fnv1a(format!("{main}{a}{b}").as_bytes()));
}

#[test]
fn a_missing_file_is_an_error_and_a_pattern_without_match_a_warning() {
    let folder = Folder::new(&[("c.yaml", &format!("account_files: [d/x.yaml]\n{ACME}"))]);
    assert_eq!(
        folder.problems(),
        "DIR/d/x.yaml: cannot be read: No such file or directory (os error 2)"
    );
    folder.write("c.yaml", &format!("account_files: ['d/*.yaml']\n{ACME}"), 0o600);
    assert_eq!(
        folder.warnings(),
        [
            "DIR/c.yaml:1:17: account_files[0]: matches no file, so no account comes from it",
            "DIR/c.yaml:2:39: accounts[0] \"acme\": auth.token: holds a token itself; \
             token_file or token_env keeps it out",
        ]
    );
    folder.write("c.yaml", "account_files: ['d/*.yaml']\n", 0o600);
    assert_eq!(folder.warnings().len(), 1);
    folder.write("c.yaml", "account_files: []\n", 0o600);
    assert_eq!(
        folder.problems(),
        "DIR/c.yaml:1:1: configures no account; list one under accounts, \
         or in a file that account_files names"
    );
}

#[test]
fn what_cannot_be_an_account_file_is_reported() {
    let folder = Folder::new(&[
        ("c.yaml", "account_files: [d, '*.yaml', 'a[', a.yaml, 7]\n"),
        ("a.yaml", "poll: {}\nacounts: []\n"),
        ("b.yaml", ""),
        ("e.yaml", "labels: {}\n"),
        ("f.yaml", "{}\n"),
        ("d/x", ""),
    ]);
    assert_eq!(
        folder.problems(),
        "\
DIR/c.yaml:1:30: account_files[2]: is not a pattern: invalid range pattern
DIR/c.yaml:1:44: account_files[4]: is a number where text is wanted; quote it (\"7\"), \
because YAML would turn 007 or 0x1F into something else
DIR/a.yaml:1:1: unknown key \"poll\"; known here: accounts
DIR/b.yaml: is empty; list accounts in it, accounts: [{name: …, auth: …}]
DIR/c.yaml: is the main file itself; narrow the pattern
DIR/d: is not a regular file
DIR/e.yaml:1:1: unknown key \"labels\"; known here: accounts
DIR/f.yaml:1:1: has no accounts; an account file holds that list and nothing else"
    );
}

#[test]
fn of_a_pattern_files_are_counted_and_not_folders() {
    let folder = Folder::new(&[
        ("c.yaml", "account_files: ['d/*/a.yaml']\n"),
        ("d/0/a.yaml", &account("a", "token: t")),
    ]);
    for number in 1..=10_000 {
        fs::create_dir(folder.path(&format!("d/{number}"))).unwrap();
    }
    assert_eq!(folder.load().unwrap().accounts.len(), 1);
    folder.write("c.yaml", "account_files: ['d/*']\n", 0o600);
    assert_eq!(folder.problems(), "DIR/d: has more than 10000 files of the pattern; narrow it");
}

#[test]
fn names_are_unique_over_all_files() {
    let folder = Folder::new(&[
        ("c.yaml", &format!("account_files: [a.yaml]\n{ACME}")),
        ("a.yaml", &account("acme", "token: t")),
    ]);
    assert_eq!(
        folder.problems(),
        "DIR/a.yaml:2:10: accounts[0] \"acme\": name: is the name of two accounts; \
         rename one of them; the other one is at DIR/c.yaml:2:19"
    );
}

#[test]
fn a_token_file_is_checked_but_not_kept() {
    let folder = Folder::new(&[("c.yaml", &account("a", "token_file: s/t")), ("s/t", " t0k3n\n")]);
    let config = folder.load().unwrap();
    let Auth::TokenFile(path) = &config.accounts[0].auth else { panic!("a file") };
    assert_eq!(path, &folder.path("s/t"));
    assert_eq!(config.warnings, []);
    for (text, mode, reported) in [
        ("t", 0o604, "is open to every user of the host (mode 604); chmod 600 DIR/s/t"),
        ("t", 0o602, "is open to every user of the host (mode 602); chmod 600 DIR/s/t"),
        ("\n", 0o600, "holds a token that is empty"),
        ("tö", 0o600, "holds a token that contains a character that no token has; copy it again"),
        (&"t".repeat(70_000), 0o600, "is too large to hold a token and nothing else"),
    ] {
        folder.write("s/t", text, mode);
        let place = "DIR/c.yaml:2:52: accounts[0] \"a\": auth.token_file: DIR/s/t";
        assert_eq!(folder.problems(), format!("{place} {reported}"));
    }
    for (path, reported) in [
        ("s/u", "DIR/s/u cannot be read: No such file or directory (os error 2)"),
        ("s", "DIR/s is not a regular file"),
        ("pasted-t0k3n", "the file cannot be read: No such file or directory (os error 2)"),
    ] {
        folder.write("c.yaml", &account("a", &format!("token_file: {path}")), 0o600);
        let place = "DIR/c.yaml:2:52: accounts[0] \"a\": auth.token_file:";
        assert_eq!(folder.problems(), format!("{place} {reported}"));
    }
}

#[test]
fn account_files_reach_no_secret_but_their_own() {
    let main = format!("account_files: [a.yaml]\nsecrets_dir: s\n{ACME}");
    let folder = Folder::new(&[("c.yaml", &main), ("s/a/t", "t"), ("out", "t"), ("s/b/t", "t")]);
    folder.write("s/t", "t", 0o600);
    folder.write("s/ab/t", "t", 0o600);
    symlink(folder.path("out"), folder.path("s/a/link-out")).unwrap();
    symlink(folder.path("s/a/t"), folder.path("link-in")).unwrap();
    symlink(folder.path("s/b/t"), folder.path("s/a/link-within")).unwrap();
    let outside = "must lie below DIR/s/a; move the file there";
    for file in [
        "out",
        "/etc/passwd",
        "s/t",
        "s/b/t",
        "s/ab/t",
        "s/a/../b/t",
        "s/a/../../out",
        "s/a/link-out",
        "link-in",
        "s",
        "../none",
    ] {
        assert_eq!(told_of_account_file(&folder, file), outside, "{file}");
    }
    let reported = told_of_account_file(&folder, "s/a/none");
    assert_eq!(reported, "DIR/s/a/none cannot be read: No such file or directory (os error 2)");
    assert_eq!(told_of_account_file(&folder, "s/a"), "DIR/s/a is not a regular file");
    // Kubernetes mounts each file as a link through a folder of its own.
    for file in ["s/a/t", "./x/../s/a/t", "s/a/link-within"] {
        folder.write("a.yaml", &account("b", &format!("token_file: {file}")), 0o600);
        assert_eq!(folder.load().unwrap().broken(), None, "{file}");
    }
}

#[test]
fn a_secrets_dir_may_be_a_link_and_is_needed() {
    let folder = Folder::new(&[
        ("c.yaml", "account_files: [a.yaml]\nsecrets_dir: link\n"),
        ("real/a/t", "t"),
        ("a.yaml", &account("b", "token_file: real/a/t")),
    ]);
    assert_eq!(
        folder.problems(),
        "DIR/a.yaml:2:52: accounts[0] \"b\": auth.token_file: must lie below DIR/link/a, \
         but secrets_dir, DIR/link, is not usable: No such file or directory (os error 2)"
    );
    symlink(folder.path("real"), folder.path("link")).unwrap();
    assert_eq!(folder.load().unwrap().broken(), None);
    folder.write("c.yaml", "account_files: [a.yaml]\n", 0o600);
    assert_eq!(
        folder.problems(),
        "DIR/a.yaml:2:52: accounts[0] \"b\": auth.token_file: needs secrets_dir in the main file, \
         a directory that holds the file"
    );
}

#[test]
fn account_files_reach_no_environment() {
    let folder = Folder::new(&[
        ("c.yaml", "account_files: [a.yaml]\n"),
        ("a.yaml", &account("b", "token_env: PATH")),
    ]);
    assert_eq!(
        folder.problems(),
        "DIR/a.yaml:2:51: accounts[0] \"b\": auth.token_env: works only in the main file; \
         use token_file below secrets_dir, or token"
    );
}

fn with_ca(name: &str, ca_file: &str) -> String {
    account(name, "token: t").replace(", auth", &format!(", tls: {{ca_file: {ca_file}}}, auth"))
}

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
}

#[test]
fn authorities_are_read_at_load_and_checked() {
    let folder = Folder::new(&[("c.yaml", &with_ca("a", "d/ca.pem")), ("d/ca.pem", "")]);
    folder.write("d/ca.pem", &format!("{}{}", certificate(), certificate()), 0o644);
    let config = folder.load().unwrap();
    assert_eq!(config.accounts[0].tls.ca.as_ref().unwrap().certificates().count(), 2);
    let place = "DIR/c.yaml:2:48: accounts[0] \"a\": tls.ca_file: DIR/d/ca.pem";
    for (text, mode, reported) in [
        ("", 0o644, "holds no certificate in PEM, -----BEGIN CERTIFICATE-----"),
        ("t", 0o646, "can be changed by every user of the host (mode 646); chmod o-w DIR/d/ca.pem"),
    ] {
        folder.write("d/ca.pem", text, mode);
        assert_eq!(folder.problems(), format!("{place} {reported}"));
    }
    fs::remove_file(folder.path("d/ca.pem")).unwrap();
    let missing = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(folder.problems(), format!("{place} {missing}"));
}

#[test]
fn account_files_name_authorities_only_below_secrets_dir() {
    let folder = Folder::new(&[
        ("c.yaml", "account_files: [a.yaml]\nsecrets_dir: s\n"),
        ("out.pem", &certificate()),
        ("s/a/in.pem", &certificate()),
    ]);
    folder.write("a.yaml", &with_ca("b", "s/a/in.pem"), 0o600);
    assert_eq!(folder.load().unwrap().broken(), None);
    for file in ["out.pem", "/etc/shadow", "s/../out.pem"] {
        folder.write("a.yaml", &with_ca("b", file), 0o600);
        assert_eq!(
            folder.problems(),
            "DIR/a.yaml:2:48: accounts[0] \"b\": tls.ca_file: must lie below DIR/s/a; \
             move the file there"
        );
    }
}

#[test]
fn the_password_of_a_proxy_counts_as_a_secret_of_the_file() {
    let proxied = |proxy: &str| {
        account("a", "token_file: s").replace(", auth", &format!(", proxy_url: '{proxy}', auth"))
    };
    let folder = Folder::new(&[("s", "t")]);
    folder.write("c.yaml", &proxied("http://user:pass@proxy"), 0o660);
    let reported = "DIR/c.yaml: holds a secret and can be changed by others than its owner";
    assert_eq!(folder.problems(), format!("{reported} (mode 660); chmod go-w DIR/c.yaml"));
    folder.write("c.yaml", &proxied("http://proxy"), 0o660);
    folder.load().unwrap();
}

#[test]
fn a_file_with_a_token_belongs_to_its_owner() {
    let folder = Folder::new(&[]);
    let literal = "DIR/c.yaml:1:39: accounts[0] \"acme\": auth.token: holds a token itself; \
                   token_file or token_env keeps it out";
    folder.write("c.yaml", ACME, 0o640);
    assert_eq!(folder.warnings(), [literal]);
    folder.write("c.yaml", ACME, 0o644);
    let readable = "DIR/c.yaml: holds a secret and can be read by every user of the host (mode 644); \
         chmod o-r DIR/c.yaml";
    assert_eq!(folder.warnings(), [readable, literal]);
    for mode in [0o620, 0o602] {
        folder.write("c.yaml", ACME, mode);
        let reported = "DIR/c.yaml: holds a secret and can be changed by others than its owner";
        assert_eq!(
            folder.problems(),
            format!("{reported} (mode {mode:03o}); chmod go-w DIR/c.yaml")
        );
    }
    folder.write("s", "t", 0o600);
    folder.write("c.yaml", &account("a", "token_file: s"), 0o664);
    assert_eq!(folder.warnings(), [""; 0]);
    folder.write("c.yaml", &account("a", "token_file: s"), 0o666);
    assert_eq!(
        folder.warnings(),
        ["DIR/c.yaml: can be changed by every user of the host, who could have the tokens sent \
          elsewhere (mode 666); chmod o-w DIR/c.yaml"]
    );
}

#[test]
fn many_tokens_in_one_file_are_one_warning() {
    let list = "- {name: a, users: [{id: '1'}], auth: {token: t}}\n\
                - {name: b, users: [{id: '1'}], auth: {token: t}}\n";
    let folder = Folder::new(&[("c.yaml", &format!("accounts:\n{list}"))]);
    assert_eq!(folder.warnings().len(), 1);
}

#[test]
fn a_file_without_end_is_not_read_to_it() {
    let reported = load(Path::new("/dev/zero"), Permissions::default()).unwrap_err().to_string();
    assert_eq!(reported, "/dev/zero: is larger than 16 MiB; split it with account_files");
}

#[test]
fn a_main_file_that_cannot_be_read_is_reported() {
    let folder = Folder::new(&[]);
    let reported = "DIR/c.yaml: cannot be read: No such file or directory (os error 2)";
    assert_eq!(folder.problems(), reported);
    fs::create_dir(folder.path("c.yaml")).unwrap();
    assert_eq!(folder.problems(), "DIR/c.yaml: cannot be read: Is a directory (os error 21)");
}

#[test]
fn accounts_and_users_that_stay_the_same_are_those_that_run() {
    let one = "{name: one, auth: {token: a}, users: [{id: '1', name: Eins}, {id: '2'}, \
               {id: '3', labels: {team: x}}, {id: '4', name: Vier}]}";
    let two = "{name: two, auth: {token: b}, users: [{id: '1', name: Eins}]}";
    let folder = Folder::new(&[("c.yaml", &format!("accounts: [{one}, {two}]"))]);
    let earlier = folder.load().unwrap();
    let changed = one.replace("Vier", "Four").replace("{id: '2'}, ", "").replace("a}", "c}");
    folder.write("c.yaml", &format!("accounts: [{two}, {changed}]"), 0o600);
    let running = Running { config: Some(&earlier), check: &|_| Ok(()) };
    let later = reload(&folder.path("c.yaml"), Permissions::default(), &running).unwrap();
    assert_eq!(later.accounts, folder.load().unwrap().accounts);
    let account = |config: &Config, name| Arc::clone(config.account(name).unwrap());
    assert!(Arc::ptr_eq(&account(&earlier, "two"), &account(&later, "two")));
    let (earlier, later) = (account(&earlier, "one"), account(&later, "one"));
    let runs = |user| earlier.users.iter().any(|running| Arc::ptr_eq(running, user));
    assert_eq!(later.users.iter().map(runs).collect::<Vec<_>>(), [true, true, false]);
}
