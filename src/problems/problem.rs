//! What is wrong with a configuration, in the words an operator reads.
//!
//! [`ConfigProblem`] is one line of `check-config`; [`ConfigError`] is all of them at once. The `report`
//! module makes them. Their text never holds a value that may be a secret.

use std::fmt;
use std::path::Path;

use super::place::Spot;

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

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.spot, self.message)
    }
}

impl fmt::Display for ConfigError {
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
