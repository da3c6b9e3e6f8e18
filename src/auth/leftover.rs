//! The processes that a program has left behind. While one of them lives, the program is not run again.
//!
//! A child that leaves the process group is not killed with it, and may close its outputs. Each run therefore puts a
//! mark of its own into the environment, which children inherit and `/proc` shows. What cannot be found is a process
//! that has closed its outputs and also cleared its environment or become another user.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::error::{CommandProblem, TokenCommandError};
use crate::blocking::{self, lock};

/// The variable that holds the mark.
pub(super) const MARK_VARIABLE: &str = "WAZZUP_EXPORTER_TOKEN_COMMAND_RUN";
/// How long children that are about to end have for it.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a process that lives is looked for again.
const SEARCH_INTERVAL: Duration = Duration::from_secs(2);

/// What the last run of a program has left.
#[derive(Default)]
pub(super) struct Leftover(Mutex<Option<LeftProcesses>>);

struct LeftProcesses {
    /// Ends when no process of the run is there any more.
    watch: JoinHandle<()>,
    /// One of them, where it is known.
    pid: Arc<Mutex<Option<u32>>>,
    logged: bool,
}

/// The outputs of a program.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// A mark for the environment of all processes of one run, which no other run has.
pub(super) fn new_mark() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// A process that has a mark. Zombies have no environment.
fn marked_process(mark: &str) -> Option<u32> {
    let wanted = format!("{MARK_VARIABLE}={mark}");
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    })
}

impl Leftover {
    /// Whether a process of the last run may still be there.
    pub(super) fn is_running(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|left| !left.watch.is_finished())
    }

    /// Waits a moment for the end of what the last run has left.
    ///
    /// # Errors
    /// When something of it is still there, which is logged once; `failed` makes the error.
    pub(super) async fn wait(
        &self,
        failed: impl FnOnce(CommandProblem) -> TokenCommandError,
    ) -> Result<(), TokenCommandError> {
        let Some(mut left) = lock(&self.0).take() else { return Ok(()) };
        if timeout(END_TIMEOUT, &mut left.watch).await.is_ok() {
            return Ok(());
        }
        let error = failed(CommandProblem::StillRunning(*lock(&left.pid)));
        if !std::mem::replace(&mut left.logged, true) {
            warn!("{error}");
        }
        *lock(&self.0) = Some(left);
        Err(error)
    }

    /// Watches what a run has left that has come to its end or was killed, and still may have outputs open.
    pub(super) fn watch(&self, mark: String, outputs: Outputs) {
        let pid = Arc::default();
        let found = Arc::clone(&pid);
        let watch = tokio::spawn(async move {
            tokio::join!(drain(outputs.stdout), drain(outputs.stderr), search(mark, found));
        });
        *lock(&self.0) = Some(LeftProcesses { watch, pid, logged: false });
    }
}

/// Waits until no process has an output open.
async fn drain(output: Option<impl AsyncRead + Unpin>) {
    if let Some(mut output) = output {
        let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    }
}

/// Waits until no process has the mark.
async fn search(mark: String, found: Arc<Mutex<Option<u32>>>) {
    loop {
        let searched = mark.clone();
        let pid = blocking::run(move || marked_process(&searched)).await;
        *lock(&found) = pid;
        if pid.is_none() {
            return;
        }
        sleep(SEARCH_INTERVAL).await;
    }
}
