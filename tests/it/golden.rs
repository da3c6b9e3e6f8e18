//! Goldens: what the program shows, as files below `tests/golden`. A diff of them tells every change
//! of behaviour; `make goldens` writes them anew.
//!
//! They run the program and look at what comes out, so they know nothing of how it is built inside.
//! Each file is one output, or a table of small ones. [`mask`] takes out what differs between runs.

mod check_config;
mod command_line;
mod exposition;
mod http;
mod logs;
mod reset;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use regex::Regex;

use super::support::exporter::command;
use super::support::generated::{self, difference, writing};
use super::support::wait::until;

/// What differs between two runs, and the word that takes its place.
const VOLATILE: [(&str, &str); 9] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    // Seconds since 1970, of this decade and the next ones.
    (r"\b1[789]\d{8}(\.\d+)?\b", "<timestamp>"),
    // Those that the system gives; the usual ones of the program are below.
    (r"127\.0\.0\.1:[3-6]\d{4}\b", "127.0.0.1:<port>"),
    (r#"source(=|":")[\w/.-]+\.rs:\d+"#, "source$1<file>:<line>"),
    // Of resets and of configurations.
    (r"\b[0-9a-f]{16}\b", "<id>"),
    (r#"(\w+_for|\w+_micros|took|after_ms)(=|":"?)[0-9.]+(ms|µs|ns|s)?"#, "$1$2<duration>"),
    (r#"revision(: |="?|":")[0-9a-z]+"#, "revision$1<revision>"),
    (r"(rust version: +).*", "$1<version>"),
    (r"(platform: +).*", "$1<platform>"),
];

/// Takes out what differs between two runs: times, ports, durations, identifiers, places in the code,
/// the program's version, and what the caller knows to: `known` texts and their names.
fn mask(text: &str, known: &[(&str, &str)]) -> String {
    assert!(!text.contains("s3cr3t"), "a secret is shown: {text}");
    let named = |text: String, (found, name): &(&str, &str)| text.replace(found, name);
    let text = known.iter().fold(text.to_owned(), named);
    let text = text.replace(env!("CARGO_PKG_VERSION"), "<version>");
    VOLATILE.iter().fold(text, |text, (pattern, word)| {
        Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
    })
}

/// Compares a golden with what was shown.
fn check(name: &str, text: &str) {
    generated::check(Path::new("tests/golden").join(name), text, "make goldens");
}

/// Compares a golden with what is shown in the end, which may take a while.
async fn settles(name: &str, show: impl AsyncFn() -> String) {
    if writing() {
        return check(name, &settled(&show).await);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let golden = std::fs::read_to_string(file).unwrap_or_default();
    until(name, &[], async || {
        let text = show().await;
        if text == golden { Ok(()) } else { Err(difference(&golden, &text)) }
    })
    .await;
}

/// What does not change any more. It is not known yet what to wait for.
async fn settled(show: impl AsyncFn() -> String) -> String {
    let mut text = show().await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let earlier = std::mem::replace(&mut text, show().await);
        if text == earlier {
            break;
        }
    }
    text
}

/// The program in an environment that is the same everywhere, and from which nothing gets out.
fn program() -> Command {
    let mut program = command();
    program.env_clear().env("COLUMNS", "100").env("HTTPS_PROXY", "http://127.0.0.1:9");
    program.env("TOKEN", "s3cr3t");
    program
}

/// Adds a part with a title.
fn section(shown: &mut String, title: &str, text: &str) {
    shown.extend(["=== ", title, "\n", text]);
}

/// How a run ended and what it printed, each line with the number of its stream.
fn outcome(output: &Output, known: &[(&str, &str)]) -> String {
    let mut shown = format!("exit {}\n", output.status.code().unwrap());
    for (stream, bytes) in [("1", &output.stdout), ("2", &output.stderr)] {
        for line in mask(std::str::from_utf8(bytes).unwrap(), known).lines() {
            shown.extend([format!("{stream}| {line}").trim_end(), "\n"]);
        }
    }
    shown
}
