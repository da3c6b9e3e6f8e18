use std::fs;

use tempfile::TempDir;

use super::*;
use crate::storage::StorageError;

const HOUR: Duration = Duration::from_hours(1);

struct TestFolder {
    folder: TempDir,
}

impl TestFolder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The journal of a process that has just started.
    fn journal(&self) -> ResetJournal {
        ResetJournal::new("acme".into(), Some(Storage::new(self.folder.path().join("data"))))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data/acme").join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path(AUDIT_FILE)).unwrap()
    }
}

fn mark() -> CooldownMark {
    CooldownMark::new(Stamp::now(), clock::boot().map(str::to_owned), HOUR)
}

fn intent(id: &str) -> AuditLine {
    AuditLine { mark: Some(mark()), ..AuditLine::new(AuditKind::Intent, id, Stamp::now().unix) }
}

fn ended(id: &str, result: ResetResult) -> AuditLine {
    let result = Some(result.label().to_owned());
    AuditLine { result, ..AuditLine::new(AuditKind::Outcome, id, Stamp::now().unix) }
}

#[tokio::test]
async fn an_intent_keeps_its_cooldown_over_a_restart_with_or_without_an_outcome() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    assert_eq!(journal.open().await.unwrap(), 0);
    assert_eq!(journal.cooldown_left(HOUR), None);
    journal.write_intent(mark(), intent("a")).await.unwrap();
    assert!(journal.cooldown_left(HOUR).is_some());
    let journal = folder.journal();
    assert_eq!(journal.open().await.unwrap(), 1, "its outcome is unknown");
    assert!(journal.cooldown_left(HOUR).is_some());
    assert!(journal.marks().unresolved && journal.marks().last_success.is_none());
    assert_eq!(folder.journal().open().await.unwrap(), 0, "which is recorded once");
    assert!(folder.journal().cooldown_left(HOUR).is_none(), "before the files are read");
    let journal = folder.journal();
    journal.open().await.unwrap();
    assert!(journal.marks().unresolved && journal.cooldown_left(HOUR).is_some());
    journal.write_intent(mark(), intent("b")).await.unwrap();
    journal.append(ended("b", ResetResult::Cleared)).await.unwrap();
    let journal = folder.journal();
    assert_eq!(journal.open().await.unwrap(), 0);
    assert!(!journal.marks().unresolved && journal.marks().last_success.is_some());
    assert!(journal.cooldown_left(HOUR).is_some());
}

#[tokio::test]
async fn a_kill_between_the_two_files_keeps_the_cooldown() {
    let folder = TestFolder::new();
    folder.journal().open().await.unwrap();
    let journal = folder.journal();
    journal.open().await.unwrap();
    journal.write_intent(mark(), intent("a")).await.unwrap();
    // As if it had been killed before the log was written.
    fs::remove_file(folder.path(AUDIT_FILE)).unwrap();
    let journal = folder.journal();
    assert_eq!(journal.open().await.unwrap(), 0, "nothing was sent");
    assert!(journal.cooldown_left(HOUR).is_some());
}

#[tokio::test]
async fn a_lost_state_is_replaced_by_the_log() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().await.unwrap();
    journal.write_intent(mark(), intent("a")).await.unwrap();
    journal.append(ended("a", ResetResult::Failed)).await.unwrap();
    fs::remove_file(folder.path(STATE_FILE)).unwrap();
    let journal = folder.journal();
    journal.open().await.unwrap();
    assert!(journal.cooldown_left(HOUR).is_some());
}

#[tokio::test]
async fn an_invalid_state_refuses_resets() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().await.unwrap();
    journal.write_intent(mark(), intent("a")).await.unwrap();
    for broken in ["", "{}", "null", r#"{"id":"a"}"#] {
        fs::write(folder.path(STATE_FILE), broken).unwrap();
        let refusal = folder.journal().open().await.unwrap_err();
        assert!(refusal.message.contains("is not valid"), "{broken}: {refusal:?}");
    }
    let refusal = ResetJournal::new("acme".into(), None).open().await.unwrap_err();
    assert!(refusal.message.starts_with("no storage is given"), "{refusal:?}");
}

