//! How the flags of [`Cli`] are shown. The man pages and completions are made from the same; `main` parses with it.

use std::ffi::OsStr;

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use wazzup_exporter::metrics::BuildInfo;

use super::command::Cli;

/// The command line. Each flag of the daemon has a variable of the same name, also where another command takes it;
/// the variables' names are shown, but not what they are set to at the moment.
pub(crate) fn command() -> Command {
    let daemon = Cli::command();
    let has_variable = |flag: &str| daemon.get_arguments().any(|one| one.get_long() == Some(flag));
    let finish = |command: Command| {
        command.mut_args(|flag| {
            let variable = flag.get_long().filter(|name| has_variable(name)).map(variable);
            let flag = match variable {
                Some(variable) => flag.env(variable),
                None => flag,
            };
            lenient(flag).hide_env_values(true)
        })
    };
    finish(daemon.clone()).mut_subcommands(finish)
}

fn variable(flag: &str) -> String {
    format!("WAZZUP_EXPORTER_{}", flag.to_uppercase().replace(['.', '-'], "_"))
}

/// A variable that is empty is as none, as charts, unit files and Compose leave it; one of a switch may be `1` or `yes`.
fn lenient(flag: Arg) -> Arg {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let is_unset = flag.get_env().is_some_and(is_empty);
    let flag = if is_unset { flag.env(Resettable::Reset) } else { flag };
    match flag.get_action() {
        ArgAction::SetTrue => flag.value_parser(BoolishValueParser::new()),
        _ => flag,
    }
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
        Err(error) => masked(error).exit(),
    }
}

/// The error without what stands before the `@` of an address, which may be a password: clap repeats what is wrong.
fn masked(mut error: clap::Error) -> clap::Error {
    let kinds =
        [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand];
    for kind in kinds {
        if let Some(ContextValue::String(given)) = error.get(kind)
            && let Some((_, host)) = given.rsplit_once('@')
        {
            let shown = format!("<secret>@{host}");
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error
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

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn every_flag_of_the_daemon_has_its_environment_variable() {
        let command = command();
        let poll = command.find_subcommand("poll").unwrap();
        let variables = |command: &Command| -> Vec<String> {
            let names = command.get_arguments().filter_map(|flag| flag.get_env());
            names.map(|name| name.to_str().unwrap().to_owned()).collect()
        };
        let all = variables(&command);
        assert_eq!(all.len(), command.get_arguments().count());
        assert!(all.contains(&"WAZZUP_EXPORTER_WEB_LISTEN_ADDRESS".to_owned()), "{all:?}");
        let of_poll = variables(poll);
        assert!(of_poll.contains(&"WAZZUP_EXPORTER_CONFIG_FILE".to_owned()), "{of_poll:?}");
        assert!(of_poll.iter().all(|variable| all.contains(variable)), "{of_poll:?}");
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_command_takes_the_flags_that_it_reads_and_no_others() {
        let read = |words: &[&str]| command().try_get_matches_from(words);
        let name = "wazzup-exporter";
        assert!(read(&[name, "poll", "--config.file=x", "--log.level=debug"]).is_ok());
        assert!(read(&[name, "check-config", "--web.listen-address=:1"]).is_ok());
        let unknown = read(&[name, "healthcheck", "--web.listen-address=:1"]).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::UnknownArgument);
        // Before a command they would be the daemon's.
        let misplaced = read(&[name, "--log.level=debug", "poll"]).unwrap_err();
        assert_eq!(misplaced.kind(), ErrorKind::ArgumentConflict, "{misplaced}");
        let matches = read(&[name, "poll", "--log.level=debug"]).unwrap();
        assert_eq!(Cli::from_arg_matches(&matches).unwrap().log.level, LevelFilter::DEBUG);
    }

    #[test]
    fn the_password_in_an_address_is_not_repeated() {
        let address = "http://me:pa55word@host:1";
        for words in [
            ["wazzup-exporter", &format!("--web.listen-address={address}")],
            ["wazzup-exporter", "--web.listen-address=me:p,pa55word@host:1"],
            ["wazzup-exporter", "--web.listen-address=me:pa55word,8@host:1"],
            ["wazzup-exporter", "--web.listen-address=:80,me:pa55word@host:1"],
            ["wazzup-exporter", &format!("--web.telemetry-path={address}")],
            ["wazzup-exporter", address],
        ] {
            let error = command().try_get_matches_from(words).unwrap_err();
            assert!(error.to_string().contains("pa55word"), "clap repeats it: {error}");
            let shown = masked(error).to_string();
            assert!(!shown.contains("pa55word") && shown.contains("host:1"), "{shown}");
        }
    }

    #[test]
    fn every_flag_of_the_daemon_belongs_to_a_group() {
        for flag in command().get_arguments() {
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
