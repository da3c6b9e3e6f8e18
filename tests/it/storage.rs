//! Storage as another process and a hostile system meet it: kills, a second owner, a full disk.
//!
//! The other process is this test binary itself, in which [`ROLE`] makes [`child`] do something.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wazzup_exporter::storage::{AccountStore, Storage, StorageError};

/// The environment variable that says what the child does.
const ROLE: &str = "STORAGE_TEST_ROLE";
/// The environment variable that says where.
const ROOT: &str = "STORAGE_TEST_ROOT";
/// Precedes the reports of the child, among the output of the test harness.
const REPORT: &str = "child: ";
/// How often the rewriting process is killed.
const KILLS: u32 = 100;
/// The latest moment of a kill after the lock was taken, in microseconds.
const KILL_WITHIN: u64 = 20_000;

/// Not a test of its own: what the other tests start as a process.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let storage = Storage::new(std::env::var(ROOT).unwrap());
    match role.as_str() {
        "hold" => {
            let _store = storage.account("acme").unwrap();
            report("held");
            // Until it is killed, or the parent has ended.
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        "rewrite" => rewrite(&mut storage.account("acme").unwrap()),
        "keep" => {
            let mut store = storage.account("acme").unwrap();
            store.write("state", b"x").unwrap();
            store.append("log", b"x").unwrap();
        }
        "fill" => fill(&mut storage.account("acme").unwrap()),
        "try" => {
            report(storage.account("acme").map(drop).unwrap_err());
            report(storage.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned()));
        }
        other => panic!("no role {other}"),
    }
}

#[test]
fn a_kill_at_any_moment_leaves_whole_content_no_older_than_reported() {
    let temporary = tempfile::tempdir().unwrap();
    let storage = Storage::new(temporary.path().join("data"));
    let mut reported = 0;
    let mut unfinished = 0;
    for _ in 0..KILLS {
        let mut child = start(&mut this_binary(), "rewrite", &temporary.path().join("data"));
        let mut reports = lines(&mut child);
        assert_eq!(reports.next().unwrap(), "locked");
        let moment = RandomState::new().build_hasher().finish() % KILL_WITHIN;
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        reported = reports.last().map_or(reported, |line| line.parse().unwrap());
        let bytes = storage.read_unlocked("acme", "state").unwrap();
        let found = bytes.map_or(0, |bytes| number_in(&bytes));
        assert!((reported..=reported + 1).contains(&found), "{found} after {reported}");
        reported = found;
        unfinished += u32::from(temporary.path().join("data/acme/.new").exists());
    }
    // A test that never kills in the middle of a write shows nothing.
    assert!(reported > 0 && unfinished > 0, "{reported}, {unfinished}");
    drop(storage.account("acme").unwrap());
    assert!(!temporary.path().join("data/acme/.new").exists());
}

#[test]
fn another_process_is_refused_until_the_owner_is_killed() {
    let temporary = tempfile::tempdir().unwrap();
    let storage = Storage::new(temporary.path());
    for _ in 0..2 {
        let mut child = start(&mut this_binary(), "hold", temporary.path());
        assert_eq!(lines(&mut child).next().unwrap(), "held");
        let refused = storage.account("acme").map(drop).unwrap_err();
        let held_by =
            |pid| matches!(refused, StorageError::Locked { pid: Some(it), .. } if it == pid);
        assert!(held_by(child.id()), "{refused:?}");
        storage.account("other").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        storage.account("acme").unwrap().write("state", b"x").unwrap();
    }
}

#[test]
fn only_the_owner_may_read_and_write_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let temporary = tempfile::tempdir().unwrap();
        let mut shell = in_shell(&format!("umask {umask}; exec \"$@\""));
        run(&mut shell, "keep", &temporary.path().join("var/data"));
        let mode = |path: &str| {
            fs::metadata(temporary.path().join(path)).unwrap().permissions().mode() & 0o7777
        };
        let folders = ["var", "var/data", "var/data/acme"];
        assert_eq!(folders.map(mode), [0o700; 3], "umask {umask}");
        let files = ["var/data/acme/.lock", "var/data/acme/state", "var/data/acme/log"];
        assert_eq!(files.map(mode), [0o600; 3], "umask {umask}");
    }
}

/// On a real file system of 256 KiB; where none may be mounted, every file is limited to 64 KiB
/// instead, which the system reports in other words, but just as much in the middle of a write.
#[test]
fn a_full_disk_keeps_the_old_content_and_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut command, words) = if may_mount(temporary.path()) {
        (
            mounted("size=256k", temporary.path()),
            "No space left on device (os error 28); the disk is full",
        )
    } else {
        (in_shell("trap '' XFSZ; ulimit -f 128; exec \"$@\""), "File too large")
    };
    let reports = run(&mut command, "fill", &temporary.path().join("data"));
    assert_eq!(reports.len(), 2, "{reports:?}");
    for (report, file) in reports.iter().zip(["state", "log"]) {
        let start =
            format!("cannot write {}", temporary.path().join("data/acme").join(file).display());
        assert!(report.starts_with(&start) && report.contains(words), "{report}");
    }
}

