//! The journal of an account's resets on disk, and the cooldown that follows from it.
//!
//! A [`ResetJournal`] has two files in the account's folder: the state, from which the cooldown counts, and the
//! audit log. The state is on disk before the intent, and the intent before anything is sent:
//! after a crash at any point a reset that may have been sent keeps its cooldown. If the state file is
//! lost, the last intent of the log counts.
//!
//! No lock is held while the disk is waited for.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::audit::{AUDIT_FILE, AuditHistory, AuditKind, AuditLine};
use super::cooldown::{Cooldown, CooldownLeft, CooldownMark};
use super::guards::Refusal;
use crate::blocking::lock;
use crate::clock::{self, Stamp};
use crate::metrics::{LastReset, ResetMarks, ResetResult};
use crate::poller::PollerHandle;
use crate::storage::{
    AccountFiles, AccountFolder, AccountStore, StateError, Storage, parse_state, state_bytes,
};

/// The file with the time of the last reset.
const STATE_FILE: &str = "reset-state.json";

/// Its format.
const VERSION: u32 = 1;

/// How much of the log is read at the start, from its end: a thousand resets of a thousand users.
const LOG_READ_MAX: u64 = 64 << 20;

/// The content of the state file.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The id of the reset in the audit log.
    id: String,
    #[serde(flatten)]
    mark: CooldownMark,
}

/// The resets of one account. It is kept when the account is renamed or its settings change.
pub(super) struct ResetJournal {
    folder: AccountFolder,
    storage: Option<Storage>,
    loaded: Arc<Mutex<Option<Loaded>>>,
    /// Held while a reset is in flight.
    pub(super) in_flight: tokio::sync::Mutex<()>,
    /// Whether upstream has named another account in its response.
    pub(super) locked: AtomicBool,
}

/// The content of the files, and what was added since.
#[derive(Debug, Clone)]
struct Loaded {
    cooldowns: Vec<Cooldown>,
    marks: ResetMarks,
    /// Resets without an outcome, which are not counted yet.
    unresolved: usize,
}

/// Uses the time of the last reset as a start does. Whether these bytes hold one.
#[cfg(fuzzing)]
pub fn uses_last_reset(bytes: &[u8]) -> bool {
    let Ok(state) = parse_state::<State>(bytes, VERSION) else { return false };
    let (now, boot) = (Stamp::now(), clock::boot());
    for boot in [None, boot] {
        let _ = state.mark.cooldown(now, boot).left(Duration::from_hours(1), now);
    }
    true
}

impl ResetJournal {
    pub(super) fn new(folder: AccountFolder, storage: Option<Storage>) -> Self {
        let (loaded, in_flight, locked) = Default::default();
        Self { folder, storage, loaded, in_flight, locked }
    }

    /// Reads the files, unless that was done, and updates the account's metrics from them.
    pub(super) async fn load(&self, poller: &PollerHandle) -> Result<(), Refusal> {
        let unresolved = self.open().await?;
        let account = &poller.account.name;
        for _ in 0..unresolved {
            poller.tally.change(|tally| tally.resets.ended(ResetResult::Unknown));
            warn!(%account, "a reset was sent or about to be sent when the exporter ended; its outcome \
                is unknown, and its cooldown holds");
        }
        let marks = self.marks();
        if unresolved > 0 || poller.tally.values().resets.marks != marks {
            poller.tally.change(|tally| tally.resets.marks = marks);
            poller.publish.notify_one();
        }
        Ok(())
    }

    /// Reads the files, once. Returns how many resets have no outcome; these are recorded as unknown.
    async fn open(&self) -> Result<usize, Refusal> {
        let is_loaded = lock(&self.loaded).is_some();
        if !is_loaded {
            let (files, loaded) = (self.files()?, Arc::clone(&self.loaded));
            let read = files.run(move |store| {
                // One that was given up may have read them meanwhile.
                if lock(&loaded).is_none() {
                    let read = Loaded::read(store)?;
                    *lock(&loaded) = Some(read);
                }
                Ok::<_, Refusal>(())
            });
            read.await?;
        }
        let mut loaded = lock(&self.loaded);
        Ok(loaded.as_mut().map_or(0, |loaded| std::mem::take(&mut loaded.unresolved)))
    }

    /// The rest of the cooldown, if there is any; the longest where several count.
    pub(super) fn cooldown_left(&self, configured: Duration) -> Option<CooldownLeft> {
        let (loaded, now) = (lock(&self.loaded), Stamp::now());
        let cooldowns = loaded.as_ref()?.cooldowns.iter();
        cooldowns.filter_map(|one| one.left(configured, now)).max_by_key(|left| left.left)
    }

    /// Records that a reset is about to be sent: from then on the cooldown holds. Where the disk takes too
    /// long the reset is not sent, which is recorded as soon as the intent is.
    pub(super) async fn write_intent(
        &self,
        mark: CooldownMark,
        intent: AuditLine,
    ) -> Result<(), Refusal> {
        let files = self.files()?;
        let cooldown = mark.cooldown(Stamp::now(), clock::boot());
        let state = state_bytes(&State { id: intent.id.clone(), mark }, VERSION);
        // In memory it holds even if the disk fails in between.
        if let Some(loaded) = lock(&self.loaded).as_mut() {
            loaded.cooldowns = vec![cooldown];
        }
        let given_up = Arc::new(AtomicBool::new(false));
        let late = Arc::clone(&given_up);
        let written =
            files.run(move |store| write_both(store, &state, &intent, || late.load(SeqCst))).await;
        given_up.store(written.is_err(), SeqCst);
        written
    }

