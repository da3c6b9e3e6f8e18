use std::fs;

use tempfile::TempDir;

use super::*;

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
        ResetJournal::new("acme", Some(Storage::new(self.folder.path().join("data"))))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data/acme").join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path(AUDIT_FILE)).unwrap()
    }
}

fn mark() -> CooldownMark {
    CooldownMark::new(Stamp::now(), clock::boot(), None, HOUR)
}

fn intent(id: &str) -> AuditLine {
    AuditLine { mark: Some(mark()), ..AuditLine::new(AuditKind::Intent, id, Stamp::now().unix) }
}

fn outcome(id: &str, result: ResetResult) -> AuditLine {
    let result = Some(result.label().to_owned());
    AuditLine { result, ..AuditLine::new(AuditKind::Outcome, id, Stamp::now().unix) }
}

#[test]
fn an_intent_keeps_its_cooldown_over_a_restart_with_or_without_an_outcome() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    assert_eq!(journal.open().unwrap(), 0);
    assert_eq!(journal.wait(HOUR), None);
    journal.write_intent(mark(), &intent("a")).unwrap();
    assert!(journal.wait(HOUR).is_some());
    let journal = folder.journal();
    assert_eq!(journal.open().unwrap(), 1, "its outcome is unknown");
    assert!(journal.wait(HOUR).is_some());
    assert!(journal.marks().unresolved && journal.marks().last_success.is_none());
    assert_eq!(folder.journal().open().unwrap(), 0, "which is recorded once");
    assert!(folder.journal().wait(HOUR).is_none(), "before the files are read");
    let journal = folder.journal();
    journal.open().unwrap();
    assert!(journal.marks().unresolved && journal.wait(HOUR).is_some());
    journal.write_intent(mark(), &intent("b")).unwrap();
    journal.append(&outcome("b", ResetResult::Cleared)).unwrap();
    let journal = folder.journal();
    assert_eq!(journal.open().unwrap(), 0);
    assert!(!journal.marks().unresolved && journal.marks().last_success.is_some());
    assert!(journal.wait(HOUR).is_some());
}

#[test]
fn a_kill_between_the_two_files_keeps_the_cooldown() {
    let folder = TestFolder::new();
    folder.journal().open().unwrap();
    let journal = folder.journal();
    journal.open().unwrap();
    journal.write_intent(mark(), &intent("a")).unwrap();
    // As if it had been killed before the log was written.
    fs::remove_file(folder.path(AUDIT_FILE)).unwrap();
    let journal = folder.journal();
    assert_eq!(journal.open().unwrap(), 0, "nothing was sent");
    assert!(journal.wait(HOUR).is_some());
}

#[test]
fn a_lost_state_is_replaced_by_the_log() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().unwrap();
    journal.write_intent(mark(), &intent("a")).unwrap();
    journal.append(&outcome("a", ResetResult::Failed)).unwrap();
    fs::remove_file(folder.path(STATE_FILE)).unwrap();
    let journal = folder.journal();
    journal.open().unwrap();
    assert!(journal.wait(HOUR).is_some());
}

#[test]
fn an_invalid_state_refuses_resets() {
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().unwrap();
    journal.write_intent(mark(), &intent("a")).unwrap();
    for broken in ["", "{}", "null", r#"{"id":"a"}"#] {
        fs::write(folder.path(STATE_FILE), broken).unwrap();
        assert!(matches!(folder.journal().open(), Err(JournalError::State)), "{broken}");
    }
    assert!(matches!(ResetJournal::new("acme", None).open(), Err(JournalError::NoStorage)));
}

#[test]
fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TestFolder::new();
    let journal = folder.journal();
    journal.open().unwrap();
    journal.write_intent(mark(), &intent("a")).unwrap();
    for name in [AUDIT_FILE, STATE_FILE] {
        assert_eq!(fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(folder.log().lines().count(), 1);
}
