//! Collects what is wrong with a file while it is checked.

use super::place::Spot;
use super::problem::{ConfigError, ConfigProblem};

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
