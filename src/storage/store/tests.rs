use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::{Arc, Barrier};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use tempfile::TempDir;

use super::*;

/// A folder of its own for a test, and storage in a folder in it that does not exist.
fn storage() -> (TempDir, Storage) {
    let temporary = tempfile::tempdir().unwrap();
    let storage = Storage::new(temporary.path().join("var/data"));
    (temporary, storage)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let (_temporary, storage) = storage();
    let mut store = storage.account("acme").unwrap();
    assert_eq!(store.read("state").unwrap(), None);
    for content in [b"first".as_slice(), b"", b"the third\n\0\xff"] {
        store.write("state", content).unwrap();
        assert_eq!(store.read("state").unwrap().as_deref(), Some(content));
        assert_eq!(storage.read_unlocked("acme", "state").unwrap().as_deref(), Some(content));
    }
    drop(store);
    let store = storage.account("acme").unwrap();
    assert_eq!(store.read("state").unwrap().as_deref(), Some(b"the third\n\0\xff".as_slice()));
    assert_eq!(names(&storage.root.join("acme")), [".lock", "state"]);
}

#[test]
fn nothing_is_created_by_looking() {
    let (temporary, storage) = storage();
    storage.check().unwrap();
    assert_eq!(storage.read_unlocked("acme", "state").unwrap(), None);
    assert!(names(temporary.path()).is_empty());
    drop(storage.account("other").unwrap());
    storage.check().unwrap();
    assert_eq!(storage.read_unlocked("acme", "state").unwrap(), None);
    assert_eq!(names(&storage.root), ["other"]);
}

#[test]
fn a_relative_place_is_below_the_working_directory() {
    Storage::new("does/not/exist").check().unwrap();
}