#[tokio::test]
async fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().await.unwrap();
    journal.write_intent(mark(), intent("a")).await.unwrap();
    for name in [AUDIT_FILE, STATE_FILE] {
        assert_eq!(fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(folder.log().lines().count(), 1);
}

#[tokio::test]
async fn a_disk_that_hangs_refuses_a_reset_and_holds_up_nothing_else() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().await.unwrap();
    let (end, wait_for_end) = std::sync::mpsc::channel::<()>();
    let (running, is_running) = tokio::sync::oneshot::channel();
    let files = journal.files().unwrap();
    let hanging = tokio::spawn(async move {
        let hung = files.run(move |_| {
            let _ = running.send(());
            let _ = wait_for_end.recv();
            Ok::<_, StorageError>(())
        });
        hung.await
    });
    is_running.await.unwrap();
    tokio::time::pause();
    let write = journal.write_intent(mark(), intent("a"));
    let (refused, ()) = tokio::join!(write, tokio::time::advance(Duration::from_mins(1)));
    let refused = refused.unwrap_err();
    assert!(refused.message.contains(" does not respond"), "{refused:?}");
    assert!(journal.cooldown_left(HOUR).is_some(), "what looks at the journal does not wait");
    hanging.await.unwrap().unwrap_err();
    tokio::time::resume();
    drop(end);
    journal.append(ended("b", ResetResult::Failed)).await.unwrap();
    assert!(!folder.log().contains(r#""intent""#), "{}", folder.log());
}

#[tokio::test]
async fn an_intent_that_is_on_disk_too_late_was_not_sent_and_keeps_its_cooldown() {
    let folder = TestFolder::new();
    let state = serde_json::to_vec(&State { id: "a".to_owned(), mark: mark() }).unwrap();
    let files = folder.journal().files().unwrap();
    let written = files.run(move |store| write_both(store, &state, &intent("a"), || true)).await;
    written.unwrap();
    drop(files);
    let journal = folder.journal();
    assert_eq!(journal.open().await.unwrap(), 0, "it is known that nothing was sent");
    assert!(journal.cooldown_left(HOUR).is_some() && !journal.marks().unresolved);
}

#[tokio::test]
async fn a_renamed_account_keeps_its_cooldown() {
    let folder = TestFolder::new();
    let journal = |name| {
        let storage = Storage::new(folder.folder.path().join("data"));
        ResetJournal::new(AccountFolder::new(name, Some("78231464")), Some(storage))
    };
    let before = journal("acme");
    before.open().await.unwrap();
    before.write_intent(mark(), intent("a")).await.unwrap();
    let after = journal("renamed");
    assert_eq!(after.open().await.unwrap(), 1);
    assert!(after.cooldown_left(HOUR).is_some());
}

#[tokio::test]
async fn a_state_of_a_newer_version_refuses_resets_and_is_left_untouched() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().await.unwrap();
    journal.write_intent(mark(), intent("a")).await.unwrap();
    drop(journal);
    let state = fs::read_to_string(folder.path(STATE_FILE)).unwrap();
    assert!(state.starts_with(r#"{"version":1,"id":"a","#), "{state}");
    let newer = state.replace(r#""version":1"#, r#""version":2"#);
    fs::write(folder.path(STATE_FILE), &newer).unwrap();
    let (journal, log) = (folder.journal(), folder.log());
    let refused = journal.open().await.unwrap_err().message;
    assert!(refused.contains(STATE_FILE) && refused.contains("newer version"), "{refused}");
    assert_eq!(fs::read_to_string(folder.path(STATE_FILE)).unwrap(), newer);
    assert_eq!(folder.log(), log, "no outcome is added to what is not understood");
}

#[tokio::test]
async fn of_a_long_log_only_the_end_is_read() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().await.unwrap();
    journal.append(intent("a")).await.unwrap();
    // In place of the readings of years.
    let log = fs::OpenOptions::new().write(true).open(folder.path(AUDIT_FILE)).unwrap();
    log.set_len(log.metadata().unwrap().len() + LOG_READ_MAX).unwrap();
    drop(log);
    for id in ["b", "c"] {
        journal.append(intent(id)).await.unwrap();
    }
    assert_eq!(folder.journal().open().await.unwrap(), 2);
}
