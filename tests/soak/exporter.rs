//! The exporter as a process: this program, started once more, which also says how many tasks it has.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::Signal;
use tokio::runtime::Handle;
use wazzup_exporter::app::{Daemon, Options};
use wazzup_exporter::config::{self, Permissions};
use wazzup_exporter::reload::ConfigSource;
use wazzup_exporter::shutdown::{Shutdown, Signals};
use wazzup_exporter::storage::Storage;

use super::report::Usage;
use super::support::daemon::options;
use super::support::http::client;
use super::support::process::Process;
use super::support::samples::{Samples, samples};
use super::support::wait::guard;

/// The environment variable that names the folder of the child, which has the configuration.
const FOLDER: &str = "SOAK_EXPORTER_FOLDER";

/// A running exporter.
pub(crate) struct Child {
    process: Process,
    pub(crate) address: SocketAddr,
    tasks: Arc<AtomicUsize>,
    client: reqwest::Client,
}

impl Child {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let (reader, writer) = std::io::pipe().unwrap();
        // As the unit and the image have it.
        command.env("MALLOC_ARENA_MAX", "1");
        command.env(FOLDER, folder).stdin(Stdio::null()).stdout(writer);
        let process = Process::start_with_stdout("the exporter", &mut command);
        drop(command);
        let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
        let Some(Ok(address)) = lines.next().map(|line| line.parse()) else {
            panic!("the exporter does not start:\n{}", process.log());
        };
        let tasks = Arc::new(AtomicUsize::default());
        let counted = Arc::clone(&tasks);
        std::thread::spawn(move || {
            for count in lines.filter_map(|line| line.parse().ok()) {
                counted.store(count, Relaxed);
            }
        });
        Self { process, address, tasks, client: client() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        guard(path, self.client.get(self.url(path)).send()).await.unwrap()
    }

    pub(crate) async fn scrape(&self) -> Samples {
        samples(&self.get("/metrics").await.text().await.unwrap())
    }

    /// Its use of the system now.
    pub(crate) fn usage(&self) -> Usage {
        let process = format!("/proc/{}", self.process.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let figure = |name: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Usage {
            memory_kib: figure("VmRSS:"),
            descriptors: std::fs::read_dir(format!("{process}/fd")).unwrap().count(),
            tasks: self.tasks.load(Relaxed),
            threads: figure("Threads:"),
        }
    }

    /// Ends it as a service manager does.
    pub(crate) async fn stop(&self) {
        self.process.signal(Signal::TERM);
        super::support::wait::until_true("the end of the exporter", async || {
            self.process.ended().is_some()
        })
        .await;
        assert!(self.process.ended().unwrap().success(), "{}", self.process.log());
    }
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(FOLDER).is_some()
}

/// Runs the exporter, which polls in a runtime of its own as the program does, until a signal; writes its address, then
/// the number of its tasks every half second.
pub(crate) async fn run(polling: Handle) {
    let folder = std::env::var_os(FOLDER).unwrap();
    let file = Path::new(&folder).join("config.yaml");
    let permissions = Permissions::default();
    let config = config::load(&file, permissions).unwrap();
    let source = Some(ConfigSource { file, permissions, check_interval: None });
    let storage = Some(Storage::new(Path::new(&folder).join("data")));
    let options = Options { source, storage, lifecycle: true, ..options() };
    let daemon = Daemon::bind(&options, config).await.unwrap().polling_in(polling.clone());
    println!("{}", daemon.addresses()[0]);
    let runtimes = [Handle::current(), polling];
    std::thread::spawn(move || {
        let tasks = || runtimes.iter().map(|one| one.metrics().num_alive_tasks()).sum::<usize>();
        // The parent may be gone.
        while writeln!(std::io::stdout(), "{}", tasks()).is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let (shutdown, signals) = (Shutdown::default(), Signals::catch().unwrap());
    tokio::select! {
        ended = daemon.run(shutdown.clone()) => ended.unwrap(),
        () = signals.watch(shutdown) => {}
    }
}
