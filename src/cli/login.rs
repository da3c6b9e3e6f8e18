//! `login`: lets a customer let the partner's application in.

use std::io::{BufRead as _, Read as _};

use wazzup_exporter::app::{CommandError, Login};
use wazzup_exporter::config::Config;

use super::command::LoginFlags;
use super::output::print_line;

/// Longest line that is read; browsers have addresses of some thousand characters at most.
const LINE_MAX: u64 = 64 * 1024;

pub(super) async fn run(config: &Config, flags: &LoginFlags) -> Result<(), CommandError> {
    let login = Login::new(config, &flags.account)?;
    let mut input = std::io::stdin().lock();
    let typed = std::iter::from_fn(|| {
        let mut line = String::new();
        let read = (&mut input).take(LINE_MAX).read_line(&mut line);
        read.is_ok_and(|length| length > 0).then_some(line)
    });
    login.run(typed, &|text| print_line(std::io::stdout(), text)).await
}
