//! What pages promise each other and the code: sections that are cited, links, flags, commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::support::exporter::command;
use super::{code, one_code, page, path, rows};

/// All files below a folder with one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(|one| extensions.iter().any(|two| one == *two)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every page that people read.
fn pages() -> Vec<PathBuf> {
    let mut pages = files(&path("docs"), &["md"]);
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(path));
    pages
}

/// The headings of a page, without those in blocks of code.
fn headings(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    let lines = outside.flat_map(str::lines).filter(|line| line.starts_with('#'));
    lines.map(|line| line.trim_start_matches('#').trim()).collect()
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || "-_ ".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_section_that_the_code_cites_exists() {
    let upstream = page("docs/upstream.md");
    let sections: BTreeSet<&str> = headings(&upstream).into_iter().collect();
    let mut cited = 0;
    for file in files(&path("src"), &["rs"]) {
        // A citation may be broken over two lines of a comment.
        let text = std::fs::read_to_string(&file).unwrap();
        let text: Vec<&str> =
            text.lines().map(|line| line.trim().trim_start_matches(['/', '!']).trim()).collect();
        let text = text.join(" ");
        for rest in text.split("docs/upstream.md, ").skip(1) {
            // `"Channels" and "Roles"` are two.
            let mut rest = Some(rest);
            while let Some((section, after)) =
                rest.and_then(|rest| rest.strip_prefix('"')?.split_once('"'))
            {
                assert!(sections.contains(section), "{} cites {section:?}", file.display());
                cited += 1;
                rest = after.strip_prefix(" and ").or_else(|| after.strip_prefix(", "));
            }
        }
    }
    assert!(cited > 5, "only {cited}");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let prose: String = text.split("```").step_by(2).collect();
        for rest in prose.split("](").skip(1) {
            let (target, _) = rest.split_once(')').unwrap();
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let at =
                if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            assert!(at.exists(), "{}: {target} leads nowhere", page.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&at).unwrap();
                let anchors: Vec<String> = headings(&text).into_iter().map(anchor).collect();
                assert!(anchors.iter().any(|one| one == heading), "{}: {target}", page.display());
            }
        }
    }
    assert!(links > 10, "only {links}");
}

/// What `--help` says, of the program or of one of its commands.
fn help(arguments: &[&str]) -> String {
    let output = command().args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the commands, from the program's own list of them.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_page_about_commands_lists_every_command_and_no_other() {
    let text = page("docs/commands.md");
    let mut listed = BTreeSet::new();
    for row in rows(&text) {
        let Some(line) = one_code(row[0]).and_then(|line| line.strip_prefix("wazzup-exporter"))
        else {
            continue;
        };
        listed.insert(line.split_whitespace().next().unwrap_or("").to_owned());
    }
    let expected = commands().into_iter().chain([String::new()]).collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_pages_speak_of_no_flag_that_does_not_exist() {
    let mut known = help(&[]);
    for name in commands() {
        known.push_str(&help(&[&name]));
    }
    let flag = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|letter| !flag(letter));
        let words = words.filter(|word| word.starts_with("--") && word.len() > 4);
        words.map(|word| word.trim_end_matches('.').to_owned()).collect()
    };
    let known = words(&known);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        // Dotted flags belong to this program, but for that of amtool.
        let dotted = |flag: &String| flag.contains('.') && flag != "--alertmanager.url";
        for flag in words(&text).into_iter().filter(dotted) {
            assert!(known.contains(&flag), "{}: {flag}", page.display());
        }
        // Lines of this program, not those in which another one is told its name.
        let of_others = ["helm ", "docker ", "kubectl ", "systemctl ", "apt", "cargo "];
        let lines = text.lines().filter(|line| line.contains("wazzup-exporter "));
        for line in lines.filter(|line| !of_others.iter().any(|other| line.contains(other))) {
            let (_, after) = line.split_once("wazzup-exporter ").unwrap();
            let after = after.split(['`', '|', '#', ';']).next().unwrap_or_default();
            for flag in words(after) {
                assert!(known.contains(&flag), "{}: {flag} in {line}", page.display());
            }
        }
    }
}

#[test]
fn every_answer_to_a_reset_is_documented_with_its_status_and_no_other() {
    use wazzup_exporter::metrics::{AdminCode, RefusalCode};
    let admin = AdminCode::ALL.iter().map(|code| (code.label().to_owned(), code.status()));
    let refusals = RefusalCode::ALL.iter().map(|code| (code.label().to_owned(), code.status()));
    let ends = [
        ("cleared", 200),
        ("dry_run", 200),
        ("account_mismatch", 502),
        ("not_cleared", 502),
        ("upstream_refused", 502),
        ("not_sent", 502),
        ("outcome_unknown", 504),
    ];
    let ends = ends.into_iter().map(|(code, status)| (code.to_owned(), status));
    let known: BTreeSet<(String, u16)> = admin.chain(refusals).chain(ends).collect();
    let text = page("docs/reset.md");
    let listed = rows(&text).into_iter().filter(|row| row.len() == 4).filter_map(|row| {
        let status = row[0].parse().ok()?;
        Some((one_code(row[1])?.to_owned(), status))
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), known);
}

/// What the page and the doctor say of a reason.
#[test]
fn the_runbooks_say_of_each_reason_what_the_program_says() {
    use wazzup_exporter::snapshot::{FailingReason, UntrustedReason};
    let row = |label: &str, meaning: String, remedy: &str| {
        vec![format!("`{label}`"), meaning, remedy.to_owned()]
    };
    let failing = FailingReason::ALL.iter();
    let failing = failing.map(|one| row(one.label(), one.meaning("Wazzup24"), one.remedy()));
    let untrusted = UntrustedReason::ALL.iter();
    let untrusted = untrusted.map(|one| row(one.label(), one.meaning().to_owned(), one.remedy()));
    for (alert, expected) in [
        ("WazzupAccountFailing", failing.collect::<Vec<_>>()),
        ("WazzupCounterUntrusted", untrusted.collect()),
    ] {
        let text = page(&format!("docs/runbooks/{alert}.md"));
        assert_eq!(rows(&text), expected, "{alert}");
    }
}

#[test]
fn every_check_of_the_doctor_is_documented() {
    use wazzup_exporter::channel::ChannelState;
    use wazzup_exporter::doctor::Check;
    let checks = [
        Check::Host,
        Check::Token,
        Check::Access,
        Check::Channels,
        Check::Webhooks,
        Check::Clock,
        Check::Users,
        Check::Roles,
        Check::Reach,
        Check::Limit,
    ];
    // A new one fails to compile here until it is in the list.
    for check in checks {
        match check {
            Check::Host
            | Check::Token
            | Check::Access
            | Check::Channels
            | Check::Webhooks
            | Check::Clock
            | Check::Users
            | Check::Roles
            | Check::Reach
            | Check::Limit => {}
        }
    }
    let checks: Vec<String> = checks
        .iter()
        .map(|check| serde_json::to_value(check).unwrap().as_str().unwrap().to_owned())
        .collect();
    let text = page("docs/doctor.md");
    let rows = rows(&text);
    let listed: Vec<&str> =
        rows.iter().filter(|row| row.len() == 4).filter_map(|row| one_code(row[0])).collect();
    assert_eq!(listed, checks);
    let listed: BTreeSet<&str> =
        rows.iter().filter(|row| row.len() == 3).flat_map(|row| code(row[0])).collect();
    let states = ChannelState::ALL.iter().filter(|state| **state != ChannelState::Active);
    assert_eq!(listed, states.map(|state| state.label()).collect());
}
