//! The audit log of an account: one line of JSON for each event, never changed afterwards.
//!
//! An `intent` is on disk before the request is sent, an `outcome` follows once it is known, `after` when
//! every user was read again. A `dry_run` stands alone. [`AuditHistory`] is the summary of a whole log,
//! read line by line however long it is; lines that were torn by a kill or a full disk are skipped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};

use super::cooldown::CooldownMark;
use super::request::Figures;
use crate::text;

/// The file in the account's folder.
pub const AUDIT_FILE: &str = "reset-audit.jsonl";
/// Longest line that is read; a hundred thousand users take about six million bytes.
const LINE_MAX: u64 = 64 << 20;

/// A line of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// The kind of event.
    pub kind: AuditKind,
    /// The id of the reset, which its lines share.
    pub id: String,
    /// When it was written, as RFC 3339 has it.
    pub time: String,
    /// When it was written, in unix time in milliseconds.
    pub unix_ms: u64,
    /// Wazzup's number of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What the client called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Why, as the caller gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many messages the caller expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_unanswered: Option<u64>,
    /// How it ended: a value of the label `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The code of the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The status that upstream answered with, if it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// What went wrong, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The sums over all users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// The times that the cooldown counts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<CooldownMark>,
    /// Every user's counter and type. Written, never read.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(super) readings: Option<BTreeMap<String, (u64, &'static str)>>,
}

/// The kind of event of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// A reset that is about to be sent.
    #[default]
    Intent,
    /// How it ended.
    Outcome,
    /// The counters afterwards.
    After,
    /// A dry run: nothing was sent.
    DryRun,
}

/// The summary of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AuditHistory {
    /// The last intent.
    pub(super) intent: Option<AuditLine>,
    /// Its outcome.
    pub(super) outcome: Option<AuditLine>,
    /// The figures after it.
    pub(super) after: Option<AuditLine>,
    /// Intents without an outcome.
    pub(super) open: Vec<String>,
    /// When counters were last cleared, in unix milliseconds.
    pub(super) last_success_ms: Option<u64>,
}

impl AuditLine {
    /// A line with only the fields that every line has.
    pub(super) fn new(kind: AuditKind, id: &str, unix: std::time::Duration) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            time: text::timestamp(unix),
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }
}

impl AuditHistory {
    /// Reads a log, or its end.
    pub(super) fn read(log: impl Read) -> std::io::Result<Self> {
        let mut history = Self::default();
        each_line(log, |line| history.add(line))?;
        Ok(history)
    }

    fn add(&mut self, line: AuditLine) {
        match line.kind {
            AuditKind::Intent => {
                self.open.push(line.id.clone());
                self.intent = Some(line);
                (self.outcome, self.after) = (None, None);
            }
            AuditKind::Outcome => {
                self.open.retain(|id| *id != line.id);
                if line.result.as_deref() == Some("cleared") {
                    self.last_success_ms = Some(line.unix_ms);
                }
                if self.belongs_to_last_intent(&line) {
                    self.outcome = Some(line);
                }
            }
            AuditKind::After if self.belongs_to_last_intent(&line) => self.after = Some(line),
            AuditKind::After | AuditKind::DryRun => {}
        }
    }

    fn belongs_to_last_intent(&self, line: &AuditLine) -> bool {
        self.intent.as_ref().is_some_and(|intent| intent.id == line.id)
    }
}

/// Reads a log line by line; lines that cannot be read are skipped.
///
/// # Errors
/// When the log cannot be read.
pub fn each_line(log: impl Read, mut each: impl FnMut(AuditLine)) -> std::io::Result<()> {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut log).take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Ok(line) = serde_json::from_slice(&line) {
            each(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(kind: AuditKind, id: &str, result: Option<&str>) -> String {
        let result = result.map(str::to_owned);
        let line = AuditLine { result, ..AuditLine::new(kind, id, Duration::from_secs(7)) };
        serde_json::to_string(&line).unwrap()
    }

    fn history(lines: &[String]) -> (Option<String>, bool, Vec<String>, Option<u64>) {
        let history = AuditHistory::read(lines.join("\n").as_bytes()).unwrap();
        let intent = history.intent.map(|intent| intent.id);
        (intent, history.outcome.is_some(), history.open, history.last_success_ms)
    }

    #[test]
    fn an_intent_is_open_until_its_own_outcome() {
        use AuditKind::{After, DryRun, Intent, Outcome};
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
    fn torn_and_foreign_lines_are_skipped() {
        let whole = line(AuditKind::Intent, "a", None);
        let torn = whole[..whole.len() / 2].to_owned();
        let foreign = r#"{"kind":"something new","id":"z"}"#.to_owned();
        let lines = [String::new(), "\u{0}\u{1}".to_owned(), whole, foreign, torn];
        assert_eq!(history(&lines).2, ["a"]);
    }
}
