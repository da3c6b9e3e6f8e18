//! The program as processes of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::support::{GUARD, Samples, client, guard, samples};

/// A daemon started as a process of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it and waits for the log line that tells its address.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(command().args(arguments))
    }

    /// The same with a command of one's own.
    pub(crate) fn run(command: &mut Command) -> Self {
        Self::run_speaking(command, Stdio::null())
    }

    /// The same with a standard output of one's own.
    pub(crate) fn run_speaking(command: &mut Command, stdout: Stdio) -> Self {
        let mut child = command
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        let log = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines() {
                let line = line.unwrap();
                let told = line.split_once("address=").or(line.split_once("\"address\":\""));
                if let Some((_, rest)) = told {
                    let address = rest.split(['"', ' ']).next().unwrap();
                    // Only the first address is waited for.
                    let _ = tell.send(address.parse().unwrap());
                }
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(address) = told.recv_timeout(GUARD) else {
            child.kill().unwrap();
            panic!("it tells no address:\n{}", log.lock().unwrap());
        };
        Self { child, address, log, reader: Some(reader) }
    }

    /// Waits until its log holds these words.
    pub(crate) async fn until_logged(&self, words: &str) {
        let logged = async {
            while !self.log.lock().unwrap().contains(words) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        guard(words, logged).await;
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let answer = client().get(format!("http://{}{path}", self.address)).send();
        guard("an answer", answer).await.unwrap()
    }

    /// Scrapes it until it shows what is waited for.
    pub(crate) async fn until(&self, what: &str, fits: impl Fn(&Samples) -> bool) -> Samples {
        guard(what, async {
            loop {
                let samples = samples(&self.get("/metrics").await.text().await.unwrap());
                if fits(&samples) {
                    return samples;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// Waits for its end; returns its exit code and its log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        (code, self.log.lock().unwrap().clone())
    }
}

impl Drop for Process {
    /// A failed test leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wazzup-exporter"))
}

pub(crate) fn config_flag(file: &Path) -> String {
    format!("--config.file={}", file.display())
}

/// Runs the program to its end, while this thread goes on with what it is asked.
pub(crate) async fn run(arguments: &[String]) -> Output {
    let arguments = arguments.to_vec();
    let run = tokio::task::spawn_blocking(move || command().args(arguments).output().unwrap());
    guard("the end of the program", run).await.unwrap()
}
