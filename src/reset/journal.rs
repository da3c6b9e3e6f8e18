//! The journal of an account's resets on disk, and the cooldown that follows from it.
//!
//! A [`ResetJournal`] has two files in the account's folder: the state, from which the cooldown counts, and the
//! audit log. The state is on disk before the intent, and the intent before anything is sent:
//! after a crash at any point a reset that may have been sent keeps its cooldown. If the state file is
//! lost, the last intent of the log counts.
//!
//! Everything here waits for the disk and is called outside the async threads.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::audit::{AUDIT_FILE, AuditHistory, AuditKind, AuditLine};
use super::cooldown::{CooldownLeft, CooldownMark, Now};
use crate::blocking::lock;
use crate::clock::{self, Stamp};
use crate::metrics::{LastReset, ResetMarks, ResetResult};
use crate::storage::{AccountStore, Storage, StorageError};

/// The file with the time of the last reset.
const STATE_FILE: &str = "reset-state.json";

/// The content of the state file.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The id of the reset in the audit log.
    id: String,
    #[serde(flatten)]
    mark: CooldownMark,
}

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("no storage is given; start the exporter with --storage.path")]
    NoStorage,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the audit log cannot be read: {0}")]
    Log(#[from] std::io::Error),
    #[error(
        "the file {STATE_FILE} in the account's folder is not valid, so it is unknown when the \
         last reset was; check it and {AUDIT_FILE}, and move it away"
    )]
    State,
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// An account's resets.
#[derive(Debug)]
pub(super) struct ResetJournal {
    account: String,
    storage: Option<Storage>,
    loaded: Mutex<Option<Loaded>>,
}

/// The content of the files, and what was added since.
#[derive(Debug, Clone)]
struct Loaded {
    cooldowns: Vec<CooldownMark>,
    /// When the journal was loaded.
    since: Stamp,
    marks: ResetMarks,
}

impl ResetJournal {
    pub(super) fn new(account: &str, storage: Option<Storage>) -> Self {
        Self { account: account.to_owned(), storage, loaded: Mutex::default() }
    }

    /// Reads the files, once. Returns how many resets have no outcome; these are recorded as unknown.
    pub(super) fn open(&self) -> Result<usize, JournalError> {
        let mut loaded = self.loaded();
        if loaded.is_some() {
            return Ok(0);
        }
        let (storage, store) = self.store()?;
        let state = match store.read(STATE_FILE)? {
            Some(bytes) => {
                Some(serde_json::from_slice::<State>(&bytes).map_err(|_| JournalError::State)?)
            }
            None => None,
        };
        let history = match storage.open_unlocked(&self.account, AUDIT_FILE)? {
            Some(log) => AuditHistory::read(log)?,
            None => AuditHistory::default(),
        };
        let now = Stamp::now();
        for id in &history.open {
            let problem = "the exporter ended before the outcome was written down";
            let line = AuditLine {
                result: Some(ResetResult::Unknown.label().to_owned()),
                code: Some("outcome_unknown".to_owned()),
                problem: Some(problem.to_owned()),
                ..AuditLine::new(AuditKind::Outcome, id, now.unix)
            };
            append_to(&store, &line)?;
        }
        let from_log = history
            .intent
            .as_ref()
            .filter(|intent| state.as_ref().is_none_or(|state| state.id != intent.id));
        let from_log = from_log.and_then(|intent| intent.mark.clone());
        let marks = marks_of(&history);
        let cooldowns = state.map(|state| state.mark).into_iter().chain(from_log).collect();
        *loaded = Some(Loaded { cooldowns, since: now, marks });
        Ok(history.open.len())
    }

    /// The rest of the cooldown, if there is any; the longest where several count.
    pub(super) fn wait(&self, configured: Duration) -> Option<CooldownLeft> {
        self.each_mark(|mark, now| mark.over(configured, now).err())
    }

    /// The same by upstream's clock, where only the wall clock says that it is over.
    pub(super) fn denied_by(
        &self,
        server: Option<i64>,
        configured: Duration,
    ) -> Option<CooldownLeft> {
        self.each_mark(|mark, now| mark.denied_by(server, configured, now))
    }

    fn each_mark(
        &self,
        wait: impl Fn(&CooldownMark, Now<'_>) -> Option<CooldownLeft>,
    ) -> Option<CooldownLeft> {
        let (loaded, boot) = (self.loaded(), clock::boot());
        let loaded = loaded.as_ref()?;
        let now = Now { stamp: Stamp::now(), boot: boot.as_deref(), known_since: loaded.since };
        loaded.cooldowns.iter().filter_map(|mark| wait(mark, now)).max_by_key(|wait| wait.left)
    }

    /// Records that a reset is about to be sent: from then on the cooldown holds.
    pub(super) fn write_intent(
        &self,
        mark: CooldownMark,
        intent: &AuditLine,
    ) -> Result<(), JournalError> {
        let (_, store) = self.store()?;
        let state = State { id: intent.id.clone(), mark: mark.clone() };
        let state = serde_json::to_vec(&state)?;
        // In memory it holds even if the disk fails in between.
        if let Some(loaded) = self.loaded().as_mut() {
            loaded.cooldowns = vec![mark];
            loaded.since = Stamp::now();
        }
        store.write(STATE_FILE, &state)?;
        append_to(&store, intent)
    }

    /// Appends any other line.
    pub(super) fn append(&self, line: &AuditLine) -> Result<(), JournalError> {
        append_to(&self.store()?.1, line)
    }

    /// What the metrics and the status page show.
    pub(super) fn marks(&self) -> ResetMarks {
        self.loaded().as_ref().map(|loaded| loaded.marks).unwrap_or_default()
    }

    /// Changes what the metrics and the status page show.
    pub(super) fn update_marks(&self, change: impl FnOnce(&mut ResetMarks)) -> ResetMarks {
        let mut loaded = self.loaded();
        let Some(loaded) = loaded.as_mut() else { return ResetMarks::default() };
        change(&mut loaded.marks);
        loaded.marks
    }

    /// Opened each time: an account that is removed must not keep its folder locked.
    fn store(&self) -> Result<(&Storage, Arc<AccountStore>), JournalError> {
        let storage = self.storage.as_ref().ok_or(JournalError::NoStorage)?;
        Ok((storage, storage.shared(&self.account)?))
    }

    fn loaded(&self) -> MutexGuard<'_, Option<Loaded>> {
        lock(&self.loaded)
    }
}

fn append_to(store: &AccountStore, line: &AuditLine) -> Result<(), JournalError> {
    Ok(store.append(AUDIT_FILE, &serde_json::to_vec(line)?)?)
}

/// What the metrics and the status page show of a log.
fn marks_of(history: &AuditHistory) -> ResetMarks {
    let result = |line: &AuditLine| {
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
