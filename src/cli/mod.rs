//! The command line: flags, logging and one file for each command.
//!
//! `main` parses the [`flags`] with [`help`] and sets up [`logging`]; [`run`] carries the command out and
//! gives the [`CommandError`] that `main` turns into an exit code.

mod check_config;
mod daemon;
mod demo;
mod doctor;
mod error;
pub(crate) mod flags;
#[cfg(test)]
mod generated;
pub(crate) mod help;
pub(crate) mod logging;
mod login;
pub(crate) mod output;
mod poll;
mod reset;
mod shard_flags;
mod simulator;
mod startup;

use wazzup_exporter::app;
use wazzup_exporter::systemd::Sockets;

pub(crate) use self::error::CommandError;
use self::flags::{Cli, Command};
use self::startup::{load, load_shard, storage};

/// Carries out the command; `sockets` are the listeners that systemd has opened.
pub(crate) async fn run(cli: Cli, sockets: Option<Sockets>) -> Result<(), CommandError> {
    match cli.command {
        None => {
            let (config, shard) = load_shard(&cli.config, &cli.shard, &cli.storage)?;
            let storage = storage(&cli.storage, &config);
            if let Some(warning) = startup::rename_warning(storage.as_ref(), &config) {
                tracing::warn!("{warning}");
            }
            daemon::run(config, shard, cli.config.source(), &cli.web, storage, sockets).await
        }
        Some(Command::Demo(flags)) => demo::run(&flags, &cli.web, sockets).await,
        Some(Command::CheckConfig) => {
            check_config::run(&cli.config, &cli.web, &cli.storage, &cli.shard)
        }
        Some(Command::Poll) => {
            let (config, shard) = load_shard(&cli.config, &cli.shard, &cli.storage)?;
            let storage = storage(&cli.storage, &config);
            poll::run(config, &shard, storage).await
        }
        Some(Command::Doctor(flags)) => {
            let (config, shard) = load_shard(&cli.config, &cli.shard, &cli.storage)?;
            let storage = storage(&cli.storage, &config);
            doctor::run(config, &shard, storage, &flags).await
        }
        Some(Command::Login(flags)) => login::run(&load(&cli.config)?, &flags).await,
        Some(Command::Reset(flags)) => {
            reset::run(*flags, &cli.config, &cli.web, &cli.storage).await
        }
        Some(Command::Healthcheck(flags)) => {
            app::healthcheck(flags.url, flags.insecure).await.map_err(CommandError::runtime)
        }
        Some(Command::Simulator(flags)) => simulator::run(*flags).await,
    }
}
