//! What is written down of an account's resets, and what follows from it.
//!
//! A [`Book`] has two files in the account's folder: the state, from which the cooldown counts, and the
//! audit log. The state is on disk before the intent, and the intent before anything is sent, so that
//! whatever is found after a crash, a reset that may have left keeps its cooldown. Should the state be
//! lost, the log's last intent counts as well.
//!
//! Everything here waits for the disk: it is called away from the threads that serve sockets.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::audit::{AUDIT_FILE, History, Kind, Line};
use super::cooldown::{Mark, Now, Wait};
use crate::blocking::lock;
use crate::clock::{self, Stamp};
use crate::metrics::{LastReset, ResetMarks, ResetResult};
use crate::storage::{AccountStore, Storage, StorageError};

/// The file with the last mark.
const STATE_FILE: &str = "reset-state.json";

/// The content of the state file.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The reset that it is of, as in the audit log.
    id: String,
    #[serde(flatten)]
    mark: Mark,
}

/// Why nothing can be written down, or what is written is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum BookError {
    #[error("no storage is given; start the exporter with --storage.path")]
    NoStorage,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the audit log cannot be read: {0}")]
    Log(#[from] std::io::Error),
    #[error(
        "the file {STATE_FILE} in the account's folder is not understood, so nobody knows when the \
         last reset was; look at it and at {AUDIT_FILE}, and move it away"
    )]
    State,
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// An account's resets.
#[derive(Debug)]
pub(super) struct Book {
    account: String,
    storage: Option<Storage>,
    known: Mutex<Option<Known>>,
}

/// What was read from the files, and has happened since.
#[derive(Debug, Clone)]
struct Known {
    marks: Vec<Mark>,
    /// Since when they are known here.
    since: Stamp,
    told: ResetMarks,
}

impl Book {
    pub(super) fn new(account: &str, storage: Option<Storage>) -> Self {
        Self { account: account.to_owned(), storage, known: Mutex::default() }
    }

    /// Reads the files, once. Gives how many resets were found of which nobody knows how they ended;
    /// these are written down as such.
    pub(super) fn open(&self) -> Result<usize, BookError> {
        let mut known = self.known();
        if known.is_some() {
            return Ok(0);
        }
        let (storage, store) = self.store()?;
        let state = match store.read(STATE_FILE)? {
            Some(bytes) => {
                Some(serde_json::from_slice::<State>(&bytes).map_err(|_| BookError::State)?)
            }
            None => None,
        };
        let history = match storage.open_unlocked(&self.account, AUDIT_FILE)? {
            Some(log) => History::of(log)?,
            None => History::default(),
        };
        let now = Stamp::now();
        for id in &history.open {
            let problem = "the exporter ended before the outcome was written down";
            let line = Line {
                result: Some(ResetResult::Unknown.label().to_owned()),
                code: Some("outcome_unknown".to_owned()),
                problem: Some(problem.to_owned()),
                ..Line::new(Kind::Outcome, id, now.unix)
            };
            append(&store, &line)?;
        }
        let of_the_log = history
            .intent
            .as_ref()
            .filter(|intent| state.as_ref().is_none_or(|state| state.id != intent.id));
        let of_the_log = of_the_log.and_then(|intent| intent.mark.clone());
        let told = told(&history);
        let marks = state.map(|state| state.mark).into_iter().chain(of_the_log).collect();
        *known = Some(Known { marks, since: now, told });
        Ok(history.open.len())
    }

    /// How long the cooldown still takes, if it does; the longest where several count.
    pub(super) fn wait(&self, configured: Duration) -> Option<Wait> {
        self.each_mark(|mark, now| mark.over(configured, now).err())
    }

    /// The same by upstream's clock, where the wall clock alone has said that it is over.
    pub(super) fn denied_by(&self, server: Option<i64>, configured: Duration) -> Option<Wait> {
        self.each_mark(|mark, now| mark.denied_by(server, configured, now))
    }

    fn each_mark(&self, wait: impl Fn(&Mark, Now<'_>) -> Option<Wait>) -> Option<Wait> {
        let (known, boot) = (self.known(), clock::boot());
        let known = known.as_ref()?;
        let now = Now { stamp: Stamp::now(), boot: boot.as_deref(), known_since: known.since };
        known.marks.iter().filter_map(|mark| wait(mark, now)).max_by_key(|wait| wait.left)
    }

    /// Writes down that a reset is about to be sent: from then on the cooldown holds.
    pub(super) fn intend(&self, mark: Mark, intent: &Line) -> Result<(), BookError> {
        let (_, store) = self.store()?;
        let state = State { id: intent.id.clone(), mark: mark.clone() };
        let state = serde_json::to_vec(&state)?;
        // It holds here even if the disk fails half-way.
        if let Some(known) = self.known().as_mut() {
            known.marks = vec![mark];
            known.since = Stamp::now();
        }
        store.write(STATE_FILE, &state)?;
        append(&store, intent)
    }

    /// Writes down anything else.
    pub(super) fn note(&self, line: &Line) -> Result<(), BookError> {
        append(&self.store()?.1, line)
    }

    /// What the metrics and the page tell.
    pub(super) fn told(&self) -> ResetMarks {
        self.known().as_ref().map(|known| known.told).unwrap_or_default()
    }

    /// Changes that.
    pub(super) fn tell(&self, change: impl FnOnce(&mut ResetMarks)) -> ResetMarks {
        let mut known = self.known();
        let Some(known) = known.as_mut() else { return ResetMarks::default() };
        change(&mut known.told);
        known.told
    }

    /// Opened each time: an account that is removed must not keep its folder locked.
    fn store(&self) -> Result<(&Storage, Arc<AccountStore>), BookError> {
        let storage = self.storage.as_ref().ok_or(BookError::NoStorage)?;
        Ok((storage, storage.shared(&self.account)?))
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        lock(&self.known)
    }
}

fn append(store: &AccountStore, line: &Line) -> Result<(), BookError> {
    Ok(store.append(AUDIT_FILE, &serde_json::to_vec(line)?)?)
}

/// What a log tells for the metrics and the page.
fn told(history: &History) -> ResetMarks {
    let result = |line: &Line| {
        let label = line.result.as_deref();
        ResetResult::ALL.into_iter().find(|result| Some(result.label()) == label)
    };
    let last = history.intent.as_ref().map(|intent| LastReset {
        at: Duration::from_millis(intent.unix_ms),
        result: history.outcome.as_ref().and_then(result).unwrap_or(ResetResult::Unknown),
        before: intent.figures.map_or(0, |figures| figures.total),
        after: history.after.as_ref().and_then(|line| line.figures).map(|figures| figures.total),
    });
    ResetMarks {
        last_success: history.last_success_ms.map(Duration::from_millis),
        unresolved: last.is_some_and(|last| last.result == ResetResult::Unknown),
        last,
    }
}

#[cfg(test)]
mod tests;
