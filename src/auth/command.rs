//! Runs the program that prints an account's token.
//!
//! It is run directly, without a shell, with the exporter's environment but for the variables of the
//! service manager, and with an empty standard input. It has a process group of its own, so that its
//! children are killed with it when it takes too long or prints too much. Its standard output may be a
//! secret and is never repeated; the first line of its standard error is. A process that it
//! leaves running is waited for only while that keeps an output open.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::cached_token::ObtainedToken;
use super::error::TokenError;
use super::token::{Claims, Token};
use crate::clock::Stamp;
use crate::text;

/// How long a command may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How much it may print; a JWT has about a thousand bytes.
const OUTPUT_MAX: u64 = 64 * 1024;
/// Longest line of standard error that is repeated, in characters.
const ERROR_LINE_MAX: usize = 200;
/// How much of its standard error is kept, in bytes.
const STDERR_MAX: u64 = 4 * 1024;
/// Variables that a service manager has set for the exporter alone. A child that notifies it, or uses
/// the exporter's sockets, would confuse it.
const NOT_INHERITED: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];
/// Longest life of a token that makes sense; more is taken as this.
const LIFE_MAX: Duration = Duration::from_hours(24 * 366);

/// What is wrong with an output that is not [`Printed`].
const MALFORMED: &str = "printed no {\"access_token\": \"…\", \"expires_in\": 3600} on standard output; expires_in may \
                         be missing";

/// What a command prints.
#[derive(Deserialize)]
struct Printed {
    access_token: String,
    /// Seconds.
    expires_in: Option<f64>,
}

/// Kills a process group unless it has ended.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command and reads the token that it prints.
pub(super) async fn run(words: &[String]) -> Result<ObtainedToken, TokenError> {
    let asked = Stamp::now();
    let program = words.first().map_or("", String::as_str);
    let failed = |problem| TokenError::Command { program: program.to_owned(), problem };
    let output = output(words).await.map_err(failed)?;
    let (token, life) = parse(&output, asked).ok_or_else(|| failed(MALFORMED.to_owned()))?;
    let token = Token::new(&token, || format!("that token_command {program} printed"))?;
    Ok(ObtainedToken::new(token, asked, life))
}

/// What a command prints if it succeeds; otherwise what went wrong.
async fn output(words: &[String]) -> Result<Vec<u8>, String> {
    let not_run = |error: io::Error| format!("cannot be run: {error}");
    let mut child = spawn(words).map_err(not_run)?;
    let mut group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (status, output, error_line) = match timeout(TIME_LIMIT, wait(&mut child)).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(format!("printed more than {} KiB and was killed", OUTPUT_MAX >> 10));
        }
        Ok(Err(error)) => return Err(not_run(error)),
        Err(_) => {
            return Err(format!("took longer than {} s and was killed", TIME_LIMIT.as_secs()));
        }
    };
    group.0 = None;
    if status.success() { Ok(output) } else { Err(failure(status, &error_line)) }
}

/// What a program says that has failed: the first line that it printed to standard error, cut and cleaned.
fn failure(status: ExitStatus, error_line: &[u8]) -> String {
    let error_line = String::from_utf8_lossy(error_line);
    let error_line = text::one_line(error_line.lines().next().unwrap_or_default(), ERROR_LINE_MAX);
    let separator = if error_line.is_empty() { "" } else { ": " };
    format!("failed, {status}{separator}{error_line}")
}

fn spawn(words: &[String]) -> io::Result<Child> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::other("the command has no words"))?;
    let mut command = Command::new(program);
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Waits until the program has ended and its outputs are closed; fails as soon as it has printed too
/// much.
async fn wait(child: &mut Child) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading_output = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(OUTPUT_MAX + 1).read_to_end(&mut output).await?;
        }
        let fits = output.len() as u64 <= OUTPUT_MAX;
        if fits { io::Result::Ok(output) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    };
    let reading_errors = async {
        let mut error_line = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(STDERR_MAX).read_to_end(&mut error_line).await?;
            // A program that prints more must not be blocked by a full pipe.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        io::Result::Ok(error_line)
    };
    let (output, error_line) = tokio::try_join!(reading_output, reading_errors)?;
    Ok((child.wait().await?, output, error_line))
}

