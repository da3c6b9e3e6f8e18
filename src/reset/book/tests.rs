use std::fs;

use tempfile::TempDir;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// What a process that has just begun finds.
    fn book(&self) -> Book {
        Book::new("acme", Some(Storage::new(self.folder.path().join("data"))))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data/acme").join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path(AUDIT_FILE)).unwrap()
    }
}

fn mark() -> Mark {
    Mark::new(Stamp::now(), clock::boot(), None, HOUR)
}

fn intent(id: &str) -> Line {
    Line { mark: Some(mark()), ..Line::new(Kind::Intent, id, Stamp::now().unix) }
}

fn outcome(id: &str, result: ResetResult) -> Line {
    let result = Some(result.label().to_owned());
    Line { result, ..Line::new(Kind::Outcome, id, Stamp::now().unix) }
}

#[test]
fn an_intent_keeps_its_cooldown_over_a_restart_with_or_without_an_outcome() {
    let place = Place::new();
    let book = place.book();
    assert_eq!(book.open().unwrap(), 0);
    assert_eq!(book.wait(HOUR), None);
    book.intend(mark(), &intent("a")).unwrap();
    assert!(book.wait(HOUR).is_some());
    let book = place.book();
    assert_eq!(book.open().unwrap(), 1, "nobody knows how it ended");
    assert!(book.wait(HOUR).is_some());
    assert!(book.told().unresolved && book.told().last_success.is_none());
    assert_eq!(place.book().open().unwrap(), 0, "which is written down once");
    assert!(place.book().wait(HOUR).is_none(), "before the files are read");
    let book = place.book();
    book.open().unwrap();
    assert!(book.told().unresolved && book.wait(HOUR).is_some());
    book.intend(mark(), &intent("b")).unwrap();
    book.note(&outcome("b", ResetResult::Cleared)).unwrap();
    let book = place.book();
    assert_eq!(book.open().unwrap(), 0);
    assert!(!book.told().unresolved && book.told().last_success.is_some());
    assert!(book.wait(HOUR).is_some());
}

#[test]
fn a_kill_between_the_two_files_keeps_the_cooldown() {
    let place = Place::new();
    place.book().open().unwrap();
    let book = place.book();
    book.open().unwrap();
    book.intend(mark(), &intent("a")).unwrap();
    // As if it had been killed before the log was written.
    fs::remove_file(place.path(AUDIT_FILE)).unwrap();
    let book = place.book();
    assert_eq!(book.open().unwrap(), 0, "nothing was sent");
    assert!(book.wait(HOUR).is_some());
}

#[test]
fn a_lost_state_is_made_up_for_by_the_log() {
    let place = Place::new();
    let book = place.book();
    book.open().unwrap();
    book.intend(mark(), &intent("a")).unwrap();
    book.note(&outcome("a", ResetResult::Failed)).unwrap();
    fs::remove_file(place.path(STATE_FILE)).unwrap();
    let book = place.book();
    book.open().unwrap();
    assert!(book.wait(HOUR).is_some());
}

#[test]
fn a_state_that_is_not_understood_opens_nothing() {
    let place = Place::new();
    let book = place.book();
    book.open().unwrap();
    book.intend(mark(), &intent("a")).unwrap();
    for broken in ["", "{}", "null", r#"{"id":"a"}"#] {
        fs::write(place.path(STATE_FILE), broken).unwrap();
        assert!(matches!(place.book().open(), Err(BookError::State)), "{broken}");
    }
    assert!(matches!(Book::new("acme", None).open(), Err(BookError::NoStorage)));
}

#[test]
fn what_is_written_down_has_no_secrets_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let book = place.book();
    book.open().unwrap();
    book.intend(mark(), &intent("a")).unwrap();
    for name in [AUDIT_FILE, STATE_FILE] {
        assert_eq!(fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(place.log().lines().count(), 1);
}
