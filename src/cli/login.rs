//! `login`: lets a customer let the partner's application in.

use std::io::{BufRead as _, Read as _};

use tokio::sync::mpsc;
use wazzup_exporter::app::{CommandError, Login};
use wazzup_exporter::config::Config;

use super::command::LoginFlags;
use super::output::print_line;

/// Longest line that is read; browsers have addresses of some thousand characters at most.
const LINE_MAX: u64 = 64 * 1024;

pub(super) async fn run(config: &Config, flags: &LoginFlags) -> Result<(), CommandError> {
    let login = Login::new(config, &flags.account)?;
    let (sender, typed) = mpsc::channel(1);
    // Reading standard input cannot be interrupted; the thread ends with the process.
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            let read = (&mut input).take(LINE_MAX).read_line(&mut line);
            if !read.is_ok_and(|length| length > 0) || sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut print = |text: &str| print_line(std::io::stdout(), text);
    login.run(typed, &mut print).await
}