    /// Appends any other line.
    pub(super) async fn append(&self, line: AuditLine) -> Result<(), Refusal> {
        self.files()?.run(move |store| append_to(store, &line)).await
    }

    /// What the metrics and the status page show.
    fn marks(&self) -> ResetMarks {
        lock(&self.loaded).as_ref().map(|loaded| loaded.marks).unwrap_or_default()
    }

    /// Changes what the metrics and the status page show.
    pub(super) fn update_marks(&self, change: impl FnOnce(&mut ResetMarks)) -> ResetMarks {
        let mut loaded = lock(&self.loaded);
        let Some(loaded) = loaded.as_mut() else { return ResetMarks::default() };
        change(&mut loaded.marks);
        loaded.marks
    }

    /// Had each time: an account that is removed must not keep its folder locked.
    fn files(&self) -> Result<Arc<AccountFiles>, Refusal> {
        let storage = self.storage.as_ref().ok_or_else(|| {
            Refusal::storage("no storage is given; start the exporter with --storage.path")
        })?;
        Ok(storage.files(self.folder.clone()))
    }
}

impl Loaded {
    /// Reads both files, and records for each intent without an outcome that it is unknown.
    fn read(store: &mut AccountStore) -> Result<Self, Refusal> {
        let state = match store.read(STATE_FILE)? {
            Some(bytes) => Some(
                parse_state::<State>(&bytes, VERSION).map_err(|error| unusable_state(&error))?,
            ),
            None => None,
        };
        let history = store.open(AUDIT_FILE)?.map_or_else(|| Ok(AuditHistory::default()), read_log);
        let history = history
            .map_err(|error| Refusal::storage(format!("the audit log cannot be read: {error}")))?;
        for id in &history.open {
            let problem = "the exporter ended before the outcome was written down";
            let line = AuditLine {
                code: Some("outcome_unknown".to_owned()),
                ..outcome(id, ResetResult::Unknown, problem)
            };
            append_to(store, &line)?;
        }
        let from_log = history
            .intent
            .as_ref()
            .filter(|intent| state.as_ref().is_none_or(|state| state.id != intent.id));
        let from_log = from_log.and_then(|intent| intent.mark.clone());
        let marks = marks_of(&history);
        let (now, boot) = (Stamp::now(), clock::boot());
        let known = state.map(|state| state.mark).into_iter().chain(from_log);
        let cooldowns = known.map(|mark| mark.cooldown(now, boot)).collect();
        Ok(Self { cooldowns, marks, unresolved: history.open.len() })
    }
}

fn unusable_state(error: &StateError) -> Refusal {
    let file = format!("the file {STATE_FILE} in the account's folder");
    Refusal::storage(match error {
        StateError::Newer { .. } => format!("{file} cannot be used: {error}"),
        StateError::Invalid(_) => format!(
            "{file} is not valid, so it is unknown when the last reset was; check it and {AUDIT_FILE}, and \
             move it away"
        ),
    })
}

/// Reads the end of a log; the files of the account wait for this.
fn read_log(mut log: File) -> io::Result<AuditHistory> {
    let rest = log.metadata()?.len().saturating_sub(LOG_READ_MAX);
    log.seek(SeekFrom::Start(rest))?;
    let recent = AuditHistory::read(&mut log)?;
    if rest == 0 || recent.intent.is_some() {
        return Ok(recent);
    }
    // Dry runs have pushed the last reset out of it.
    log.rewind()?;
    AuditHistory::read(log)
}

fn outcome(id: &str, result: ResetResult, problem: &str) -> AuditLine {
    AuditLine {
        result: Some(result.label().to_owned()),
        problem: Some(problem.to_owned()),
        ..AuditLine::new(AuditKind::Outcome, id, Stamp::now().unix)
    }
}

/// Writes the state and the intent, and what became of it if it is on disk too `late` to be sent.
fn write_both(
    store: &mut AccountStore,
    state: &[u8],
    intent: &AuditLine,
    late: impl FnOnce() -> bool,
) -> Result<(), Refusal> {
    store.write(STATE_FILE, state)?;
    append_to(store, intent)?;
    if late() {
        let problem = "nothing was sent: the disk took too long for the intent";
        append_to(store, &outcome(&intent.id, ResetResult::Failed, problem))?;
    }
    Ok(())
}

fn append_to(store: &mut AccountStore, line: &AuditLine) -> Result<(), Refusal> {
    let line = serde_json::to_vec(line).expect("strings and numbers can be written");
    Ok(store.append(AUDIT_FILE, &line)?)
}

/// What the metrics and the status page show of a log.
fn marks_of(history: &AuditHistory) -> ResetMarks {
    let result = |line: &AuditLine| {
        let label = line.result.as_deref();
        ResetResult::ALL.iter().copied().find(|result| Some(result.label()) == label)
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
