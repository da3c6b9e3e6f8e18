//! The program under test as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use rustix::process::Signal;
use tempfile::TempDir;
use wazzup_exporter::simulator::Simulator;

use super::files::write_config;
use super::http::client;
use super::process::Process;
use super::samples::{Samples, samples, until_samples};
use super::upstream::configuration;
use super::wait::{GUARD, guard, until};

/// A running exporter.
pub(crate) struct Exporter {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    folder: Option<TempDir>,
}

impl Exporter {
    /// Starts it with these arguments and waits for the log line with its address.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(command().args(arguments))
    }

    /// The same with a prepared command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::spawn_with_stdout(command.stdout(Stdio::null()))
    }

    /// The same with the standard output that the command names.
    pub(crate) fn spawn_with_stdout(command: &mut Command) -> Self {
        let (send, receive) = mpsc::channel();
        command.arg("--web.listen-address=127.0.0.1:0");
        let process = Process::start_watched("wazzup-exporter", command, move |line| {
            if let Some(address) = logged_address(line) {
                // Only the first address is waited for.
                let _ = send.send(address);
            }
        });
        let Ok(address) = receive.recv_timeout(GUARD) else {
            panic!("no address is logged:\n{}", process.log());
        };
        Self { process, address, folder: None }
    }

    /// Polls an API. `poll` is the content of the configuration's `poll`.
    pub(crate) fn polling(api: &Simulator, url: &str, poll: &str) -> Self {
        Self::polling_with(api, url, poll, &[])
    }

    /// The same with more flags.
    pub(crate) fn polling_with(api: &Simulator, url: &str, poll: &str, flags: &[String]) -> Self {
        Self::configured(api, &configuration(api, url, poll), flags)
    }

    /// Starts it with this configuration in a folder of its own, beside the secrets that the API knows.
    pub(crate) fn configured(api: &Simulator, yaml: &str, flags: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = write_config(folder.path(), yaml);
        api.write_secrets(folder.path()).unwrap();
        let exporter = Self::spawn(command().arg(config_flag(&file)).args(flags));
        Self { folder: Some(folder), ..exporter }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        guard("a response", client().get(self.url(path)).send()).await.unwrap()
    }

    pub(crate) async fn scrape(&self) -> Samples {
        samples(&self.get("/metrics").await.text().await.unwrap())
    }

    /// Scrapes it until the samples satisfy `fits`.
    pub(crate) async fn until(&self, what: &str, fits: impl FnMut(&Samples) -> bool) -> Samples {
        until_samples(what, &[&self.process], async || self.scrape().await, fits).await
    }

    /// Waits until its log has a line with these words; returns the line.
    pub(crate) async fn until_logged(&self, words: &str) -> String {
        until(words, &[&self.process], async || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(words));
            line.map(str::to_owned).ok_or_else(|| "it is not logged".to_owned())
        })
        .await
    }

    /// Waits for the address of its admin listener.
    pub(crate) async fn until_admin(&self) -> SocketAddr {
        logged_address(&self.until_logged("listening for resets").await).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end; returns its exit code and its log.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        self.process.end()
    }
}

/// The address in a log line of either format.
fn logged_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?;
    rest.split(['"', ' ']).next()?.parse().ok()
}

/// The program.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wazzup-exporter"))
}

pub(crate) fn config_flag(file: &Path) -> String {
    format!("--config.file={}", file.display())
}

/// Runs the program to its end, outside the async threads.
pub(crate) async fn run(arguments: &[String]) -> Output {
    let arguments = arguments.to_vec();
    let run = tokio::task::spawn_blocking(move || command().args(arguments).output().unwrap());
    guard("the end of the program", run).await.unwrap()
}