#[test]
fn an_account_has_one_owner_and_accounts_do_not_disturb_each_other() {
    let (_temporary, storage) = storage();
    let store = storage.account("acme").unwrap();
    let _other = storage.account("Acme").unwrap();
    let error = storage.account("acme").map(drop).unwrap_err();
    let lock = storage.root.join("acme/.lock");
    assert!(
        matches!(&error, StorageError::Locked { path, pid: Some(pid) }
            if *path == lock && *pid == std::process::id()),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(
        message.contains("--storage.path") && message.contains(lock.to_str().unwrap()),
        "{message}"
    );
    fs::write(&lock, "").unwrap();
    assert!(matches!(storage.account("acme"), Err(StorageError::Locked { pid: None, .. })));
    drop(store);
    storage.account("acme").unwrap();
}

#[test]
fn of_many_concurrent_openers_one_becomes_the_owner() {
    for _ in 0..20 {
        let (_temporary, storage) = storage();
        let (together, storage) = (Arc::new(Barrier::new(8)), Arc::new(storage));
        let come = || {
            let (together, storage) = (Arc::clone(&together), Arc::clone(&storage));
            std::thread::spawn(move || {
                together.wait();
                storage.account("acme")
            })
        };
        let threads: Vec<_> = (0..8).map(|_| come()).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let refused = results.iter().filter_map(|result| result.as_ref().err());
        assert!(refused.into_iter().all(|error| matches!(error, StorageError::Locked { .. })));
    }
}

#[test]
fn a_torn_line_does_not_swallow_the_next_one() {
    let (_temporary, storage) = storage();
    let mut store = storage.account("acme").unwrap();
    store.append("log", b"one").unwrap();
    store.append("log", b"").unwrap();
    let file = storage.root.join("acme/log");
    let mut content = fs::read(&file).unwrap();
    assert_eq!(content, b"one\n\n");
    content.extend(b"tor");
    fs::write(&file, content).unwrap();
    store.append("log", b"two").unwrap();
    store.append("log", b"three").unwrap();
    assert_eq!(store.read("log").unwrap().unwrap(), b"one\n\ntor\ntwo\nthree\n");
}

#[test]
fn links_and_other_things_in_the_place_of_a_file_are_refused() {
    let (temporary, storage) = storage();
    let mut store = storage.account("acme").unwrap();
    let folder = storage.root.join("acme");
    let target = temporary.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, folder.join("linked")).unwrap();
    symlink("nowhere", folder.join("dangling")).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    mknodat(CWD, folder.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for file in ["linked", "dangling", "folder", "fifo"] {
        for refused in [
            store.write(file, b"x").unwrap_err(),
            store.append(file, b"x").unwrap_err(),
            store.read(file).unwrap_err(),
            storage.read_unlocked("acme", file).unwrap_err(),
        ] {
            assert!(refused.to_string().contains(" is not a "), "{file}: {refused:?}");
        }
    }
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn a_link_in_the_place_of_an_account_is_refused_but_may_lead_to_the_storage() {
    let (temporary, storage) = storage();
    drop(storage.account("acme").unwrap());
    symlink("acme", storage.root.join("linked")).unwrap();
    symlink("nowhere", storage.root.join("dangling")).unwrap();
    fs::write(storage.root.join("file"), "").unwrap();
    for name in ["linked", "dangling", "file"] {
        let refused = storage.account(name).map(drop).unwrap_err();
        assert!(refused.to_string().contains(" is not a "), "{name}: {refused:?}");
        assert!(storage.read_unlocked(name, "state").is_err(), "{name}");
    }
    let link = temporary.path().join("link");
    symlink(&storage.root, &link).unwrap();
    Storage::new(&link).account("acme").unwrap().write("state", b"x").unwrap();
    assert_eq!(storage.read_unlocked("acme", "state").unwrap().unwrap(), b"x");
}

#[test]
fn a_place_below_a_file_or_a_dangling_link_is_refused() {
    let (temporary, _) = storage();
    fs::write(temporary.path().join("file"), "").unwrap();
    symlink("nowhere", temporary.path().join("dangling")).unwrap();
    for below in ["file", "file/data", "dangling", "dangling/data"] {
        let storage = Storage::new(temporary.path().join(below));
        storage.check().unwrap_err();
        storage.account("acme").map(drop).unwrap_err();
    }
    assert_eq!(names(temporary.path()), ["dangling", "file"]);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn folders_that_others_may_write_to_are_refused_with_a_remedy() {
    for mode in [0o770, 0o702, 0o1777, 0o2775] {
        let (_temporary, storage) = storage();
        drop(storage.account("acme").unwrap());
        let folder = storage.root.join("acme");
        chmod(&folder, mode);
        let error = storage.account("acme").map(drop).unwrap_err().to_string();
        let message = format!("(mode {mode:03o}); if they have not, run chmod go-w");
        assert!(error.contains(&message) && error.contains(folder.to_str().unwrap()), "{error}");
        chmod(&folder, 0o755);
        drop(storage.account("acme").unwrap());
    }
}

/// The root of a volume as `fsGroup` makes it, of an `emptyDir`, and of a shared folder.
#[test]
fn a_place_that_others_may_write_to_has_folders_of_our_own() {
    for mode in [0o2775, 0o2770, 0o777, 0o1777] {
        let (_temporary, storage) = storage();
        fs::create_dir_all(&storage.root).unwrap();
        chmod(&storage.root, mode);
        storage.check().unwrap();
        drop(storage.account("acme").unwrap());
        let folder = storage.root.join("acme");
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode_of(&folder), 0o700);
        // The next mount with fsGroup.
        chmod(&folder, 0o2770);
        storage.account("acme").unwrap().write("state", b"x").unwrap();
        assert_eq!(mode_of(&folder), 0o700);
        chmod(&folder, 0o707);
        let refused = |name| storage.account(name).map(drop).unwrap_err().to_string();
        assert!(refused("acme").contains("may be written to by others (mode 707)"));
        chmod(&folder, 0o700);
        symlink("acme", storage.root.join("link")).unwrap();
        assert!(refused("link").contains(" is not a folder"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(1), None).unwrap();
            assert!(refused("acme").contains(" belongs to another user"));
        }
    }
}

#[test]
fn root_does_not_use_the_folder_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_temporary, storage) = storage();
    drop(storage.account("acme").unwrap());
    let folder = storage.root.join("acme");
    std::os::unix::fs::chown(&folder, Some(1), None).unwrap();
    let error = storage.account("acme").map(drop).unwrap_err();
    assert!(error.to_string().contains("run it as that user"), "{error}");
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let (_temporary, storage) = storage();
    let mut store = storage.account("acme").unwrap();
    let file = File::create(storage.root.join("acme/state")).unwrap();
    file.set_len(SIZE_MAX).unwrap();
    assert_eq!(store.read("state").unwrap().unwrap().len() as u64, SIZE_MAX);
    file.set_len(SIZE_MAX + 1).unwrap();
    let too_large = |error: StorageError| error.to_string().contains(" is larger than 64 MiB");
    assert!(too_large(store.read("state").unwrap_err()));
    assert!(too_large(storage.read_unlocked("acme", "state").unwrap_err()));
    assert!(too_large(store.write("new", &vec![0; SIZE_MAX as usize + 1]).unwrap_err()));
    store.write("state", b"small again").unwrap();
}

