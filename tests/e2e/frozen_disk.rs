//! A storage on a real file system that is frozen while the exporter runs. Needs root and loop devices.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use super::support::exporter::Exporter;
use super::support::samples::{Samples, value};
use super::support::upstream::{serve, still};

const ACCOUNTS: usize = 100;
/// Threads of an exporter of so many accounts: far fewer than one for each.
const THREADS_MAX: usize = 64;

/// A mounted file system of its own, frozen or not.
struct Disk(TempDir);

impl Disk {
    /// Says why where there is none.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        let disk = Self(folder);
        let made = run("mkfs.ext4", &["-q".as_ref(), &image])
            .and_then(|()| run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &disk.path()]));
        if let Err(why) = made {
            #[expect(clippy::print_stdout, reason = "a test that checks nothing has to say so")]
            {
                println!("skipped, because no file system can be mounted: {why}");
            }
            return None;
        }
        Some(disk)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("disk")
    }

    fn freeze(&self, flag: &str) -> Result<(), String> {
        run("fsfreeze", &[flag.as_ref(), &self.path()])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.freeze("-u");
        let _ = run("umount", &["-l".as_ref(), &self.path()]);
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin");
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}

fn name(number: usize) -> String {
    format!("account-{number}")
}

fn last_successes(samples: &Samples) -> Vec<f64> {
    let of = |number| {
        let account = name(number);
        let series = format!(
            r#"wazzup_user_last_success_timestamp_seconds{{account="{account}",user="u0"}}"#
        );
        value(samples, &series).unwrap_or_default()
    };
    (0..ACCOUNTS).map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_disk_is_reported_and_stops_neither_polling_nor_scraping() {
    let Some(disk) = Disk::mount() else { return };
    let names: Vec<String> = (0..ACCOUNTS).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (api, url) = serve(still(&names, 1)).await;
    let storage = format!("--storage.path={}", disk.path().join("data").display());
    let poll = "interval: 2s, timeout: 2s, stale_after: 20s";
    let exporter = Exporter::polling_with(&api, &url, poll, &[storage]);
    let folders = disk.path().join("data");
    let stored = |file: &str| {
        let folders = std::fs::read_dir(&folders).into_iter().flatten();
        folders.filter(|folder| folder.as_ref().unwrap().path().join(file).exists()).count()
    };
    exporter.until("everything stored", |_| stored("trends.json") == ACCOUNTS).await;

    disk.freeze("-f").unwrap();
    let frozen = exporter.scrape().await;
    exporter.until_logged("does not respond").await;
    let before = last_successes(&exporter.scrape().await);
    // Each account is read at least three times more.
    let samples = exporter
        .until("readings of all", |samples| {
            let pairs = last_successes(samples).into_iter().zip(&before);
            pairs.into_iter().all(|(now, before)| now > before + 4.0)
        })
        .await;
    for number in 0..ACCOUNTS {
        let account = name(number);
        let up = format!(r#"wazzup_up{{account="{account}"}}"#);
        assert_eq!(value(&samples, &up), Some(1.0), "{account}");
        let restarts = format!(r#"wazzup_exporter_poller_restarts_total{{account="{account}"}}"#);
        assert_eq!(samples.get(&restarts), frozen.get(&restarts), "{account}");
        let overruns = format!(r#"wazzup_sweep_overruns_total{{account="{account}"}}"#);
        assert_eq!(samples.get(&overruns), frozen.get(&overruns), "{account}");
    }
    let pid = exporter.process.pid().as_raw_nonzero();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    assert!(threads <= THREADS_MAX, "{threads}");

    disk.freeze("-u").unwrap();
    exporter.signal(Signal::TERM);
    assert_eq!(exporter.end().0, Some(0));
}
