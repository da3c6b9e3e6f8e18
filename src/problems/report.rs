//! Collects what is wrong with a file while it is checked, in the words an operator reads.
//!
//! [`ConfigProblem`] is one line of `check-config`; [`ConfigError`] is all of them at once, as a [`Report`]
//! makes them. Their text never holds a value that may be a secret. A [`Scope`] is the part of a file that is
//! being checked, to begin messages with.

use std::fmt::{self, Display};
use std::path::Path;
use std::sync::Arc;

use super::place::{At, Spot};

/// One thing that is wrong, or worth a warning, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigProblem {
    /// Where it is.
    pub spot: Spot,
    /// Where in the file's structure, what is wrong, and what to do.
    pub message: String,
}

/// Why a configuration was refused: every problem found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The problems, by file and line.
    pub problems: Vec<ConfigProblem>,
    /// How many more were found than `problems` holds.
    pub more: usize,
    /// What would have been warned of had the configuration been good.
    pub warnings: Vec<ConfigProblem>,
}

impl ConfigError {
    /// A file of which only one thing can be said.
    pub(crate) fn whole(file: &Path, message: String) -> Self {
        let problem = ConfigProblem { spot: Spot { file: file.into(), at: None }, message };
        Self { problems: vec![problem], more: 0, warnings: Vec::new() }
    }
}

impl Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.spot, self.message)
    }
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Most problems that are reported in full.
const REPORTED_MAX: usize = 50;

/// Stands for a value whose problem is in the report.
#[derive(Clone, Copy)]
pub(crate) struct Noted;

/// What has been found so far in one file.
#[derive(Default)]
pub(crate) struct Report {
    problems: Vec<ConfigProblem>,
    more: usize,
    warnings: Vec<ConfigProblem>,
}

impl Report {
    /// Notes a problem.
    pub(crate) fn problem(&mut self, spot: &Spot, message: String) {
        if self.problems.len() < REPORTED_MAX {
            self.problems.push(ConfigProblem { spot: spot.clone(), message });
        } else {
            self.more += 1;
        }
    }

    /// Notes what is legal but unwise.
    pub(crate) fn warn(&mut self, spot: &Spot, message: String) {
        if self.warnings.len() < REPORTED_MAX {
            self.warnings.push(ConfigProblem { spot: spot.clone(), message });
        }
    }

    /// How many problems were noted.
    pub(crate) fn count(&self) -> usize {
        self.problems.len() + self.more
    }

    /// Whether no problem was noted.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The warnings, or everything if there was a problem; both in the order of the file.
    pub(crate) fn finish(self) -> Result<Vec<ConfigProblem>, ConfigError> {
        let Self { mut problems, more, mut warnings } = self;
        for found in [&mut problems, &mut warnings] {
            found.sort_by_key(|problem| problem.spot.at);
        }
        if problems.is_empty() {
            Ok(warnings)
        } else {
            Err(ConfigError { problems, more, warnings })
        }
    }
}

/// A mapping or list of a file: where notes about its parts go and how they begin,
/// `accounts[0] "acme": users[3]`.
pub(crate) struct Scope<'r> {
    report: &'r mut Report,
    file: Arc<Path>,
    words: String,
}

impl<'r> Scope<'r> {
    /// A whole file.
    pub(crate) fn new(report: &'r mut Report, file: &Arc<Path>) -> Self {
        Self { report, file: Arc::clone(file), words: String::new() }
    }

    /// What stands under a key of it.
    pub(crate) fn within(&mut self, key: &str) -> Scope<'_> {
        let words = self.about(key);
        Scope { report: self.report, file: Arc::clone(&self.file), words }
    }

    /// The words for one of its keys; without a key for itself.
    pub(crate) fn about(&self, key: &str) -> String {
        let joint = match self.words.as_bytes() {
            _ if key.is_empty() => "",
            [] => "",
            [.., b'"'] => ": ",
            _ => ".",
        };
        format!("{}{joint}{key}", self.words)
    }

    /// A place in its file.
    pub(crate) fn spot(&self, at: At) -> Spot {
        Spot { file: Arc::clone(&self.file), at }
    }

    /// Notes a problem of a key.
    pub(crate) fn problem(&mut self, at: At, key: &str, what: impl Display) {
        let message = self.message(key, &what);
        self.report.problem(&self.spot(at), message);
    }

    /// Likewise, for a value that is missing because of it.
    pub(crate) fn refuse<T>(&mut self, at: At, key: &str, what: impl Display) -> Option<T> {
        self.problem(at, key, what);
        None
    }

    /// Notes a warning about a key.
    pub(crate) fn warn(&mut self, at: At, key: &str, what: impl Display) {
        let message = self.message(key, &what);
        self.report.warn(&self.spot(at), message);
    }

    /// Where all of it goes.
    pub(crate) fn report(&mut self) -> &mut Report {
        self.report
    }

    fn message(&self, key: &str, what: &dyn Display) -> String {
        let words = self.about(key);
        let joint = if words.is_empty() { "" } else { ": " };
        format!("{words}{joint}{what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_stays_on_one_line() {
        let problem = ConfigProblem {
            spot: Spot { file: Path::new("a\nb.yaml").into(), at: Some((3, 7)) },
            message: "is wrong".to_owned(),
        };
        assert_eq!(problem.to_string(), "a\\nb.yaml:3:7: is wrong");
    }

    #[test]
    fn an_error_lists_its_problems_and_counts_the_rest() {
        let problem = |message: &str| ConfigProblem {
            spot: Spot { file: Path::new("c.yaml").into(), at: None },
            message: message.to_owned(),
        };
        let error = ConfigError {
            problems: vec![problem("one"), problem("two")],
            more: 5,
            warnings: Vec::new(),
        };
        assert_eq!(error.to_string(), "c.yaml: one\nc.yaml: two\nand 5 more");
    }
}
