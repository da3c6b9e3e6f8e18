//! Which users or accounts have their lines together in one block of each family.
//!
//! A block costs each document the same however short it is, and compresses the better the more alike lines
//! it has. So small accounts share runs, and large ones are split.

use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::families::{
    ACCOUNT_FAMILIES, Context, Family, USER_FAMILIES, account_labels, user_labels,
};
use super::text::Lines;
use crate::clock::Stamp;
use crate::snapshot::{AccountView, Chunk};

/// Users of a run, about.
const USERS: usize = 1000;
/// A run of so many users ends with its account: a publication then concerns no other one.
const USERS_ALONE: usize = USERS / 3;
/// Accounts whose own lines are in one run.
const ACCOUNTS: usize = 32;

/// What the lines of a run are about; each has families of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Users,
    Accounts,
}

/// An account, or some of its users, in a run.
pub(super) struct Source {
    pub(super) view: Arc<AccountView>,
    /// The chunks of its users; of lines about accounts none.
    chunks: Range<usize>,
}

/// What lines were rendered from. It keeps neither users nor settings alive, but their addresses from being
/// used again.
pub(super) type Origin = Weak<dyn Any + Send + Sync>;

impl Subject {
    /// The families in the order of the exposition.
    pub(super) fn families(self) -> &'static [Family] {
        match self {
            Self::Users => &USER_FAMILIES,
            Self::Accounts => &ACCOUNT_FAMILIES,
        }
    }

    /// Splits accounts, or their users, into runs.
    pub(super) fn runs(self, views: &[Arc<AccountView>]) -> Vec<Vec<Source>> {
        match self {
            Self::Users => user_runs(views),
            Self::Accounts => {
                let source =
                    |view: &Arc<AccountView>| Source { view: Arc::clone(view), chunks: 0..0 };
                views.chunks(ACCOUNTS).map(|views| views.iter().map(source).collect()).collect()
            }
        }
    }
}

fn user_runs(views: &[Arc<AccountView>]) -> Vec<Vec<Source>> {
    let mut runs = Vec::new();
    let (mut run, mut users) = (Vec::new(), 0);
    for view in views {
        let mut start = 0;
        for (index, chunk) in view.chunks.iter().enumerate() {
            users += chunk.len();
            let last = index + 1 == view.chunks.len();
            let full = users >= USERS;
            if full || last {
                run.push(Source { view: Arc::clone(view), chunks: start..index + 1 });
                start = index + 1;
            }
            if full || (last && users >= USERS_ALONE) {
                runs.push(std::mem::take(&mut run));
                users = 0;
            }
        }
    }
    runs.extend((!run.is_empty()).then_some(run));
    runs
}

impl Source {
    fn users(&self) -> &[Arc<Chunk>] {
        self.view.chunks.get(self.chunks.clone()).unwrap_or_default()
    }

    /// The labels of each user, or of the account.
    pub(super) fn labels(&self, subject: Subject) -> Vec<String> {
        let account = account_labels(&self.view.account);
        match subject {
            Subject::Users => {
                let users = self.users().iter().flat_map(|chunk| &**chunk);
                users.map(|user| user_labels(&account, &user.user)).collect()
            }
            Subject::Accounts => vec![account],
        }
    }

    /// See [`Family::write`].
    pub(super) fn write(
        &self,
        family: &Family,
        lines: &mut Lines,
        labels: &[String],
        now: Stamp,
    ) -> Option<Duration> {
        let context = Context { account: &self.view.account, facts: &self.view.facts, now };
        family.write(lines, self.users(), labels, &context)
    }

    pub(super) fn origins(&self, subject: Subject) -> Vec<Origin> {
        match subject {
            Subject::Users => {
                let settings = Arc::downgrade(&self.view.account) as Origin;
                let users = self.users().iter().map(|chunk| Arc::downgrade(chunk) as Origin);
                std::iter::once(settings).chain(users).collect()
            }
            Subject::Accounts => vec![Arc::downgrade(&self.view) as Origin],
        }
    }
}
