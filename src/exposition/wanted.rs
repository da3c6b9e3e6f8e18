//! Which accounts a client wants to see.

use std::collections::HashSet;
use std::sync::Arc;

use super::text::Format;
use crate::snapshot::AccountView;

/// What a client wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The format.
    pub format: Format,
    /// The names of the accounts; empty for all, with the metrics of the process.
    pub accounts: Vec<String>,
}

/// The accounts of a selection, among all.
pub(super) struct Wanted<'a> {
    pub(super) all: &'a [Arc<AccountView>],
    /// The names of those wanted, if not all are.
    names: Option<HashSet<&'a str>>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many requests are under way.
    #[error("too many requests at once")]
    Busy,
    /// No account has this name.
    #[error("no account is named {0} here")]
    UnknownAccount(String),
}

impl<'a> Wanted<'a> {
    pub(super) fn all(all: &'a [Arc<AccountView>]) -> Self {
        Self { all, names: None }
    }

    pub(super) fn new(
        selection: &'a Selection,
        all: &'a [Arc<AccountView>],
    ) -> Result<Self, NoAnswer> {
        if selection.accounts.is_empty() {
            return Ok(Self::all(all));
        }
        let known: HashSet<&str> = all.iter().map(|view| view.account.name.as_str()).collect();
        let names = || selection.accounts.iter().map(String::as_str);
        match names().find(|name| !known.contains(name)) {
            Some(name) => Err(NoAnswer::UnknownAccount(name.to_owned())),
            None => Ok(Self { all, names: Some(names().collect()) }),
        }
    }

    pub(super) fn includes(&self, view: &AccountView) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(view.account.name.as_str()))
    }

    /// Those that are wanted.
    pub(super) fn views(&self) -> impl Iterator<Item = &Arc<AccountView>> {
        self.all.iter().filter(|view| self.includes(view))
    }
}