/// Modes do not hold root back, a read-only mount does; where none may be mounted, `/proc` takes no
/// folder from anybody.
#[test]
fn a_place_that_cannot_be_written_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    if may_mount(temporary.path()) {
        let reports =
            run(&mut mounted("ro", temporary.path()), "try", &temporary.path().join("data"));
        assert_eq!(reports.len(), 2, "{reports:?}");
        for report in reports {
            assert!(
                report.contains("(os error 30); the file system is mounted read-only"),
                "{report}"
            );
        }
    } else {
        let reports = run(&mut this_binary(), "try", Path::new("/proc/data"));
        assert!(reports[0].starts_with("cannot create /proc/data: "), "{reports:?}");
    }
}

/// Replaces the content for ever, each by the next, and reports each.
fn rewrite(store: &mut AccountStore) {
    report("locked");
    let mut number = store.read("state").unwrap().map_or(0, |bytes| number_in(&bytes));
    loop {
        number += 1;
        store.write("state", &content(number)).unwrap();
        report(number);
    }
}

/// Content that shows by itself whether it is whole: of many lengths, and nothing like the one before.
fn content(number: u64) -> Vec<u8> {
    let filling = vec![number as u8; (number * 7919 % 100_000) as usize];
    [&number.to_le_bytes(), filling.as_slice(), &number.to_le_bytes()].concat()
}

fn number_in(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(bytes == content(number), "torn: {} bytes that start as number {number}", bytes.len());
    number
}

/// Writes until nothing more fits, in both ways, and reports both errors; then makes room.
fn fill(store: &mut AccountStore) {
    let folder = Path::new(&std::env::var(ROOT).unwrap()).join("acme");
    let mut kept = Vec::new();
    let refused = loop {
        let more = vec![b'x'; kept.len() + 5000];
        match store.write("state", &more) {
            Ok(()) => kept = more,
            Err(error) => break error,
        }
    };
    report(refused);
    assert!(kept.len() > 5000 && store.read("state").unwrap().unwrap() == kept);
    assert!(!folder.join(".new").exists());
    let lines = |store: &AccountStore| {
        let log = store.read("log").unwrap().unwrap();
        log.split(|byte| *byte == b'\n').filter(|line| line.len() == 5000).count()
    };
    let mut appended = 0;
    let refused = loop {
        match store.append("log", &[b'y'; 5000]) {
            Ok(()) => appended += 1,
            Err(error) => break error,
        }
    };
    report(refused);
    assert!(appended > 0 && lines(store) == appended);
    fs::remove_file(folder.join("log")).unwrap();
    store.write("state", b"little").unwrap();
    assert_eq!(store.read("state").unwrap().unwrap(), b"little");
}

/// Reports to the parent process.
fn report(what: impl std::fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{REPORT}{what}").unwrap();
}

/// This binary, to run only [`child`].
fn this_binary() -> Command {
    with_child(Command::new(std::env::current_exe().unwrap()))
}

/// A shell that runs a script with this binary, to run only [`child`], as its arguments.
fn in_shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    with_child(shell)
}

/// A shell with a file system of its own mounted on a folder, which no other process sees.
fn mounted(options: &str, folder: &Path) -> Command {
    let mut unshare = Command::new("unshare");
    let script = format!("mount -t tmpfs -o {options} tmpfs \"$0\" && exec \"$@\"");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(folder);
    unshare.arg(std::env::current_exe().unwrap());
    with_child(unshare)
}

fn with_child(mut command: Command) -> Command {
    command.args(["--exact", "storage::child", "--nocapture"]);
    command
}

fn may_mount(folder: &Path) -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs"]).arg(folder);
    unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn start(command: &mut Command, role: &str, root: &Path) -> Child {
    command.env(ROLE, role).env(ROOT, root);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Runs the child to its good end and returns its reports.
fn run(command: &mut Command, role: &str, root: &Path) -> Vec<String> {
    let mut child = start(command, role, root);
    let reports = lines(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{reports:?}");
    reports
}

/// The reports of the child, until it ends; a line that a kill cut off is left out.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let whole = std::iter::from_fn(move || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line.ends_with('\n').then_some(line)
    });
    whole.filter_map(|line| Some(line.trim_end().split_once(REPORT)?.1.to_owned()))
}
