//! Collects problems while the files are read, and places them in their lines at the end.
//!
//! The readers note a [`Spot`], which costs nothing to look up; [`Report::finish`] turns spots into
//! lines and columns through [`locate`](super::locate), each at the price of reading a file once
//! more. Hence the limits below.

use super::locate::locate;
use super::problem::{ConfigError, ConfigProblem};
use super::source::SourceFile;
use crate::text;

/// Most problems that are reported in full.
const REPORTED_MAX: usize = 50;
/// Most bytes of text read again to find places, some seconds' worth; what remains is reported with its
/// file and its place in the structure.
const REREAD_MAX: usize = 64 << 20;

/// A place in one of the files.
#[derive(Clone)]
pub(crate) struct Spot {
    /// Index of the file in the order of reading.
    pub(crate) file: usize,
    /// Where in it.
    pub(crate) place: Place,
}

/// A place within a file.
#[derive(Clone)]
pub(crate) enum Place {
    /// The file as a whole.
    File,
    /// Line and column, from 1.
    At((usize, usize)),
    /// A value, by the index of the child at each level.
    Value(Vec<usize>),
    /// The key of a mapping's entry, likewise.
    Key(Vec<usize>),
}

struct ReportEntry {
    spot: Spot,
    message: String,
    /// Another place that the end of the message names.
    other: Option<(&'static str, Spot)>,
}

/// Stands for a value whose problem is in the report.
pub(crate) struct Noted;

/// What has been found so far.
#[derive(Default)]
pub(crate) struct Report {
    problems: Vec<ReportEntry>,
    more: usize,
    warnings: Vec<ReportEntry>,
}

impl Report {
    /// Notes a problem.
    pub(crate) fn problem(&mut self, spot: Spot, message: String) {
        self.note(ReportEntry { spot, message, other: None });
    }

    /// Notes a problem whose message ends in `joint` and the place of `other`.
    pub(crate) fn conflict(
        &mut self,
        spot: Spot,
        message: String,
        joint: &'static str,
        other: Spot,
    ) {
        self.note(ReportEntry { spot, message, other: Some((joint, other)) });
    }

    /// Notes what is legal but unwise.
    pub(crate) fn warn(&mut self, spot: Spot, message: String) {
        if self.warnings.len() < REPORTED_MAX {
            self.warnings.push(ReportEntry { spot, message, other: None });
        }
    }

    /// Whether no problem was noted.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn note(&mut self, entry: ReportEntry) {
        if self.problems.len() < REPORTED_MAX {
            self.problems.push(entry);
        } else {
            self.more += 1;
        }
    }

    /// The warnings, or everything if there was a problem.
    pub(crate) fn finish(self, sources: &[SourceFile]) -> Result<Vec<ConfigProblem>, ConfigError> {
        let mut places = Places { sources, left: REREAD_MAX };
        let problems = places.resolve(self.problems);
        let warnings = places.resolve(self.warnings);
        if problems.is_empty() {
            Ok(warnings)
        } else {
            Err(ConfigError { problems, more: self.more, warnings })
        }
    }
}

struct Places<'a> {
    sources: &'a [SourceFile],
    left: usize,
}

impl Places<'_> {
    /// Problems in the order of reading the files, within one by line.
    fn resolve(&mut self, entries: Vec<ReportEntry>) -> Vec<ConfigProblem> {
        let mut problems: Vec<(usize, ConfigProblem)> = entries
            .into_iter()
            .map(|entry| {
                let file = entry.spot.file;
                let at = self.find(&entry.spot);
                let mut message = entry.message;
                if let Some((joint, other)) = entry.other {
                    message.push_str(joint);
                    message.push_str(&self.name(&other));
                }
                let (line, column) = at.unzip();
                (file, ConfigProblem { file: self.path(file), line, column, message })
            })
            .collect();
        problems.sort_by_key(|(file, problem)| (*file, problem.line, problem.column));
        problems.into_iter().map(|(_, problem)| problem).collect()
    }

    fn path(&self, file: usize) -> std::path::PathBuf {
        self.sources.get(file).map(|source| source.path.clone()).unwrap_or_default()
    }

    fn name(&mut self, spot: &Spot) -> String {
        let path = text::path(&self.path(spot.file));
        match self.find(spot) {
            Some((line, column)) => format!("{path}:{line}:{column}"),
            None => path,
        }
    }

    fn find(&mut self, spot: &Spot) -> Option<(usize, usize)> {
        let (steps, key) = match &spot.place {
            Place::File => return None,
            Place::At(at) => return Some(*at),
            Place::Value(steps) => (steps, false),
            Place::Key(steps) => (steps, true),
        };
        let bytes = &self.sources.get(spot.file)?.bytes;
        self.left = self.left.checked_sub(bytes.len())?;
        locate(bytes, steps, key)
    }
}
