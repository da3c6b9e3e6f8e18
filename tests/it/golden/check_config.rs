//! What `check-config` says of broken and of odd configurations, and what `/config` makes of the latter.
//!
//! The goldens hold the cases, too: from a line `=== TITLE` to the first `>>>` is what somebody wrote,
//! from there on what becomes of it. What is written is the main file, in `web.txt` the web
//! configuration; `+++ NAME MODE` begins another file, `$ FLAGS` adds to the command line, and
//! [`MARKS`] stand for what an editor does not show.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::methods::ask;
use super::super::support::exporter::{Exporter, config_flag};
use super::super::support::files::write_config;
use super::super::support::pki::Pki;
use super::{check, mask, outcome, program, section};

/// What stands for bytes that cannot be seen, and for an account that is as good as any, with or without
/// a token.
const MARKS: [(&str, &[u8]); 8] = [
    ("@GOOD", b"@OPEN, auth: {token_env: TOKEN}"),
    ("@OPEN", b"name: acme, base_url: \"http://127.0.0.1:9\", users: [{id: \"1\"}]"),
    ("@HASH", b"$2a$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie"),
    ("\u{2409}", b"\t"),
    ("\u{240d}", b"\r"),
    ("\u{2400}", b"\0"),
    ("\u{2426}", "\u{feff}".as_bytes()),
    ("\u{241a}", b"\xff"),
];

const GOOD: &str = "accounts: [{@GOOD}]\n";

/// What somebody wrote.
struct Case<'a> {
    text: &'a str,
    flags: Vec<&'a str>,
    /// Name, mode and content.
    files: Vec<(&'a str, u32, String)>,
}

impl<'a> Case<'a> {
    fn read(text: &'a str, main: &'static str) -> Self {
        let mut case = Self { text, flags: Vec::new(), files: vec![(main, 0o600, String::new())] };
        for line in text.lines().skip(1) {
            if let Some(flags) = line.strip_prefix("$ ") {
                case.flags.extend(flags.split(' '));
            } else if let Some(file) = line.strip_prefix("+++ ") {
                let (name, mode) = file.split_once(' ').unwrap_or((file, "600"));
                case.files.push((name, u32::from_str_radix(mode, 8).unwrap(), String::new()));
            } else {
                let content = &mut case.files.last_mut().unwrap().2;
                content.push_str(line);
                content.push('\n');
            }
        }
        case
    }

    fn write(&self, folder: &Path) {
        for (name, mode, content) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes(content)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        }
    }
}

/// The bytes that a text with marks stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (mark, meant) in MARKS {
        while let Some(at) = bytes.windows(mark.len()).position(|found| found == mark.as_bytes()) {
            bytes.splice(at..at + mark.len(), meant.iter().copied());
        }
    }
    bytes
}

/// What a daemon says it runs with, which nothing is read from.
async fn running(folder: &Path, flags: &[&str]) -> String {
    let mut command = program();
    command.arg(config_flag(&folder.join("config.yaml"))).args(flags).current_dir(folder);
    let daemon = Exporter::spawn(&mut command);
    let answer = ask(daemon.address, "GET", "/config", None).await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

/// The lines of one text that the other has not, with a sign.
fn lacks<'a>(sign: &'a str, one: &'a str, other: &'a str) -> impl Iterator<Item = String> + 'a {
    let known: Vec<&str> = other.lines().collect();
    one.lines()
        .filter(move |line| !known.contains(line))
        .map(move |line| format!("{sign} {line}\n"))
}

async fn check_all(name: &str, main: &'static str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/check-config").join(name);
    let golden = fs::read_to_string(golden).unwrap();
    let pki = Pki::new();
    let (mut report, mut usual) = (String::new(), String::new());
    for case in format!("\n{golden}").split("\n=== ").skip(1) {
        let written = case.split_once("\n>>> ").map_or(case, |(written, _)| written);
        let case = Case::read(written.trim_end_matches('\n'), main);
        let folder = tempfile::tempdir().unwrap();
        for file in ["server.crt", "server.key", "ca.crt"] {
            fs::copy(pki.path(file), folder.path().join(file)).unwrap();
        }
        write_config(folder.path(), std::str::from_utf8(&bytes(GOOD)).unwrap());
        case.write(folder.path());
        let mut check = program();
        let config = config_flag(&folder.path().join("config.yaml"));
        let web = format!("--web.config.file={}", folder.path().join("web.yml").display());
        check.args(["check-config", &config]).args(&case.flags).current_dir(folder.path());
        check.args((main == "web.yml").then_some(web));
        let output = check.output().unwrap();
        let known = [(folder.path().to_str().unwrap(), "DIR")];
        section(&mut report, case.text, &(">>> ".to_owned() + &outcome(&output, &known)));
        if output.status.success() && main != "web.yml" {
            let shown = mask(&running(folder.path(), &case.flags).await, &known);
            if usual.is_empty() {
                usual.clone_from(&shown);
                report.extend([">>> /config\n", &shown]);
            } else {
                let others = lacks("-", &usual, &shown).chain(lacks("+", &shown, &usual));
                report += ">>> /config, the first with\n";
                report.extend(others);
            }
        }
        report.push('\n');
    }
    check(&format!("check-config/{name}"), report.trim_end_matches('\n'));
}

macro_rules! goldens {
    ($($test:ident $file:literal $main:literal),*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            check_all($file, $main).await;
        }
    )*};
}

goldens! {
    syntax "syntax.txt" "config.yaml",
    scalars "scalars.txt" "config.yaml",
    values "values.txt" "config.yaml",
    files "files.txt" "config.yaml",
    web_configurations "web.txt" "web.yml"
}
