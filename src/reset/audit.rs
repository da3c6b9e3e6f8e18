//! The audit log of an account: one line of JSON for each thing that happened, never changed again.
//!
//! An `intent` is on disk before the request leaves, an `outcome` follows once there is one, `after`
//! when everybody was read again. A `dry_run` stands alone. [`History`] is what a whole log tells,
//! read line by line however long it is; lines that were torn by a kill or a full disk are passed over.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};

use super::cooldown::Mark;
use crate::reset::Figures;
use crate::text;

/// The file in the account's folder.
pub const AUDIT_FILE: &str = "reset-audit.jsonl";
/// Longest line that is read; a hundred thousand users take about six million bytes.
const LINE_MAX: u64 = 64 << 20;

/// A line of the log, as far as it can be read without knowing what kind it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it tells of.
    pub kind: Kind,
    /// Which lines belong together.
    pub id: String,
    /// When it was written, as RFC 3339 has it.
    pub time: String,
    /// When it was written, in unix time in milliseconds.
    pub unix_ms: u64,
    /// Wazzup's number of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The address from which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What the client called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Why, in the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many messages the caller expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_unanswered: Option<u64>,
    /// How it ended: a value of the label `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The code that the caller was answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The status that upstream answered with, if it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The sums over all users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// The times that the cooldown counts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<Mark>,
    /// Every user's counter and type. Written, and not needed again.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(super) readings: Option<BTreeMap<String, (u64, &'static str)>>,
}

/// What a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A reset that is about to be sent.
    Intent,
    /// What came of it.
    Outcome,
    /// What everybody's counters were then.
    After,
    /// A reset that was not to be sent.
    DryRun,
}

/// What a log tells of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    /// The last intent.
    pub(super) intent: Option<Line>,
    /// Its outcome.
    pub(super) outcome: Option<Line>,
    /// The figures after it.
    pub(super) after: Option<Line>,
    /// Intents without an outcome.
    pub(super) open: Vec<String>,
    /// When counters were last cleared, in unix milliseconds.
    pub(super) last_success_ms: Option<u64>,
}

impl Line {
    /// A line with nothing but what every line has.
    pub(super) fn new(kind: Kind, id: &str, unix: std::time::Duration) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            time: text::timestamp(unix),
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            account_id: None,
            caller: None,
            user_agent: None,
            reason: None,
            expected_unanswered: None,
            result: None,
            code: None,
            upstream_status: None,
            problem: None,
            figures: None,
            mark: None,
            readings: None,
        }
    }
}

impl History {
    /// Reads a whole log.
    pub(super) fn of(log: impl Read) -> std::io::Result<Self> {
        let mut history = Self::default();
        each_line(log, |line| history.take(line))?;
        Ok(history)
    }

    fn take(&mut self, line: Line) {
        match line.kind {
            Kind::Intent => {
                self.open.push(line.id.clone());
                self.intent = Some(line);
                (self.outcome, self.after) = (None, None);
            }
            Kind::Outcome => {
                self.open.retain(|id| *id != line.id);
                if line.result.as_deref() == Some("cleared") {
                    self.last_success_ms = Some(line.unix_ms);
                }
                if self.is_of_the_last(&line) {
                    self.outcome = Some(line);
                }
            }
            Kind::After if self.is_of_the_last(&line) => self.after = Some(line),
            Kind::After | Kind::DryRun => {}
        }
    }

    fn is_of_the_last(&self, line: &Line) -> bool {
        self.intent.as_ref().is_some_and(|intent| intent.id == line.id)
    }
}

/// Goes through a log, line by line; what is no line of it is passed over.
///
/// # Errors
/// When the log cannot be read.
pub fn each_line(log: impl Read, mut take: impl FnMut(Line)) -> std::io::Result<()> {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut log).take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Ok(line) = serde_json::from_slice(&line) {
            take(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(kind: Kind, id: &str, result: Option<&str>) -> String {
        let result = result.map(str::to_owned);
        let line = Line { result, ..Line::new(kind, id, Duration::from_secs(7)) };
        serde_json::to_string(&line).unwrap()
    }

    fn history(lines: &[String]) -> (Option<String>, bool, Vec<String>, Option<u64>) {
        let history = History::of(lines.join("\n").as_bytes()).unwrap();
        let intent = history.intent.map(|intent| intent.id);
        (intent, history.outcome.is_some(), history.open, history.last_success_ms)
    }

    #[test]
    fn an_intent_is_open_until_its_own_outcome() {
        use Kind::{After, DryRun, Intent, Outcome};
        let intent = |id| line(Intent, id, None);
        let cleared = |id| line(Outcome, id, Some("cleared"));
        assert_eq!(history(&[]), (None, false, vec![], None));
        let dry = line(DryRun, "d", None);
        assert_eq!(history(std::slice::from_ref(&dry)), (None, false, vec![], None));
        let a = || Some("a".to_owned());
        assert_eq!(history(&[intent("a"), dry]), (a(), false, vec!["a".into()], None));
        assert_eq!(history(&[intent("a"), cleared("a")]), (a(), true, vec![], Some(7000)));
        let other = history(&[intent("a"), cleared("b"), line(After, "b", None)]);
        assert_eq!(other, (a(), false, vec!["a".into()], Some(7000)));
        let two = history(&[intent("b"), intent("a"), line(Outcome, "a", Some("unknown"))]);
        assert_eq!(two, (a(), true, vec!["b".into()], None));
    }

    #[test]
    fn torn_and_foreign_lines_are_passed_over() {
        let whole = line(Kind::Intent, "a", None);
        let torn = whole[..whole.len() / 2].to_owned();
        let foreign = r#"{"kind":"something new","id":"z"}"#.to_owned();
        let lines = [String::new(), "\u{0}\u{1}".to_owned(), whole, foreign, torn];
        assert_eq!(history(&lines).2, ["a"]);
    }
}
