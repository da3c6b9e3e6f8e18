//! The command line: flags, logging and one file for each command.
//!
//! `main` parses the [`command`] with [`help`] and sets up [`logging`]; [`run`] carries the command out and
//! gives the [`CommandError`] that `main` turns into an exit code.

mod check_config;
pub(crate) mod command;
mod daemon;
mod demo;
mod doctor;
mod flags;
#[cfg(test)]
mod generated;
pub(crate) mod help;
pub(crate) mod logging;
mod login;
pub(crate) mod output;
mod poll;
mod reset;
mod simulator;
mod startup;

use tokio::runtime::Handle;
use wazzup_exporter::app::{self, CommandError};
use wazzup_exporter::systemd::Sockets;

use self::command::{Cli, Command};
use self::startup::{load, load_poll};

/// Carries out the command; `sockets` are the listeners that systemd has opened, `polling` is the runtime in which a
/// daemon polls.
pub(crate) async fn run(
    cli: Cli,
    sockets: Option<Sockets>,
    polling: &Handle,
) -> Result<(), CommandError> {
    match cli.command {
        None => daemon::run(&cli.daemon, sockets, polling).await,
        Some(Command::Demo(flags)) => demo::run(&flags, sockets).await,
        Some(Command::CheckConfig(flags)) => check_config::run(&flags),
        Some(Command::Poll(flags)) => {
            let (config, shard, storage) = load_poll(&flags)?;
            poll::run(config, &shard, storage).await
        }
        Some(Command::Doctor(flags)) => {
            let (config, shard, storage) = load_poll(&flags.poll)?;
            doctor::run(config, &shard, storage, &flags).await
        }
        Some(Command::Login(flags)) => login::run(&load(&flags.config)?, &flags).await,
        Some(Command::Reset(flags)) => reset::run(*flags).await,
        Some(Command::Healthcheck(flags)) => app::healthcheck(flags.url, flags.insecure).await,
        Some(Command::Simulator(flags)) => simulator::run(*flags).await,
    }
}
