//! The part of a file that is being checked, to begin messages with.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::place::{At, Spot};
use super::report::Report;

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

    /// Notes that a key contradicts what stands at `other`.
    pub(crate) fn conflict(&mut self, at: At, key: &str, what: impl Display, other: &Spot) {
        self.problem(at, key, format_args!("{what}; the other one is at {other}"));
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
