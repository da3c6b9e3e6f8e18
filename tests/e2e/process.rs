//! Child processes: none outlives its test, and a test that fails shows what they logged.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout_at};

use super::support::GUARD;

/// A process that runs until it is dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Mutex<Child>,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it and collects its standard error, which is where programs log.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        Self::start_speaking(name, command.stdout(Stdio::null()))
    }

    /// The same for a program whose standard output goes where the command says.
    pub(crate) fn start_speaking(name: &'static str, command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(name, command);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&log);
        // It ends with the process: the pipe is closed then.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = collected.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { name, child: Mutex::new(child), log }
    }

    /// Its exit status once it has ended.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        kill_process(Pid::from_child(&child), signal).unwrap();
    }

    /// Where an exporter says in its log that it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        let log = self.log();
        let (_, rest) = log.split_once("address=").ok_or("it is not logged")?;
        let (address, _) = rest.split_once(char::is_whitespace).ok_or("half a line")?;
        address.parse().map_err(|error| format!("{address}: {error}"))
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Tries again and again until `attempt` succeeds. All `processes` have to live on meanwhile.
pub(crate) async fn until<T>(
    what: &str,
    processes: &[&Process],
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + GUARD;
    let mut last = "no attempt was finished".to_owned();
    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(done)) => return done,
            Ok(Err(why)) => last = why,
            Err(_) => {}
        }
        let late = Instant::now() >= deadline;
        assert!(!late, "waited too long for {what}: {last}\n{}", logs(processes));
        if let Some((process, status)) = processes.iter().find_map(|one| Some((one, one.ended()?)))
        {
            panic!("{} has ended, {status}, before {what}\n{}", process.name, logs(processes));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The program that an environment variable names, `PROMETHEUS` say, or the usual one.
pub(crate) fn peer(variable: &str, usual: &str) -> String {
    std::env::var(variable).ok().filter(|name| !name.is_empty()).unwrap_or_else(|| usual.to_owned())
}

/// `promtool`, or the one that `PROMTOOL` names.
pub(crate) fn promtool() -> Command {
    Command::new(peer("PROMTOOL", "promtool"))
}

/// Runs a program with this input to its end.
pub(crate) fn run(name: &str, command: &mut Command, input: &[u8]) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(name, command);
    // A program that does not read it all says why in its output.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The logs of processes, for the message of a panic.
pub(crate) fn logs(processes: &[&Process]) -> String {
    let log = |process: &&Process| format!("--- log of {}\n{}", process.name, process.log());
    processes.iter().map(log).collect()
}

fn spawn(name: &str, command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        panic!("cannot start {name}: {error}; `make setup` installs what these tests need")
    })
}
