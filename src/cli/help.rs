//! How the flags of [`Cli`] are shown: in groups, and in the help of a command only those that it
//! reads. The man pages and completions are made from the same; `main` parses with it.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _, Id};
use wazzup_exporter::metrics::BuildInfo;

use super::flags::Cli;

/// How flags begin, and the heading they are shown under.
const GROUPS: [(&str, &str); 5] = [
    ("config.", "Configuration"),
    ("web.", "Web server"),
    ("storage.", "Storage"),
    ("log.", "Log"),
    ("shard", "Sharding"),
];

/// The command line with its groups.
pub(crate) fn command() -> Command {
    let daemon = Cli::command().mut_args(shown);
    let flags: Vec<Arg> =
        daemon.get_arguments().filter(|flag| flag.is_global_set()).cloned().collect();
    let names: Vec<String> =
        daemon.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.into_iter().fold(daemon, |daemon, name| {
        let read = read_by(&name);
        let others = flags.iter().filter(|flag| read.is_some_and(|read| !reads(read, flag)));
        let others: Vec<Arg> = others.map(|flag| flag.clone().hide(true)).collect();
        daemon.mut_subcommand(name, |command| {
            // A command's own flags, these among them, take the place of global ones.
            let own: Vec<Id> = command.get_arguments().map(|flag| flag.get_id().clone()).collect();
            let others = others.into_iter().filter(|flag| !own.contains(flag.get_id()));
            command.args(others).mut_args(shown)
        })
    })
}

/// Reads the command line; ends the process where it is wrong, or asks for help or the version.
pub(crate) fn parse() -> Cli {
    let read = |matches: ArgMatches| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))
    };
    match command().try_get_matches().and_then(read) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            super::output::print_line(std::io::stdout(), &version());
            std::process::exit(0);
        }
        Err(error) => error.exit(),
    }
}

/// The version in the format of Prometheus' programs.
fn version() -> String {
    let BuildInfo { version, revision } = BuildInfo::THIS;
    let compiler = option_env!("WAZZUP_EXPORTER_RUSTC").unwrap_or("unknown");
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "wazzup-exporter, version {version} (revision: {revision})\n  \
         rust version:     {compiler}\n  \
         platform:         {system}/{machine}"
    )
}

/// How a flag is shown: under its heading, without what its variable is set to at the moment.
fn shown(flag: Arg) -> Arg {
    let name = flag.get_long().unwrap_or_default();
    let group = GROUPS
        .into_iter()
        .find(|(beginning, _)| name.trim_start_matches("total-").starts_with(beginning));
    match group {
        Some((_, heading)) => flag.help_heading(heading),
        None => flag,
    }
    .hide_env_values(true)
}

/// Beginnings of the global flags that a command reads; all of them if `None`.
fn read_by(command: &str) -> Option<&'static [&'static str]> {
    match command {
        "demo" => Some(&["web.", "log."]),
        "check-config" => Some(&[
            "config.file",
            "config.allow",
            "web.config.file",
            "storage.",
            "shard",
            "total-shards",
        ]),
        "poll" | "doctor" => {
            Some(&["config.file", "config.allow", "storage.", "shard", "total-shards", "log."])
        }
        "login" => Some(&["config.file", "config.allow", "log."]),
        "reset" => Some(&[
            "config.file",
            "config.allow",
            "web.admin",
            "web.config.file",
            "storage.path",
            "log.",
        ]),
        "healthcheck" | "simulator" => Some(&["log."]),
        _ => None,
    }
}

fn reads(beginnings: &[&str], flag: &Arg) -> bool {
    let name = flag.get_long().unwrap_or_default();
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_command_shows_the_flags_that_it_reads_and_takes_all() {
        let help = command().find_subcommand_mut("healthcheck").unwrap().render_help().to_string();
        let mut whole = command();
        whole.build();
        let help_of_poll = whole.find_subcommand_mut("poll").unwrap().render_help().to_string();
        for (flag, shown) in
            [("--config.file", true), ("--log.level", true), ("--web.listen", false)]
        {
            assert_eq!(help_of_poll.contains(flag), shown, "{flag}: {help_of_poll}");
        }
        assert!(!help.contains("--web.listen"), "{help}");
        for words in [
            ["wazzup-exporter", "--log.level=debug", "healthcheck", "--web.listen-address=:1"],
            ["wazzup-exporter", "healthcheck", "--log.level=debug", "--web.listen-address=:1"],
        ] {
            let matches = command().try_get_matches_from(words).unwrap();
            let cli = Cli::from_arg_matches(&matches).unwrap();
            assert_eq!(format!("{:?}", cli.log.level), "Debug");
            assert_eq!(cli.web.listen.len(), 1);
        }
    }

    #[test]
    fn every_global_flag_belongs_to_a_group() {
        for flag in command().get_arguments().filter(|flag| flag.is_global_set()) {
            assert!(flag.get_help_heading().is_some(), "{:?}", flag.get_long());
        }
    }

    #[test]
    fn the_version_names_compiler_and_platform() {
        let version = version();
        let lines: Vec<&str> = version.lines().collect();
        assert!(lines[0].starts_with(concat!(
            "wazzup-exporter, version ",
            env!("CARGO_PKG_VERSION"),
            " (revision: "
        )));
        assert!(lines[1].starts_with("  rust version: ") && lines[2].starts_with("  platform: "));
    }
}