#[test]
fn a_killed_owners_unfinished_file_is_removed() {
    let (_temporary, storage) = storage();
    drop(storage.account("acme").unwrap());
    let folder = storage.root.join("acme");
    fs::write(folder.join(NEW), "half of").unwrap();
    drop(storage.account("acme").unwrap());
    assert_eq!(names(&folder), [".lock"]);
}

#[test]
fn what_the_system_says_comes_with_a_remedy() {
    for (errno, words) in [
        (Errno::NOSPC, "the disk is full"),
        (Errno::DQUOT, "the quota is used up"),
        (Errno::ROFS, "the file system is mounted read-only"),
        (Errno::ACCESS, "give the exporter's user access"),
    ] {
        let path = PathBuf::from("data/acme/state");
        let error = StorageError::Io { action: "write", path, source: errno.into() }.to_string();
        let message = error.starts_with("cannot write data/acme/state: ") && error.contains(words);
        assert!(message, "{error}");
    }
}

#[test]
fn a_number_keeps_the_folder_over_renaming_and_takes_over_what_was_kept_without_one() {
    let (_temporary, storage) = storage();
    storage.account("acme").unwrap().write("state", b"x").unwrap();
    let numbered = |name| AccountFolder::new(name, Some("78231464"));
    let read = |folder| storage.read_unlocked(folder, "state").unwrap();
    assert_eq!(read(numbered("acme")).unwrap(), b"x", "before it is opened");
    let owner = storage.account("acme").unwrap();
    assert!(matches!(storage.account(numbered("acme")), Err(StorageError::Locked { .. })));
    drop(owner);
    drop(storage.account(numbered("acme")).unwrap());
    assert_eq!(names(&storage.root), ["id.78231464"]);
    let renamed = storage.account(numbered("other")).unwrap();
    assert_eq!(renamed.read("state").unwrap().unwrap(), b"x");
    // Another account of the old name has nothing of it.
    assert_eq!(storage.account("acme").unwrap().read("state").unwrap(), None);
    assert_eq!(read(numbered("acme")).unwrap(), b"x");
}

#[test]
fn a_file_elsewhere_is_replaced_whole_and_for_its_owner_only() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("token");
    check_replace_file(&file).unwrap();
    replace_file(&file, b"first").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let link = temporary.path().join("link");
    symlink(&file, &link).unwrap();
    replace_file(&link, b"second").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"second");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(link.is_symlink());
    assert_eq!(names(temporary.path()), ["link", "token"]);
}

#[test]
fn a_file_elsewhere_that_cannot_be_replaced_is_an_error_beforehand() {
    let temporary = tempfile::tempdir().unwrap();
    for path in [temporary.path().to_owned(), temporary.path().join("none/token")] {
        let [early, late] = [check_replace_file(&path), replace_file(&path, b"x")]
            .map(|result| result.unwrap_err().to_string());
        assert_eq!(early, late);
    }
}
