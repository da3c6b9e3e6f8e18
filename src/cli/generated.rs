//! The man pages and the completions of shells, made from the command line. A test fails where the
//! files in the repository differ; `make generated` writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::help;

#[path = "../../tests/support/generated.rs"]
mod files;

const NAME: &str = "wazzup-exporter";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The day that man pages show, of the last change worth a date: they are the same on every day.
const DATE: &str = "2026-11-25";
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
/// The sections of the man page that are not made from flags.
const MORE: &str = include_str!("more.man");

#[test]
fn man_pages_and_completions_are_those_of_this_command_line() {
    for (file, text) in pages().into_iter().chain(completions()) {
        files::check(file, &text, "make generated");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there =
        std::fs::read_dir(root.join("docs/man")).unwrap().map(|entry| entry.unwrap().path());
    let there: Vec<_> = there.collect();
    assert_eq!(there.len(), pages().len(), "a page of a command that is gone: {there:?}");
}

/// A page for the program and one for each command.
fn pages() -> BTreeMap<PathBuf, String> {
    // The same for every build.
    let mut whole = help::command().version(VERSION).disable_help_subcommand(true);
    whole.build();
    let mut pages = BTreeMap::new();
    let commands: Vec<Command> = whole.get_subcommands().cloned().collect();
    let names: Vec<String> = commands.iter().map(page_name).collect();
    pages.insert(file(NAME), page(whole, &names));
    for command in commands {
        let name = page_name(&command);
        let main = [NAME.to_owned()];
        pages.insert(file(&name), page(command.version(VERSION), &main));
    }
    pages
}

fn page_name(command: &Command) -> String {
    format!("{NAME}-{}", command.get_name())
}

fn file(page: &str) -> PathBuf {
    format!("docs/man/{page}.1").into()
}

fn page(command: Command, see_also: &[String]) -> String {
    let is_main = command.get_name() == NAME;
    let name = if is_main { NAME.to_owned() } else { page_name(&command) };
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if has_commands {
        man.render_subcommands_section(&mut page).unwrap();
    }
    // Each of them begins with the definition of an apostrophe; once is enough. Two breaks are a space.
    let page = String::from_utf8(page).unwrap();
    let page = page.replace(APOSTROPHE, "").replace(".br\n\n.br\n", ".sp\n");
    let title = format!(
        "{APOSTROPHE}.TH {} 1 \"{DATE}\" \"{NAME} {VERSION}\" \"Prometheus exporters\"\n",
        name.to_uppercase()
    );
    let more = if is_main { MORE } else { "" };
    let see: Vec<String> =
        see_also.iter().map(|name| format!(".BR {} (1)", name.replace('-', "\\-"))).collect();
    format!("{title}{page}{more}.SH \"SEE ALSO\"\n{}\n", see.join(" ,\n"))
}

fn completions() -> BTreeMap<PathBuf, String> {
    let files = [
        (Shell::Bash, "wazzup-exporter.bash"),
        (Shell::Fish, "wazzup-exporter.fish"),
        (Shell::Zsh, "_wazzup-exporter"),
    ];
    files
        .into_iter()
        .map(|(shell, name)| {
            let mut text = Vec::new();
            generate(shell, &mut help::command(), NAME, &mut text);
            // Clap's half of the labels for bash take the hyphen in the name for one between commands.
            let text = String::from_utf8(text).unwrap();
            let text = text.replace("wazzup__subcmd__exporter", "wazzup__exporter");
            (Path::new("deploy/completions").join(name), text)
        })
        .collect()
}
