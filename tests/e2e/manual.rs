//! The man pages and the completions, as the programs take them that they are for.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::process::run;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn mandoc_finds_nothing_to_say_about_the_man_pages() {
    let pages = std::fs::read_dir(root().join("docs/man")).unwrap();
    let pages: Vec<PathBuf> = pages.map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 5, "{pages:?}");
    let linted =
        run("mandoc", Command::new("mandoc").args(["-Tlint", "-Wwarning"]).args(&pages), b"");
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
    let page = root().join("docs/man/wazzup-exporter.1");
    let read = run("mandoc", Command::new("mandoc").args(["-Tascii"]).arg(page), b"");
    let text = String::from_utf8(read.stdout).unwrap();
    // Bold is written as a letter, a backspace and the letter.
    let text: String = text
        .split_inclusive('\u{8}')
        .map(|part| {
            let kept = part.strip_suffix('\u{8}').map(|part| &part[..part.len() - 1]);
            kept.unwrap_or(part)
        })
        .collect();
    for words in [
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SEE ALSO",
        "--web.listen-address",
        "wazzup-exporter-doctor(1)",
    ] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
}

/// What bash offers behind these words.
fn offered(words: &[&str]) -> Vec<String> {
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  set -- \"$1\" \"${@: -1}\" \"${@: -2:1}\"; \
                  how=$(complete -p wazzup-exporter); how=${how#* -F }; \"${how%% *}\" \"$@\"; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let file = root().join("deploy/completions/wazzup-exporter.bash");
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-c", script, "bash"]).arg(file).args(words);
    let output = run("bash", &mut command, b"");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    assert_eq!(offered(&["wazzup-exporter", "check"]), ["check-config"]);
    assert_eq!(offered(&["wazzup-exporter", "--web.conf"]), ["--web.config.file"]);
    assert_eq!(offered(&["wazzup-exporter", "poll", "--log.format", ""]), ["logfmt", "json"]);
    assert_eq!(offered(&["wazzup-exporter", "doctor", "acme", "--j"]), ["--json"]);
}