/// The token, and how long it lives from `asked` on where the program or the token says so.
fn parse(output: &[u8], asked: Stamp) -> Option<(String, Option<Duration>)> {
    let printed: Printed = serde_json::from_slice(output).ok()?;
    let life = match printed.expires_in {
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds).ok()?.min(LIFE_MAX)),
        None => Claims::of(&printed.access_token).end.map(|end| end.saturating_sub(asked.unix)),
    };
    Some((printed.access_token, life.filter(|life| !life.is_zero())))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<ObtainedToken, TokenError> {
        run(&words(script)).await
    }

    #[test]
    fn a_life_of_no_time_is_not_known() {
        let parsed = parse(br#"{"access_token":"t0ken","expires_in":0}"#, Stamp::now());
        assert_eq!(parsed, Some(("t0ken".to_owned(), None)));
    }

    fn words(script: &str) -> [String; 4] {
        ["sh", "-c", script, "s3cret-argument"].map(str::to_owned)
    }

    async fn error(script: &str) -> String {
        let error = sh(script).await.map(drop).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        error
    }

    #[tokio::test]
    async fn what_is_printed_becomes_a_token_with_a_life() {
        let fresh = sh(r#"echo '{"access_token":"t0ken","expires_in":3600,"more":[]}'"#).await;
        let fresh = fresh.unwrap();
        assert_eq!(fresh.token.header.clone(), "Bearer t0ken");
        assert_eq!(fresh.life, Some(Duration::from_hours(1)));
        let fresh = sh(r#"echo '{"access_token":"t0ken"}'"#).await.unwrap();
        assert_eq!(fresh.life, None);
    }

    #[tokio::test]
    async fn nothing_is_on_standard_input() {
        assert!(sh(r#"cat; echo '{"access_token":"t0ken"}'"#).await.is_ok());
    }

    #[tokio::test]
    async fn a_failure_is_reported_with_the_first_error_line_and_without_output() {
        let message = error("echo s3cret; printf 'no\\tway\\nmore\\n' >&2; exit 3").await;
        assert_eq!(message, "token_command sh failed, exit status: 3: no way");
        assert_eq!(error("exit 4").await, "token_command sh failed, exit status: 4");
        let message = error("printf '%070000d' 0 >&2; exit 5").await;
        assert!(
            message.starts_with("token_command sh failed, ") && message.len() < 300,
            "{message}"
        );
        let missing = run(&["/nonexistent/get-token".to_owned()]).await.map(drop).unwrap_err();
        let message = missing.to_string();
        assert!(
            message.starts_with("token_command /nonexistent/get-token cannot be run: "),
            "{message}"
        );
    }

    #[tokio::test]
    async fn other_output_is_refused_without_repeating_it() {
        for output in [
            "s3cret",
            "",
            r#"{"access_token":7}"#,
            r#"{"access_token":"s3cret","expires_in":"soon"}"#,
            r#"{"access_token":"s3cret","expires_in":-1}"#,
            r#"{"token":"s3cret"}"#,
        ] {
            let message = error(&format!("echo '{output}'")).await;
            assert!(message.starts_with("token_command sh printed no "), "{message}");
        }
        let message = error(r#"echo '{"access_token":"two s3crets"}'"#).await;
        assert!(message.contains("white space"), "{message}");
    }

    #[tokio::test]
    async fn a_command_that_prints_without_end_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 1000 & echo $! > {}; yes", pids.display());
        assert_eq!(
            error(&script).await,
            "token_command sh printed more than 64 KiB and was killed"
        );
        let child: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        let stat = format!("/proc/{child}/stat");
        // The kernel needs a moment; a killed child without a parent that waits stays as a zombie.
        let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        while !gone() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_command_may_leave_a_process_that_has_closed_its_outputs() {
        let folder = tempfile::tempdir().unwrap();
        // What is left ends when the pipe was written to.
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let script = format!(
            r#"cat {} >/dev/null 2>&1 & echo '{{"access_token":"t0ken"}}'"#,
            pipe.display()
        );
        sh(&script).await.unwrap();
        drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    }
}
