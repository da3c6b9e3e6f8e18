//! Child processes: none outlives its test, and a test that fails shows their logs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    name: &'static str,
    pid: Pid,
    child: Mutex<Child>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it and collects its standard error, to which programs log.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        Self::start_with_stdout(name, command.stdout(Stdio::null()))
    }

    /// The same for a program whose standard output goes where the command says.
    pub(crate) fn start_with_stdout(name: &'static str, command: &mut Command) -> Self {
        Self::start_watched(name, command.stdin(Stdio::null()), |_| ())
    }

    /// The same for a command with input and output of its own; `watch` gets each line of the log.
    pub(crate) fn start_watched(
        name: &'static str,
        command: &mut Command,
        mut watch: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let mut child = spawn(name, command.stderr(Stdio::piped()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&log);
        // It ends with the process: the pipe is closed then.
        let reader = std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                watch(&line);
                let mut log = collected.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let pid = Pid::from_child(&child);
        Self { name, pid, child: Mutex::new(child), log, reader: Some(reader) }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Its exit status once it has ended.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for its end; returns its exit code and its whole log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.get_mut().unwrap().wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        (code, self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
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
